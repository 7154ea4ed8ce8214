"""`project_rows` in floating point: extreme magnitudes, rows without direction, narrow dtypes, derivatives."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import cwn_lite as cwn

KINDS = [(True, True), (True, False), (False, True)]
kinds = pytest.mark.parametrize(("centralize", "spherize"), KINDS)


def error(rows: Tensor, c: float = 2.0) -> float:
    """Relative distance from the set of zero mean and squared norm c."""
    rows = rows.double()
    norm = (rows.square().sum(-1) / c - 1).abs().max().item()
    return max(norm, rows.sum(-1).abs().max().item() / math.sqrt(rows.shape[-1] * c))


@pytest.mark.parametrize(
    ("dtype", "exponent"),
    [(torch.float32, k) for k in (-140, -126, -70, 70, 125)]
    + [(torch.float64, k) for k in (-1060, -1020, -540, 540, 1021)],
)
@kinds
def test_rows_of_any_magnitude(dtype: torch.dtype, exponent: int, centralize: bool, spherize: bool) -> None:
    """Squares and sums that would overflow or vanish do not: about 1e-42 to 1e38 in float32, 1e-319 to 1e307 in 64."""
    rows = torch.tensor([[3.0, 1.0, 2.0, -1.0], [1.0, 0.0, -3.0, 2.0]], dtype=dtype)
    magnitude = math.ldexp(1, exponent)
    expected = cwn.project_rows(rows, centralize=centralize, spherize=spherize)
    projected = cwn.project_rows(rows * magnitude, centralize=centralize, spherize=spherize)
    assert torch.equal(projected, expected if spherize else expected * magnitude), "a power of two costs no bit"


@kinds
def test_rows_of_the_largest_numbers(centralize: bool, spherize: bool) -> None:
    """Sums of four such numbers overflow; their mean does not."""
    top = torch.finfo(torch.float32).max
    projected = cwn.project_rows(top * torch.tensor([[1.0, 1.0, 1.0, 0.5]]), centralize=centralize, spherize=spherize)
    unit = cwn.project_rows(torch.tensor([[1.0, 1.0, 1.0, 0.5]]), centralize=centralize, spherize=spherize)
    torch.testing.assert_close(projected, unit if spherize else top * unit)


def test_magnitudes_may_differ_between_rows() -> None:
    base = torch.randn(1, 50, dtype=torch.float64)
    powers = torch.tensor([[2.0**k] for k in (-900, -3, 0, 3, 900)], dtype=torch.float64)
    projected = cwn.project_rows(base * powers)
    assert torch.equal(projected, cwn.project_rows(base).expand_as(projected)), "a power of two costs no bit"


@pytest.mark.parametrize(("dtype", "offset"), [(torch.float32, 1e4), (torch.float64, 1e12)])
def test_a_huge_common_offset_leaves_no_mean(dtype: torch.dtype, offset: float) -> None:
    """One pass of centring leaves the rounding of the mean; relative to the small rest that is far from zero."""
    rows = torch.randn(20, 500, dtype=dtype) + offset
    assert error(cwn.project_rows(rows)) < 4 * torch.finfo(dtype).eps
    torch.testing.assert_close(
        cwn.project_rows(rows).double(),
        cwn.project_rows(rows.double() - rows.double().mean(1, keepdim=True)),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("n", [2, 3, 4, 27, 10_000])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_rows_without_direction_get_the_fixed_point(dtype: torch.dtype, n: int) -> None:
    """Zero and constant rows are equally far from every feasible point; a fixed, feasible one is chosen."""
    rows = torch.tensor([0.0, 1.0, -0.1, 1e4, 1e-7]).to(dtype)[:, None].repeat(1, n)
    projected = cwn.project_rows(rows, 3.0)
    fixed = torch.linspace(-1, 1, n, dtype=torch.float64)
    fixed = (fixed * math.sqrt(3 / fixed.square().sum())).to(dtype)
    torch.testing.assert_close(projected, fixed.expand_as(projected))
    assert error(projected, 3.0) < (4 if dtype.itemsize > 2 else 40) * torch.finfo(dtype).eps


def test_zero_row_on_the_sphere_alone_gets_the_fixed_point_and_a_constant_row_does_not() -> None:
    rows = torch.tensor([[0.0, 0.0], [5.0, 5.0]])
    projected = cwn.project_rows(rows, centralize=False)
    torch.testing.assert_close(projected, torch.tensor([[-1.0, 1.0], [1.0, 1.0]]))
    torch.testing.assert_close(
        cwn.project_rows(torch.tensor([[-3.0], [0.1]]), centralize=False).abs(), torch.full((2, 1), 2.0**0.5)
    )


@pytest.mark.parametrize("base", [1.0, 0.1, -7.0, 1.9999, 1e-30, 1e30])
@pytest.mark.parametrize("n", [2, 64, 1000])
def test_one_unit_in_the_last_place_is_a_direction(n: int, base: float) -> None:
    """A row is without direction only if its numbers are equal: it is the rule by which `constrain` refuses a row."""
    row = torch.full((1, n), base)
    row[0, 0] = torch.nextafter(row[0, 0], torch.tensor(math.inf))
    projected = cwn.project_rows(row)
    direction = torch.full((n,), -1.0)
    direction[0] = n - 1
    torch.testing.assert_close(projected[0], direction * math.sqrt(2 / (n * (n - 1))), rtol=1e-5, atol=1e-5)
    assert error(projected) < 1e-5


@kinds
def test_nan_and_infinity_stay_visible_and_stay_in_their_row(centralize: bool, spherize: bool) -> None:
    rows = torch.randn(4, 5)
    expected = cwn.project_rows(rows, centralize=centralize, spherize=spherize)
    rows[1, 2], rows[3, 0] = math.nan, math.inf
    projected = cwn.project_rows(rows, centralize=centralize, spherize=spherize)
    assert torch.equal(projected[[0, 2]], expected[[0, 2]])
    assert projected[1].isnan().any() and not projected[3].isfinite().all()


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    # Storage rounds each number by eps / 2 relatively; errors of 576 numbers average out in norm and mean.
    [(torch.float64, 2e-15), (torch.float32, 5e-7), (torch.float16, 2e-4), (torch.bfloat16, 2e-3)],
)
def test_dtype_is_kept_and_arithmetic_is_float32_at_least(dtype: torch.dtype, tolerance: float) -> None:
    rows = (torch.randn(64, 576, dtype=torch.float64) + 0.3).to(dtype)
    projected = cwn.project_rows(rows)
    assert projected.dtype == dtype
    assert error(projected) < tolerance
    if dtype.itemsize == 2:
        wide = cwn.project_rows(rows.float())
        assert torch.equal(projected, wide.to(dtype)), "rounded once, at the end"


@pytest.mark.parametrize("c", [1e-3, 1.0, 2.0, cwn.C_CENTERED, 1e6])
def test_jacobian_is_the_one_of_theory(c: float) -> None:
    """`√c / ‖Pv‖ · (I − ŵŵᵀ) P` with `ŵ = Pv / ‖Pv‖`; orthogonal to 1 and to the row itself."""
    n = 9
    v = torch.randn(n, dtype=torch.float64) + 1
    centring = torch.eye(n, dtype=torch.float64) - 1 / n
    length = (centring @ v).norm()
    unit = centring @ v / length
    theory = math.sqrt(c) / length * (torch.eye(n, dtype=torch.float64) - torch.outer(unit, unit)) @ centring
    jacobian = torch.autograd.functional.jacobian(lambda row: cwn.project_rows(row, c), v)
    torch.testing.assert_close(jacobian, theory, rtol=1e-12, atol=1e-12 * float(theory.abs().max()))


@kinds
def test_derivatives_agree_with_finite_differences(centralize: bool, spherize: bool) -> None:
    rows = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)

    def project(rows: Tensor) -> Tensor:
        return cwn.project_rows(rows, 2.5, centralize=centralize, spherize=spherize)

    assert torch.autograd.gradcheck(project, rows)
    assert torch.autograd.gradgradcheck(project, rows)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_is_zero_at_rows_without_direction_and_finite_beside_them(dtype: torch.dtype) -> None:
    rows = torch.tensor([[0.0] * 4, [3.0] * 4, [1.0, 2.0, 3.0, 5.0]], dtype=dtype, requires_grad=True)
    projected = cwn.project_rows(rows)
    (gradient,) = torch.autograd.grad(projected, rows, torch.randn_like(projected))
    assert torch.equal(gradient[:2], torch.zeros(2, 4, dtype=dtype))
    assert gradient[2].isfinite().all() and gradient[2].abs().max() > 0


def test_gradient_scales_inversely_with_the_row() -> None:
    """The division by a power of two inside does not enter the derivative."""
    row = torch.randn(6, dtype=torch.float64)
    cotangent = torch.randn(6, dtype=torch.float64)

    def gradient(scale: float) -> Tensor:
        v = (row * scale).requires_grad_()
        return torch.autograd.grad(cwn.project_rows(v), v, cotangent)[0]

    torch.testing.assert_close(gradient(1e5) * 1e5, gradient(1.0), rtol=1e-12, atol=0)


def test_compiled_projection_is_one_graph() -> None:
    rows = torch.randn(8, 30)
    compiled = torch.compile(cwn.project_rows, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(rows), cwn.project_rows(rows))
