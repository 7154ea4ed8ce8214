"""`turned`: one angle for all rows, one singular value for all directions, and a pull against agreement."""

from __future__ import annotations

import math

import pytest
import torch
from refusals import refused
from torch import Tensor

import cwn_lite as cwn

SHAPES = [(8, 40), (40, 8), (12, 12), (1, 9), (3, 5, 18), (2, 3, 4, 6)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def feasible(*shape: int) -> Tensor:
    torch.manual_seed(0)
    return cwn.project_rows(torch.randn(*shape, dtype=torch.float64), c=3.0)


def by_svd(w: Tensor, d: Tensor, lr: float) -> Tensor:
    """The formula of the docstring on one matrix, by the SVD, without the pull."""
    d = d - d.mean(1, keepdim=True)
    d = torch.stack([row - (row @ unit) * unit for row, unit in zip(d, w / w.norm(dim=1, keepdim=True), strict=True)])
    u, s, vh = torch.linalg.svd(d, full_matrices=False)
    keep = s > 1e-9 * s[0]
    o = u[:, keep] @ vh[keep]
    return w - lr * w.norm() * o / math.sqrt(min(w.shape))


@shapes
def test_it_is_the_formula_of_the_docstring(shape: tuple[int, ...]) -> None:
    w, d = feasible(*shape), torch.randn(*shape, dtype=torch.float64)
    got = cwn.turned(w, d, 0.05).reshape(-1, *shape[-2:])
    for mine, rows, direction in zip(got, w.reshape(got.shape), d.reshape(got.shape), strict=True):
        expected = by_svd(rows, direction, 0.05)
        # Singular values of the step may deviate from one another by the accuracy of `orthogonalize`.
        assert (mine - expected).norm() < 0.1 * (expected - rows).norm()


@shapes
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_rows_turn_by_the_angle_and_do_not_grow(shape: tuple[int, ...], scale: float) -> None:
    w, d = feasible(*shape), scale * torch.randn(*shape, dtype=torch.float64)
    new = cwn.turned(w, d, 1e-3)
    turn = torch.linalg.matrix_norm(new - w) / torch.linalg.matrix_norm(w)
    # Square ones have a direction less, that of the mean, and one that is nearly along the rows.
    assert (turn / 1e-3 - 1).abs().max() < (0.11 if shape[-2] != shape[-1] else 0.25)
    if shape[-2] <= shape[-1] // 2:  # where the step has orthonormal rows, all turn alike
        each = (new - w).norm(dim=-1) / w.norm(dim=-1)
        assert (each / 1e-3 - 1).abs().max() < 0.25
    assert (new.sum(-1).abs() < 1e-12).all()


def test_all_directions_are_stretched_alike_however_much_the_gradient_agrees() -> None:
    w = feasible(16, 64)
    common = torch.ones(16, 1, dtype=torch.float64) * torch.randn(64, dtype=torch.float64)
    d = 20 * common + torch.randn(16, 64, dtype=torch.float64)
    values = torch.linalg.svdvals(cwn.turned(w, d, 0.1) - w)
    most = 0.1 * w.norm() / math.sqrt(16)
    assert values[0] < 1.11 * most, "whatever the direction"
    assert values[-2] > 0.2 * most
    plain = torch.linalg.svdvals(d)
    assert plain[0] > 50 * plain[1], "and the gradient's own are not"


@pytest.mark.parametrize("bad", [0.0, math.nan, math.inf])
@pytest.mark.parametrize("pull", [0.0, 1.0])
def test_a_row_without_usable_direction_stays_and_the_others_move_as_without_it(bad: float, pull: float) -> None:
    w, d = feasible(6, 20), torch.randn(6, 20, dtype=torch.float64)
    d[2] = bad if bad == 0 else d[2]
    d[2, 3] = bad
    new = cwn.turned(w, d, 0.1, coherence_decay=pull)
    assert torch.equal(new[2], w[2])
    rest = [0, 1, 3, 4, 5]
    assert ((new - w)[rest].norm(dim=1) > 0.05).all()
    if not pull:
        torch.testing.assert_close(new[rest], cwn.turned(w[rest], d[rest], 0.1), rtol=0, atol=1e-12)


def test_nothing_to_go_against_changes_nothing() -> None:
    w = feasible(4, 8)
    assert torch.equal(cwn.turned(w, torch.zeros_like(w), 0.1, coherence_decay=1.0), w)
    assert torch.equal(cwn.turned(w, torch.full_like(w, math.nan), 0.1, coherence_decay=1.0), w)


def test_the_pull_is_the_gradient_of_the_agreement_of_rows() -> None:
    w = feasible(6, 10).requires_grad_()
    (w @ w.mT).square().sum().div(4).backward()
    d = torch.randn(6, 10, dtype=torch.float64)
    pull = cwn.turned(w.detach(), d, 1.0) - cwn.turned(w.detach(), d, 1.0, coherence_decay=0.5)
    edge = 3.0 * (1 + math.sqrt(6 / 10)) ** 2
    assert w.grad is not None
    torch.testing.assert_close(pull, 0.5 * w.grad / edge)


def test_rows_that_are_orthogonal_are_not_pulled_apart() -> None:
    w = torch.linalg.qr(torch.randn(20, 6, dtype=torch.float64)).Q.mT * math.sqrt(3)
    d = torch.randn(6, 20, dtype=torch.float64)
    far = cwn.turned(w, d, 0.1, coherence_decay=1.0, centralize=False)
    near = cwn.turned(w, d, 0.1, centralize=False)
    # Only shortened, which the projection undoes.
    shorter = (near - far) / w
    torch.testing.assert_close(shorter, shorter.mean().expand_as(shorter), rtol=1e-9, atol=0)


def test_steps_that_always_agree_end_where_the_pull_balances_them_at_any_angle() -> None:
    w, d = feasible(64, 200), torch.randn(64, 1, dtype=torch.float64) * torch.randn(200, dtype=torch.float64)

    def end(lr: float, pull: float) -> float:
        rows = w
        for _ in range(int(20 / lr)):
            rows = cwn.project_rows(cwn.turned(rows, d, lr, coherence_decay=pull), c=3.0)
        return float(torch.linalg.matrix_norm(rows, 2))

    agreeing = math.sqrt(3.0 * 64)
    assert end(0.1, 0.0) > 0.9 * agreeing, "without it, all rows agree in the end"
    ends = [end(0.1, pull) for pull in (0.5, 1.0, 2.0)]
    assert ends[2] < ends[1] < ends[0] < 0.5 * agreeing
    for pull, there in zip((0.5, 2.0), ends[::2], strict=True):
        assert abs(end(0.03, pull) / there - 1) < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_narrow_rows_are_turned_in_float32(dtype: torch.dtype) -> None:
    w, d = feasible(6, 20).to(dtype), torch.randn(6, 20).to(dtype)
    new = cwn.turned(w, d, 0.1, coherence_decay=1.0)
    wide = cwn.turned(w.float(), d.float(), 0.1, coherence_decay=1.0)
    assert new.dtype == dtype
    torch.testing.assert_close(new, wide.to(dtype), rtol=0, atol=0)


def test_bad_arguments_are_named() -> None:
    w = feasible(4, 8)
    with refused(ValueError, "rows and direction", "(4, 8)", "(3, 8)"):
        cwn.turned(w, w[:3], 0.1)
    with refused(ValueError, "(8,)"):
        cwn.turned(w[0], w[0], 0.1)
    with refused(TypeError, "rows", "int64"):
        cwn.turned(w.long(), w, 0.1)
    with refused(ValueError, "coherence_decay", "-1"):
        cwn.turned(w, w, 0.1, coherence_decay=-1.0)


@pytest.mark.parametrize("cosine", [0.5, 0.9])
@pytest.mark.parametrize("shape", [(64, 144), (144, 64)], ids=str)
def test_rows_that_agree_much_are_pulled_apart_and_not_flipped(cosine: float, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    own, common = torch.randn(*shape, dtype=torch.float64), torch.randn(shape[1], dtype=torch.float64)
    w = cwn.project_rows(math.sqrt(1 - cosine) * own + math.sqrt(cosine) * common, c=3.0)
    start = float(torch.linalg.matrix_norm(w, 2))
    for _ in range(100):
        new = cwn.project_rows(cwn.turned(w, torch.randn_like(w), 0.1, coherence_decay=3.0), c=3.0)
        assert ((new * w).sum(1) > 0).double().mean() > 0.9
        w = new
    assert float(torch.linalg.matrix_norm(w, 2)) < 0.5 * start


def test_zeros_and_nothing_are_no_trouble() -> None:
    zero = torch.zeros(4, 6, dtype=torch.float64)
    assert torch.equal(cwn.turned(zero, torch.randn_like(zero), 0.1, coherence_decay=1.0), zero)
    assert cwn.turned(torch.zeros(0, 6), torch.zeros(0, 6), 0.1).shape == (0, 6)
    assert cwn.turned(torch.zeros(3, 0), torch.zeros(3, 0), 0.1, coherence_decay=1.0).shape == (3, 0)


def test_autocast_does_not_reach_the_step() -> None:
    w, d = feasible(6, 20).float(), torch.randn(6, 20)
    with torch.autocast("cpu", torch.bfloat16):
        inside = cwn.turned(w, d, 0.1, coherence_decay=1.0)
    assert torch.equal(inside, cwn.turned(w, d, 0.1, coherence_decay=1.0))


def test_a_step_can_be_differentiated_and_mapped() -> None:
    rows = torch.randn(3, 4, 8, requires_grad=True)
    direction = torch.randn(3, 4, 8)
    each = torch.func.vmap(lambda r, d: cwn.turned(r, d, 0.1, coherence_decay=1.0))(rows, direction)
    torch.testing.assert_close(each, cwn.turned(rows, direction, 0.1, coherence_decay=1.0))
    each.sum().backward()
    assert rows.grad is not None and rows.grad.isfinite().all() and rows.grad.any()
