"""A step with the inverse root of an earlier one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cwn_lite.holding import turn_and_hold, turn_as_held
from cwn_lite.orthogonal import inverse_root, orthogonalize
from cwn_lite.turning import Tangent, turn

SHAPES = [(6, 20), (20, 6), (2, 3, 8, 24), (2, 1, 24, 8)]
OPTIONS = {"coherence_decay": 1.0, "centralize": True}


def tangent(w: Tensor, d: Tensor) -> Tangent:
    moved = d.abs().amax(-1, keepdim=True) > 0
    return Tangent.of(w, d, moved & d.isfinite().all(-1, keepdim=True), centralize=True)


def of_shape(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_step_that_holds_is_the_usual_one(shape: tuple[int, ...]) -> None:
    w, d = of_shape(shape)
    step, _ = turn_and_hold(w, tangent(w, d), 0.1, coherence_decay=1.0)
    torch.testing.assert_close(step, turn(w, tangent(w, d), 0.1, coherence_decay=1.0, dtype=None))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_the_same_direction_gives_the_same_step_whatever_its_size(shape: tuple[int, ...], scale: float) -> None:
    w, d = of_shape(shape)
    step, held = turn_and_hold(w, tangent(w, d), 0.1, coherence_decay=1.0)
    torch.testing.assert_close(turn_as_held(tangent(w, scale * d), held), step)


def test_a_direction_that_was_weak_does_not_make_a_longer_step() -> None:
    w, d = of_shape((6, 20))
    weak = d.clone()
    weak[0] *= 1e-3
    step, held = turn_and_hold(w, tangent(w, weak), 0.1, coherence_decay=0.0)
    later = turn_as_held(tangent(w, d), held)
    assert float(later.norm()) == pytest.approx(float(step.norm()))


def test_rows_without_a_usable_direction_stay() -> None:
    w, d = of_shape((6, 20))
    _, held = turn_and_hold(w, tangent(w, d), 0.1, coherence_decay=1.0)
    for value in (0.0, math.nan, math.inf):
        d[2] = value
        step = turn_as_held(tangent(w, d), held)
        assert step[2].abs().max() == 0 and step.isfinite().all() and step[3].norm() > 0
    none = torch.zeros_like(d)
    assert torch.equal(turn_as_held(tangent(w, none), held), none)
    step, held = turn_and_hold(w, tangent(w, none), 0.1, coherence_decay=1.0)
    assert torch.equal(step, none)
    assert turn_as_held(tangent(w, d), held).isfinite().all()


@pytest.mark.parametrize("shape", SHAPES)
def test_an_inverse_root_orthogonalizes(shape: tuple[int, ...]) -> None:
    _, d = of_shape(shape)
    d = 1e-3 * d
    root = inverse_root(d, accuracy=1e-4)
    assert root.shape[-1] == min(shape[-2:])
    product = root @ d if shape[-2] <= shape[-1] else d @ root
    torch.testing.assert_close(product, orthogonalize(d, accuracy=1e-4))
    torch.testing.assert_close(root, root.mT)
    assert not inverse_root(torch.full((3, 4), math.nan)).any()
