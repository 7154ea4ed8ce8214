"""The small network of the chapters: its rows, its optimizer, its digits."""

import math

import pytest
import torch
from torch import nn

import cwn_lite as cwn
from cwn_lite.lab.measure import row_norms
from cwn_lite.lab.nets.stack import KINDS, batches, digit_pixels, set_gradients, sgd, stack


@pytest.mark.parametrize("kind", KINDS)
def test_the_tensors_are_those_behind_the_rows(kind: str) -> None:
    model, rows = stack(kind, depth=3, width=16, scale=0.5, gain=1.3, seed=4)
    layers = [m for m in model if isinstance(m, nn.Linear)]
    assert len(rows) == 3 and len(layers) == 4 and layers[-1].out_features == 10
    assert sum(isinstance(m, nn.GroupNorm) for m in model) == (3 if kind == "ws+gn" else 0)
    for layer, row in zip(layers, rows, strict=False):
        assert any(p is row for p in layer.parameters())
        assert float(row_norms(layer).mean()) == pytest.approx(0.5 * math.sqrt(2), rel=0.15)
        if kind != "ours":
            assert layer.weight.norm(dim=1).tolist() == pytest.approx([1.3] * 16, rel=1e-5)


def test_the_function_does_not_see_the_length() -> None:
    images, _ = digit_pixels()
    short, long = (stack("ws-scaled", scale=scale)[0](images[:8]) for scale in (0.01, 10.0))
    torch.testing.assert_close(short, long, rtol=1e-4, atol=1e-4)


def test_only_the_rows_decay_and_the_rest_has_its_own_rate() -> None:
    model, rows = stack("ours", depth=2, width=8)
    optimizer = sgd(model, rows, 0.5, 0.1, rest_lr=0.0, momentum=0.9)
    first, rest = optimizer.param_groups
    assert (first["lr"], first["weight_decay"], rest["lr"], rest["weight_decay"]) == (0.5, 0.1, 0.0, 0.0)
    assert first["momentum"] == rest["momentum"] == 0.9
    assert len(first["params"]) + len(rest["params"]) == len(list(model.parameters()))
    assert sgd(model, rows, 0.5, 0.1).param_groups[1]["lr"] == 0.5


def test_it_learns_and_its_rows_can_be_constrained() -> None:
    model, rows = stack("ours", width=16)
    optimizer = sgd(model, rows, 0.1, 0.0)
    constraint = cwn.constrain(optimizer, model)
    losses = [(set_gradients(model, x, y), optimizer.step())[0] for x, y in batches(150)]
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])
    assert constraint.violation() < 1e-5


def test_the_batches_repeat() -> None:
    one, two = (torch.cat([x for x, _ in batches(3, size=4, seed=7)]) for _ in range(2))
    assert torch.equal(one, two) and one.shape == (12, 64)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match=r"kind must be one of ws-scaled, ws\+gn, ours, got 'bn'"):
        stack("bn")
