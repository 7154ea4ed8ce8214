"""Small networks that several unit tests train or operate on."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import cwn_lite as cwn

# Axes over which a row of each constrained weight of `mixed_net` extends, written down by hand.
MIXED_ROWS = {"0.weight": (1, 2, 3), "3.weight": (1, 2, 3), "5.weight": (0, 2, 3), "8.weight": (1,)}


def mixed_net() -> nn.Sequential:
    """One layer of each kind, in float64, for inputs `(N, 2, 6, 6)` and 3 classes."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=False),  # 0
        cwn.ScaleBias(4),
        nn.Tanh(),
        nn.Conv2d(4, 6, 2, groups=2),  # 3
        nn.ReLU(),
        nn.ConvTranspose2d(6, 3, 2),  # 5
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(48, 8),  # 8
        nn.Tanh(),
        nn.Linear(8, 3),  # the classifier
    ).double()


def mixed_batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(16, 2, 6, 6, generator=generator, dtype=torch.float64)
    return x, torch.randint(3, (16,), generator=generator)


def mlp() -> nn.Sequential:
    """Matrices only, three of them constrained; for inputs `(N, 6)` and 3 classes."""
    sizes = [6, 8, 8, 8]
    hidden = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b, bias=False), nn.Tanh())]
    return nn.Sequential(*hidden, nn.Linear(8, 3, bias=False))


def scaled_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, poisoned: Tensor | None = None
) -> None:
    """Take one step on `mixed_batch` in float32 with scaled gradients, that of ``poisoned`` having overflowed."""
    x, y = mixed_batch()
    optimizer.zero_grad()
    scaler.scale(F.cross_entropy(model(x.float()), y)).backward()
    if poisoned is not None:
        assert poisoned.grad is not None
        poisoned.grad[0, 0] = torch.inf
    scaler.step(optimizer)
    scaler.update()


def saved_and_loaded(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return both state dicts after a way through a file."""
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    found: dict[str, Any] = torch.load(file, weights_only=True)
    return found


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: tuple[Tensor, Tensor],
    steps: int = 1,
    sign: float = 1.0,
    after: Callable[[], None] = lambda: None,
) -> None:
    """Take steps on the cross entropy of one batch, times ``sign``; call ``after`` behind each."""
    x, y = batch

    def closure() -> float:
        optimizer.zero_grad()
        loss = sign * F.cross_entropy(model(x), y)
        loss.backward()
        return loss.item()

    for _ in range(steps):
        optimizer.step(closure)
        after()
