"""Adaptive clipping: rows against a loop over them, and what it leaves alone."""

import pytest
import torch
from torch import nn

from cwn_lite.lab import Recipe
from cwn_lite.lab.data import Dataset
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.training import Trainer, World
from cwn_lite.lab.training.clip import LEAST, clip_


def test_rows_are_clipped_one_by_one() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 5, 3)
    nn.init.zeros_(layer.weight[0])  # its norm counts as LEAST
    before = {}
    for name, p in layer.named_parameters():
        p.grad = torch.randn_like(p) * 10.0 ** torch.arange(-4, 1).view(-1, *[1] * (p.ndim - 1))
        before[name] = p.grad.clone()
    clip_(layer.parameters(), 0.02)
    assert layer.weight.grad is not None and layer.bias is not None and layer.bias.grad is not None
    for i in range(5):
        most = 0.02 * max(float(layer.weight[i].detach().norm()), LEAST)
        old = before["weight"][i]
        torch.testing.assert_close(layer.weight.grad[i], old * min(1.0, most / float(old.norm())))
    whole = before["bias"]
    torch.testing.assert_close(
        layer.bias.grad, whole * min(1.0, 0.02 * float(layer.bias.detach().norm() / whole.norm()))
    )


def test_no_gradient_and_a_gradient_of_zeros_stay() -> None:
    weight, idle = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(2))
    weight.grad = torch.zeros(2, 3)
    clip_([weight, idle], 0.1)
    assert idle.grad is None and not weight.grad.any()


def test_a_run_is_clipped_but_for_its_classifier(tiny: Recipe, toy: Dataset) -> None:
    recipe = tiny.but(method="ws", clip=1e-9, momentum=0.0, weight_decay=0.0)
    trainer = Trainer(recipe, 0, toy)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.step()
    moved = {name: float((p - before[name]).detach().abs().max()) for name, p in trainer.model.named_parameters()}
    last = list(moved)[-2:]
    assert all(moved[name] > 1e-6 for name in last) and all(moved[name] < 1e-7 for name in moved if name not in last)


def test_vectors_in_parts_are_refused(tiny: Recipe, toy: Dataset) -> None:
    with pytest.raises(LabError, match="run it without --shard"):
        Trainer(tiny.but(clip=0.02), 0, toy, world=World(0, 2, sharded=True))
