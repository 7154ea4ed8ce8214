"""`project_rows` returns the nearest feasible point (Eq. 9-11): what that means, on rows drawn by hypothesis."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import nearest_rows
from torch import Tensor

import cwn_lite as cwn

KINDS = [(True, True), (True, False), (False, True), (False, False)]
kinds = pytest.mark.parametrize(("centralize", "spherize"), KINDS)
radii = st.floats(1e-3, 1e3)


@st.composite
def float64_rows(draw: st.DrawFn, least: int = 2) -> Tensor:
    """Rows ``(out, n)`` of moderate numbers, none of them near constant or near zero."""
    out, n = draw(st.integers(1, 3)), draw(st.integers(least, 12))
    numbers = st.floats(-100, 100, allow_subnormal=False)
    lists = st.lists(st.lists(numbers, min_size=n, max_size=n), min_size=out, max_size=out)
    rows = torch.tensor(draw(lists), dtype=torch.float64)
    assume(bool(((rows - rows.mean(1, keepdim=True)).norm(dim=1) > 1e-3).all()))
    return rows


def violation(rows: Tensor, c: float, centralize: bool, spherize: bool) -> float:
    """Relative distance from the set, in the units of `Constraint.violation`."""
    rows = rows.double()
    norm = (rows.square().sum(-1) / c - 1).abs().max().item() if spherize else 0.0
    mean = (rows.sum(-1).abs().max() / math.sqrt(rows.shape[-1] * c)).item() if centralize else 0.0
    return max(norm, mean)


@kinds
@given(rows=float64_rows(), c=radii)
def test_result_is_feasible(rows: Tensor, c: float, centralize: bool, spherize: bool) -> None:
    # Without the sphere the row keeps its size, and its mean vanishes relative to that.
    size = c if spherize else float(rows.square().sum(-1).max())
    projected = cwn.project_rows(rows, c, centralize=centralize, spherize=spherize)
    assert violation(projected, size, centralize, spherize) < 1e-14


@kinds
@given(rows=float64_rows(), c=radii)
def test_projection_is_idempotent(rows: Tensor, c: float, centralize: bool, spherize: bool) -> None:
    once = cwn.project_rows(rows, c, centralize=centralize, spherize=spherize)
    twice = cwn.project_rows(once, c, centralize=centralize, spherize=spherize)
    torch.testing.assert_close(twice, once, rtol=1e-15, atol=1e-15 * float(once.abs().max()))


@kinds
@given(rows=float64_rows(), c=radii)
def test_projection_equals_a_naive_loop(rows: Tensor, c: float, centralize: bool, spherize: bool) -> None:
    expected = nearest_rows(rows.numpy(), c, centralize, spherize)
    actual = cwn.project_rows(rows, c, centralize=centralize, spherize=spherize).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-13 * np.abs(expected).max())


@kinds
@given(rows=float64_rows(), c=radii, seed=st.integers(0, 2**31))
def test_no_feasible_point_is_nearer(rows: Tensor, c: float, seed: int, centralize: bool, spherize: bool) -> None:
    """Among random feasible points, far and close by, none is nearer to the row than its projection."""
    projected = cwn.project_rows(rows, c, centralize=centralize, spherize=spherize)
    best = (projected - rows).square().sum(-1)
    generator = torch.Generator().manual_seed(seed)
    for spread in (1e-4, 1e-2, 1.0, 100.0):
        noise = torch.randn(64, *rows.shape, generator=generator, dtype=torch.float64)
        # Feasible by the oracle's arithmetic, not by the function under test.
        others = projected + spread * noise
        shape = others.shape
        others = torch.from_numpy(nearest_rows(others.flatten(0, 1).numpy(), c, centralize, spherize)).view(shape)
        assert ((others - rows).square().sum(-1) >= best * (1 - 1e-12)).all()


@given(rows=float64_rows(), c=radii, factor=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3))
def test_scale_and_shift_of_a_row_do_not_matter(rows: Tensor, c: float, factor: float, shift: float) -> None:
    expected = cwn.project_rows(rows, c)
    torch.testing.assert_close(cwn.project_rows(factor * rows, c), expected, rtol=1e-10, atol=1e-10 * math.sqrt(c))
    # A shift of 1e3 costs its bits: the rows above differ by 1e-3 at least, so 1e-16 * 1e3 / 1e-3 is left.
    torch.testing.assert_close(cwn.project_rows(rows + shift, c), expected, rtol=1e-8, atol=1e-8 * math.sqrt(c))


@given(rows=float64_rows(), c=radii)
def test_opposite_rows_have_opposite_projections(rows: Tensor, c: float) -> None:
    """The nearest, not the farthest of the two stationary points of Eq. 10: the sign of the row is kept."""
    projected = cwn.project_rows(rows, c)
    assert torch.equal(cwn.project_rows(-rows, c), -projected)
    assert ((rows * projected).sum(-1) > 0).all()


@given(rows=float64_rows(), c=radii)
def test_radius_enters_as_its_root(rows: Tensor, c: float) -> None:
    """Eq. 11: c is a *squared* norm."""
    torch.testing.assert_close(cwn.project_rows(rows, c), math.sqrt(c) * cwn.project_rows(rows, 1.0))


@kinds
def test_leading_axes_are_batches(centralize: bool, spherize: bool) -> None:
    """`(..., out, n)`: a stack of weights is projected row by row, a single row as well, no rows as well."""
    rows = torch.randn(3, 2, 4, 7, dtype=torch.float64)
    batch = cwn.project_rows(rows, 3.0, centralize=centralize, spherize=spherize)
    for index in np.ndindex(3, 2, 4):
        alone = cwn.project_rows(rows[index], 3.0, centralize=centralize, spherize=spherize)
        torch.testing.assert_close(batch[index], alone, rtol=1e-14, atol=1e-14)
    empty = cwn.project_rows(torch.empty(0, 7), centralize=centralize, spherize=spherize)
    assert empty.shape == (0, 7)
    assert cwn.project_rows(torch.empty(2, 0, 7), centralize=centralize, spherize=spherize).shape == (2, 0, 7)


def test_strides_do_not_matter_and_the_input_is_not_written() -> None:
    rows = torch.randn(6, 10)
    expected = cwn.project_rows(rows)
    for strided in (rows.t().contiguous().t(), rows.repeat_interleave(2, 1)[:, ::2], rows.flip(0).flip(0)):
        before = strided.clone()
        torch.testing.assert_close(cwn.project_rows(strided), expected, rtol=1e-6, atol=1e-6)
        assert torch.equal(strided, before)
    expanded = torch.randn(1, 10).expand(6, 10)
    assert torch.equal(cwn.project_rows(expanded)[5], cwn.project_rows(expanded[0]))
