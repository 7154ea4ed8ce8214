"""What the tests of bad input share: the expected error, a small model, and all that must stay as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn


@contextmanager
def refused(error: type[Exception], *parts: str) -> Iterator[None]:
    """The block raises exactly ``error``, and its message holds all ``parts``."""
    with pytest.raises(error) as caught:
        yield
    assert caught.type is error
    missing = [part for part in parts if part not in str(caught.value)]
    assert not missing, f"{missing} not in {str(caught.value)!r}"


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(16, 3))


def snapshot(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> list[object]:
    """All that an operation could have changed, in a comparable form."""
    state: list[object] = [repr(model), sorted(model.__dict__)]
    for name, p in model.named_parameters():
        numbers = p.detach().to_dense().flatten().tolist() if p.numel() < 200 and not p.is_complex() else []
        state += [name, id(p), p._version, p.requires_grad, [str(x) for x in numbers]]
    if optimizer is not None:
        hooks = len(optimizer._optimizer_step_post_hooks), len(optimizer._optimizer_step_pre_hooks)
        state += [hooks, type(optimizer.defaults), str(optimizer.state_dict()["param_groups"])]
    return state
