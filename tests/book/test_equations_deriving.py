"""Every displayed equation of the chapter "Deriving Eq. 11", checked against the shipped code."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds
from torch import Tensor

import cwn_lite as cwn

C = 3.0  # not the default, so that a lost factor of c shows


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(11)


def randn(rng: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=rng)


def feasible(rng: torch.Generator, *shape: int) -> Tensor:
    return cwn.project_rows(randn(rng, *shape), C)


def centre(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1)


def close(a: Tensor, b: Tensor | float, tol: float = 1e-11) -> bool:
    return torch.allclose(a, torch.as_tensor(b, dtype=a.dtype).expand_as(a), rtol=tol, atol=tol)


@pytest.mark.equation("eq:deriving:set")
def test_projected_rows_lie_in_the_set(rng: torch.Generator) -> None:
    w = cwn.project_rows(randn(rng, 50, 7))
    assert close(w.square().sum(-1), 2.0) and close(w.sum(-1), 0.0)  # the default c is the paper's 2


@pytest.mark.equation("eq:deriving:plain-step")
def test_sgd_makes_the_plain_step(rng: torch.Generator) -> None:
    w, g = randn(rng, 5), randn(rng, 5)
    parameter = torch.nn.Parameter(w.clone())
    parameter.grad = g
    torch.optim.SGD([parameter], lr=0.3).step()
    assert close(parameter.detach(), w - 0.3 * g)


@pytest.mark.equation("eq:deriving:nearest")
def test_no_feasible_point_is_nearer(rng: torch.Generator) -> None:
    v = randn(rng, 6)
    rivals = feasible(rng, 20_000, 6)
    best = (cwn.project_rows(v, C) - v).square().sum()
    assert (rivals - v).square().sum(-1).min() >= best


def lagrangian(u: Tensor, v: Tensor, lambda1: Tensor, lambda2: Tensor) -> Tensor:
    return (u - v).square().sum() + lambda1 * (u.square().sum() - C) + lambda2 * u.sum()


@pytest.mark.equation("eq:deriving:lagrangian")
@pytest.mark.equation("eq:deriving:lambda2")
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_lagrangian_is_stationary_at_both_points(rng: torch.Generator, sign: float) -> None:
    v = randn(rng, 6)
    u = (sign * cwn.project_rows(v, C)).requires_grad_()
    multipliers = torch.stack([sign * centre(v).norm() / math.sqrt(C) - 1, 2 * v.sum() / 6]).requires_grad_()
    for gradient in torch.autograd.grad(lagrangian(u, v, *multipliers), [u, multipliers]):
        assert close(gradient, 0.0)


@pytest.mark.equation("eq:deriving:stationary")
def test_the_gradient_of_the_lagrangian(rng: torch.Generator) -> None:
    u, v = randn(rng, 6).requires_grad_(), randn(rng, 6)
    lambda1, lambda2 = randn(rng), randn(rng)
    (gradient,) = torch.autograd.grad(lagrangian(u, v, lambda1, lambda2), u)
    assert close(gradient, (2 * (u - v) + 2 * lambda1 * u + lambda2).detach())


@pytest.mark.equation("eq:deriving:centring")
def test_centring_is_the_projection_that_removes_the_mean(rng: torch.Generator) -> None:
    v, one = randn(rng, 6), torch.ones(6, dtype=torch.float64)
    p = torch.eye(6, dtype=torch.float64) - torch.outer(one, one) / 6
    assert close(p @ v, centre(v)) and close(p @ p, p) and close(p @ one, 0.0)
    u = cwn.project_rows(v, C)
    assert close(centre(v).norm() / math.sqrt(C) * u, p @ v)  # (1 + λ₁) u = Pv


@pytest.mark.equation("eq:deriving:two-points")
@pytest.mark.equation("eq:deriving:projection")
def test_the_projection_is_the_positive_stationary_point(rng: torch.Generator) -> None:
    v = randn(rng, 40, 6)
    expected = math.sqrt(C) * centre(v) / centre(v).norm(dim=-1, keepdim=True)
    assert close(cwn.project_rows(v, C), expected)
    assert close(cwn.project_rows(-v, C), -expected)


@pytest.mark.equation("eq:deriving:distance")
def test_distance_of_a_feasible_point(rng: torch.Generator) -> None:
    u, v = feasible(rng, 40, 6), randn(rng, 40, 6)
    assert close((u - v).square().sum(-1), C + dot(v, v) - 2 * dot(u, centre(v)))


@pytest.mark.equation("eq:deriving:cauchy")
def test_the_bound_is_reached_by_the_projection_and_its_mirror_image(rng: torch.Generator) -> None:
    u, v = feasible(rng, 5000, 4), randn(rng, 4)
    bound = math.sqrt(C) * centre(v).norm()
    products = dot(u, centre(v))
    assert products.abs().max() <= bound
    assert products.abs().max() > 0.99 * bound  # the bound is tight, so a larger one would be wrong
    assert close(dot(cwn.project_rows(v, C), centre(v)), bound)


@pytest.mark.equation("eq:deriving:gap")
def test_gap_between_nearest_and_farthest(rng: torch.Generator) -> None:
    v = randn(rng, 40, 6)
    u = cwn.project_rows(v, C)
    gap = (-u - v).square().sum(-1) - (u - v).square().sum(-1)
    assert close(gap, 4 * math.sqrt(C) * centre(v).norm(dim=-1))


@pytest.mark.equation("eq:deriving:eq11")
def test_eq11_centres_the_gradient_only(rng: torch.Generator) -> None:
    w, g = randn(rng, 40, 6), randn(rng, 40, 6)
    stepped = w - 0.3 * centre(g)
    assert close(cwn.projected_step(w, g, 0.3, C), math.sqrt(C) * stepped / stepped.norm(dim=-1, keepdim=True))
    assert not close(cwn.projected_step(w, g, 0.3, C), cwn.project_rows(w - 0.3 * g, C), tol=1e-3)
    w = cwn.project_rows(w, C)  # centred start: the two agree
    assert close(cwn.projected_step(w, g, 0.3, C), cwn.project_rows(w - 0.3 * g, C))


@pytest.mark.equation("eq:deriving:energy")
@pytest.mark.parametrize("n", [4, 27])
def test_share_of_the_mean_in_a_random_row(rng: torch.Generator, n: int) -> None:
    w = randn(rng, 200_000, n)
    share = (w - centre(w)).square().sum(-1).mean() / w.square().sum(-1).mean()
    assert float(share) == pytest.approx(1 / n, rel=0.02)  # four standard errors of the sample


@pytest.mark.equation("eq:deriving:commute")
@pytest.mark.parametrize("nesterov", [False, True])
def test_stock_momentum_commutes_with_centring(rng: torch.Generator, nesterov: bool) -> None:
    w = torch.nn.Parameter(feasible(rng, 5, 6))
    buffer, hand = torch.zeros_like(w), w.detach().clone()
    optimizer = torch.optim.SGD([w], lr=0.2, momentum=0.9, nesterov=nesterov)
    for _ in range(20):
        w.grad = g = randn(rng, 5, 6)
        optimizer.step()
        with torch.no_grad():
            w.copy_(cwn.project_rows(w, C))
        buffer = 0.9 * buffer + centre(g)
        step = centre(g) + 0.9 * buffer if nesterov else buffer
        hand = math.sqrt(C) * (hand - 0.2 * step) / (hand - 0.2 * step).norm(dim=-1, keepdim=True)
        assert close(centre(optimizer.state[w]["momentum_buffer"]), buffer)
        assert close(w.detach(), hand)


@pytest.mark.equation("eq:deriving:update")
@pytest.mark.equation("eq:deriving:coefficients")
def test_update_rule_with_the_root_put_back(rng: torch.Generator) -> None:
    w, g, lr = feasible(rng, 40, 6), randn(rng, 40, 6), 0.3
    keep = math.sqrt(C) / (w - lr * centre(g)).norm(dim=-1, keepdim=True)
    plus = cwn.projected_step(w, g, lr, C)
    assert close(plus, keep * w - keep * lr * centre(g))
    assert close(plus.square().sum(-1), C)


@pytest.mark.equation("eq:deriving:stepped-norm")
@pytest.mark.equation("eq:deriving:sign")
def test_sign_of_the_shrinkage(rng: torch.Generator) -> None:
    w, g, lr = feasible(rng, 400, 6), randn(rng, 400, 6), 0.3
    stepped = w - lr * centre(g)
    assert close(stepped.square().sum(-1), C - 2 * lr * dot(w, g) + lr**2 * centre(g).square().sum(-1))
    # β read off the shipped step: the part of w⁺ along w, after the gradient's share is taken out
    beta = 1 - math.sqrt(C) / stepped.norm(dim=-1)
    assert close(cwn.projected_step(w, g, lr, C), (1 - beta)[:, None] * stepped)
    shrinks = 2 * dot(w, g) < lr * centre(g).square().sum(-1)
    assert torch.equal(beta > 0, shrinks)
    assert 20 < int(shrinks.sum()) < 380  # both signs occur


def riemannian(w: Tensor, g: Tensor) -> Tensor:
    return centre(g) - dot(w, g)[:, None] / C * w


@pytest.mark.equation("eq:deriving:riemannian")
def test_riemannian_gradient_is_the_derivative_along_the_set(rng: torch.Generator) -> None:
    w, g = feasible(rng, 40, 6), randn(rng, 40, 6)
    gradient = riemannian(w, g)
    assert close(gradient.sum(-1), 0.0) and close(dot(gradient, w), 0.0)
    # of L(w) = gᵀw: the chain rule through the projection, at a feasible point, gives the same vector
    point = w.clone().requires_grad_()
    (through,) = torch.autograd.grad(dot(cwn.project_rows(point, C), g).sum(), point)
    assert close(through, gradient)


@pytest.mark.equation("eq:deriving:split")
@pytest.mark.equation("eq:deriving:effective")
@pytest.mark.equation("eq:deriving:angle")
def test_algorithm_1_is_a_riemannian_step_with_its_own_rate(rng: torch.Generator) -> None:
    w, g, lr = feasible(rng, 400, 6), randn(rng, 400, 6), 0.2
    bracket = 1 - lr * dot(w, g) / C
    assert bracket.min() > 0
    gradient = riemannian(w, g)
    assert close(w - lr * centre(g), bracket[:, None] * w - lr * gradient)
    effective = lr / bracket
    plus = cwn.projected_step(w, g, lr, C)
    assert close(plus, cwn.project_rows(w - effective[:, None] * gradient, C))
    angle = torch.atan2((plus - dot(plus, w)[:, None] / C * w).norm(dim=-1), dot(plus, w) / math.sqrt(C))
    assert close(angle.tan(), effective * gradient.norm(dim=-1) / math.sqrt(C))


# The page's own LaTeX, evaluated: a factor lost on the page is noticed as well as one lost in the code.

N, LR, DECAY = 8, 0.2, 0.3


@pytest.fixture
def page(rng: torch.Generator) -> dict[str, Any]:
    """What the chapter's symbols mean for a feasible row, a gradient, and another feasible point."""
    w, g, u = feasible(rng, N), randn(rng, N), feasible(rng, N)
    v, step = w - LR * g, w - LR * centre(g)
    bracket = 1 - LR * float(dot(w, g)) / C
    gradient = centre(g) - float(dot(w, g)) / C * w
    plus = cwn.projected_step(w, g, LR, C)
    cosine = float(dot(plus, w)) / C
    symbols: dict[str, Any] = {
        "w": w,
        "g": g,
        "u": u,
        "v": v,
        "u_-": -cwn.project_rows(v, C),
        "u_+": cwn.project_rows(v, C),
        "w^{+}": plus,
        "w^{(t)}": w,
        "w^{(t+1)}": plus,
        r"\tilde w": step,
        r"\tilde w^{(t)}": step,
        r"\operatorname{grad} L": gradient,
        r"\mathbf 1": torch.ones(N),
        "P": torch.eye(N, dtype=torch.float64) - 1 / N,
        "q": w / math.sqrt(C),
    }
    numbers = {
        "n": N,
        "c": C,
        r"\alpha": LR,
        r"\lambda": DECAY,
        r"\beta": 1 - math.sqrt(C / float(dot(step, step))),
        r"\alpha'": LR * math.sqrt(C / float(dot(step, step))),
        r"\alpha_{\mathrm{eff}}": LR / bracket,
        r"\tan\theta": math.sqrt(1 - cosine**2) / cosine,
        r"\Pi": lambda x: cwn.project_rows(torch.from_numpy(np.asarray(x)), C).numpy(),
    }
    return {key: value.numpy().astype(float) for key, value in symbols.items()} | numbers


@pytest.mark.equation("eq:deriving:mean")
@pytest.mark.equation("eq:deriving:decay")
@pytest.mark.equation("eq:deriving:angle-c")
@pytest.mark.parametrize(
    "name",
    [
        "plain-step",
        "distance",
        "cauchy",
        "gap",
        "projection",
        "eq11",
        "mean",
        "update",
        "coefficients",
        "stepped-norm",
        "decay",
        "riemannian",
        "split",
        "effective",
        "angle",
        "angle-c",
    ],
)
def test_the_formula_on_the_page(page: dict[str, Any], name: str, rng: torch.Generator) -> None:
    if name == "mean":  # of a row that has one
        w, g = randn(rng, N), randn(rng, N)
        plus, step = cwn.projected_step(w, g, LR, C), w - LR * centre(g)
        names = {"w^{(t)}": w, "w^{(t+1)}": plus, r"\tilde w^{(t)}": step}
        page |= {key: value.numpy() for key, value in names.items()}
    assert holds(formula(f"eq:deriving:{name}"), page)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("gap", "4", "2"),
        ("coefficients", r"\sqrt c \, \alpha", r"\alpha"),
        ("effective", "1 - ", "1 + "),
        ("eq11", r"\sqrt{c}", "c"),
        ("decay", r"1 - \alpha\lambda", r"1 + \alpha\lambda"),
    ],
)
def test_a_slip_on_the_page_is_noticed(page: dict[str, Any], name: str, right: str, wrong: str) -> None:
    tex = formula(f"eq:deriving:{name}")
    assert right in tex
    assert not holds(tex.replace(right, wrong), page)
