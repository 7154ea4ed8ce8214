"""`orthogonalize`: the polar factor of the SVD, to the accuracy asked for, whatever the shape and the scale."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused
from torch import Tensor

from cwn_lite.orthogonal import best_polynomials, orthogonalize


def polar(m: Tensor) -> Tensor:
    u, _, vh = torch.linalg.svd(m, full_matrices=False)
    return u @ vh


def with_values(rows: int, n: int, values: Tensor) -> Tensor:
    u = torch.linalg.qr(torch.randn(rows, len(values), dtype=torch.float64)).Q
    v = torch.linalg.qr(torch.randn(n, len(values), dtype=torch.float64)).Q
    return u @ torch.diag(values) @ v.mT


def relative(values: Tensor) -> Tensor:
    """Singular values in units of the bound that the docstring names."""
    return values / values.pow(4).sum() ** 0.25


@pytest.mark.parametrize("accuracy", [0.3, 0.1, 1e-3, 1e-9])
@pytest.mark.parametrize(("rows", "n"), [(8, 40), (40, 8), (12, 12), (1, 9), (9, 1), (64, 576)])
def test_it_is_the_polar_factor_to_the_accuracy_asked_for(rows: int, n: int, accuracy: float) -> None:
    torch.manual_seed(0)
    values = torch.logspace(0, -1.2, min(rows, n), dtype=torch.float64)
    m = with_values(rows, n, values)
    floor = 0.9 * float(relative(values).min())
    got = orthogonalize(m, accuracy=accuracy, floor=floor)
    ends = torch.linalg.svdvals(got)
    assert (ends - 1).abs().max() <= accuracy * 1.001 + 1e-12
    # The same singular vectors: only their values have changed.
    error = torch.linalg.matrix_norm(got - polar(m), 2)
    assert error <= accuracy * 1.001 + 1e-10


def test_values_below_the_floor_keep_their_order_and_end_below() -> None:
    values = torch.tensor([1.0, 0.5, 1e-3, 1e-4, 0.0], dtype=torch.float64)
    got = torch.linalg.svdvals(orthogonalize(with_values(5, 7, values), accuracy=0.1, floor=0.1))
    assert (got[:2] - 1).abs().max() <= 0.1
    assert got[2] < 0.9 and got[3] < got[2] and got[4] < 1e-12


@given(exponent=st.integers(-30, 30), seed=st.integers(0, 20))
@settings(max_examples=25, deadline=None)
def test_the_scale_of_a_matrix_does_not_matter(exponent: int, seed: int) -> None:
    m = torch.randn(6, 10, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(orthogonalize(m * 2.0**exponent), orthogonalize(m), rtol=1e-4, atol=1e-5)


def test_a_stack_is_each_of_its_matrices_and_no_matrix_is_changed() -> None:
    stack = torch.randn(2, 3, 5, 7)
    before = stack.clone()
    got = orthogonalize(stack)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(got[i, j], orthogonalize(stack[i, j]))
    assert torch.equal(stack, before)


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_zero_and_non_finite_matrices_become_zero_beside_good_ones(bad: float) -> None:
    stack = torch.randn(3, 4, 6)
    stack[1] = 0.0
    stack[1, 2, 3] = bad
    got = orthogonalize(stack)
    assert torch.equal(got[1], torch.zeros(4, 6)) and got.isfinite().all()
    torch.testing.assert_close(got[0], orthogonalize(stack[0]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_dtype_is_kept_and_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    m = torch.randn(5, 9).to(dtype)
    got = orthogonalize(m, accuracy=1e-3)
    assert got.dtype == dtype
    torch.testing.assert_close(got.double(), polar(m.double()), rtol=0.02, atol=0.02)


@pytest.mark.parametrize(("accuracy", "floor"), [(0.3, 1e-2), (0.1, 1e-3), (1e-6, 1e-4), (0.5, 0.9)])
def test_polynomials_bring_the_interval_to_one_and_none_is_superfluous(accuracy: float, floor: float) -> None:
    x = torch.cat([torch.linspace(floor, 1, 20_001), torch.logspace(torch.tensor(floor).log10(), 0, 20_001)]).double()
    x = x.clamp(floor, 1)
    worst = []
    for a, b, c in best_polynomials(accuracy, floor):
        x = x * (a + b * x**2 + c * x**4)
        worst.append(float((x - 1).abs().max()))
    assert worst[-1] <= accuracy * 1.0001 + 1e-12
    assert all(w > accuracy for w in worst[:-1])


def test_bad_arguments() -> None:
    with refused(ValueError, "matrices has shape (3,)"):
        orthogonalize(torch.zeros(3))
    for name in ("accuracy", "floor"):
        for value in (0.0, 1.0, -1.0, float("nan")):
            with refused(ValueError, name):
                orthogonalize(torch.eye(3), **{name: value})
    with refused(TypeError, "matrices"):
        orthogonalize(torch.eye(3, dtype=torch.int64))


@pytest.mark.parametrize(("rows", "n"), [(8, 40), (40, 8), (12, 12), (1, 9), (64, 576)])
def test_products_in_bfloat16_are_right_to_some_hundredths(rows: int, n: int) -> None:
    torch.manual_seed(0)
    m = with_values(rows, n, torch.logspace(0, -1.2, min(rows, n), dtype=torch.float64)).float()
    got = orthogonalize(m, accuracy=0.05, dtype=torch.bfloat16)
    assert got.dtype == torch.float32
    ends = torch.linalg.svdvals(got)
    assert (ends - 1).abs().max() < 0.08
    assert (got - polar(m)).norm() < 0.1 * polar(m).norm()


@pytest.mark.parametrize(("rows", "n"), [(64, 288), (64, 576), (128, 128), (16, 27), (27, 16)])
def test_products_in_bfloat16_do_not_overshoot(rows: int, n: int) -> None:
    ends = torch.linalg.svdvals(orthogonalize(torch.randn(2, 4, rows, n), dtype=torch.bfloat16))
    assert ends.max() < 1.05, "polynomials are steep beyond the interval that they are made for"


def test_products_in_bfloat16_leave_no_value_behind_that_rounding_would_hide_in_the_gram_matrix() -> None:
    torch.manual_seed(0)
    m = with_values(16, 64, torch.logspace(0, -2, 16, dtype=torch.float64)).float()
    ends = torch.linalg.svdvals(orthogonalize(m, floor=5e-3, dtype=torch.bfloat16))
    assert ends.max() < 1.15 and ends.min() > 0.7


def test_a_dtype_of_products_that_is_none_is_refused() -> None:
    with refused(TypeError, "dtype", "int64"):
        orthogonalize(torch.randn(3, 4), dtype=torch.int64)


@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float16, torch.float64])
def test_zeros_stay_zeros_in_every_dtype(dtype: torch.dtype | None) -> None:
    assert torch.equal(orthogonalize(torch.zeros(2, 3, 4), dtype=dtype), torch.zeros(2, 3, 4))
