"""A step with the inverse root of an earlier one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cwn_lite.holding import orthogonalize_and_hold, orthogonalize_as_held
from cwn_lite.orthogonal import inverse_root, orthogonalize, scaled
from cwn_lite.turning import Tangent

SHAPES = [(6, 20), (20, 6), (2, 3, 8, 24), (2, 1, 24, 8)]


def tangent(w: Tensor, d: Tensor) -> Tangent:
    moved = (d.abs().amax(-1, keepdim=True) > 0) & d.isfinite().all(-1, keepdim=True)
    return Tangent.of(w, torch.where(moved, d, 0.0), moved, centralize=True)


def of_shape(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_held_orthogonalized_as_usual(shape: tuple[int, ...]) -> None:
    of = tangent(*of_shape(shape))
    orthogonal, _ = orthogonalize_and_hold(of)
    torch.testing.assert_close(orthogonal, orthogonalize(of.direction))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_direction_gives_the_same_step_whatever_its_size(
    shape: tuple[int, ...], scale: float, dtype: torch.dtype
) -> None:
    w, d = (part.to(dtype) for part in of_shape(shape))
    orthogonal, held = orthogonalize_and_hold(tangent(w, d))
    torch.testing.assert_close(orthogonalize_as_held(tangent(w, scale * d), held), orthogonal, rtol=1e-3, atol=1e-3)
    orthogonal, held = orthogonalize_and_hold(tangent(w, scale * d))
    torch.testing.assert_close(orthogonalize_as_held(tangent(w, d), held), orthogonal, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("tiny", [1e-39, 1e-44])
def test_denormal_directions_leave_nothing_but_numbers(tiny: float) -> None:
    w, d = torch.randn(4, 8), tiny * torch.randn(4, 8)
    orthogonal, held = orthogonalize_and_hold(tangent(w, d))
    assert orthogonal.isfinite().all()
    assert orthogonalize_as_held(tangent(w, torch.randn(4, 8)), held).isfinite().all()


def test_no_row_turns_far_whatever_rows_move() -> None:
    w, d = of_shape((64, 128))
    one, weak = torch.zeros_like(d), d.clone()
    one[0], weak[0] = d[0], 0.0
    for first, later, least, most in ((d, one, 0.9, 1.1), (one, d, 0.9, 1.1), (weak, d, 0.15, 1.1)):
        _, held = orthogonalize_and_hold(tangent(w, first))
        moved = later.abs().amax(1) > 0
        lengths = orthogonalize_as_held(tangent(w, later), held).norm(dim=1)
        assert float(lengths[moved].square().mean().sqrt()) == pytest.approx(1, abs=1 - least)
        assert float(lengths.max()) < most * 1.2 and not lengths[~moved].any()


def test_rows_without_a_usable_direction_stay() -> None:
    w, d = of_shape((6, 20))
    _, held = orthogonalize_and_hold(tangent(w, d))
    for value in (0.0, math.nan, math.inf):
        d[2] = value
        orthogonal = orthogonalize_as_held(tangent(w, d), held)
        assert orthogonal[2].abs().max() == 0 and orthogonal.isfinite().all() and orthogonal[3].norm() > 0
    none = torch.zeros_like(d)
    assert torch.equal(orthogonalize_as_held(tangent(w, none), held), none)


def test_behind_zeros_a_step_is_as_long_as_any() -> None:
    w, d = of_shape((6, 20))
    orthogonal, held = orthogonalize_and_hold(tangent(w, torch.zeros_like(d)))
    assert not orthogonal.any()
    later = orthogonalize_as_held(tangent(w, d), held)
    assert float(later.norm() / math.sqrt(6)) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_inverse_root_orthogonalizes(shape: tuple[int, ...]) -> None:
    _, d = of_shape(shape)
    d = scaled(1e-3 * d)
    root = inverse_root(d, accuracy=1e-4)
    assert root.shape[-1] == min(shape[-2:])
    product = root @ d if shape[-2] <= shape[-1] else d @ root
    torch.testing.assert_close(product, orthogonalize(d, accuracy=1e-4))
    torch.testing.assert_close(root, root.mT)
    assert torch.equal(inverse_root(scaled(torch.full((3, 4), math.nan))), torch.eye(3))
