"""Every displayed equation of "How far to step", read from the page and evaluated."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds
from bookcheck.tight import checker
from torch.utils.flop_counter import FlopCounterMode

import cwn_lite as cwn

C = 3.0  # not the default, so that a lost factor of c shows
rng = torch.Generator().manual_seed(5)


def rand(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=rng)


check = checker("stepping")


def agreeing(k: int, r: float) -> torch.Tensor:
    """Rows of squared norm `C` and zero mean, any two with cosine `r`."""
    basis = torch.linalg.qr(torch.cat([torch.ones(1, 4 * k).double(), rand(k + 1, 4 * k)]).mT).Q.mT
    return math.sqrt(C) * (math.sqrt(r) * basis[1] + math.sqrt(1 - r) * basis[2:])


@pytest.mark.equation("eq:stepping:gram")
@pytest.mark.equation("eq:stepping:largest")
@pytest.mark.parametrize("r", [0.1, 0.6])
def test_rows_that_agree(r: float) -> None:
    k = 7
    w = agreeing(k, r)
    assert (w.square().sum(1) - C).abs().max() < 1e-12 and w.sum(1).abs().max() < 1e-12
    known = {"W": w.numpy(), "c": C, "r": r, "I": np.eye(k), r"\mathbf 1": np.ones(k)}
    check("gram", known, "W", "c", "r")
    largest = float(torch.linalg.matrix_norm(w, 2))
    check("largest", {r"\sigma_1": largest, "c": C, "k": float(k), "r": r}, r"\sigma_1", "c", "k", "r")


@pytest.mark.equation("eq:stepping:edge")
def test_the_edge_of_random_rows() -> None:
    k, n = 400, 1600
    largest = float(torch.linalg.matrix_norm(cwn.project_rows(rand(k, n), C), 2))
    check("edge", {r"\sigma_1": largest, "c": C, "k": float(k), "n": float(n)}, r"\sigma_1", "c", rtol=0.02)
    # The number of rows acts through the root of a ratio: it takes more of a change to show.
    assert not holds(formula("eq:stepping:edge"), {r"\sigma_1": largest, "c": C, "k": 2.0 * k, "n": float(n)}, 0.02)


@pytest.mark.equation("eq:stepping:duality")
def test_no_step_of_its_size_lowers_the_loss_more() -> None:
    g, s = rand(5, 9), 0.3
    u, values, vh = torch.linalg.svd(g, full_matrices=False)
    tex = formula("eq:stepping:duality")
    best = float((g * (s * u @ vh)).sum())
    known = {
        r"\langle G, s \, U V^\top \rangle": best,
        "s": s,
        r"\sum_i \sigma_i": float(values.sum()),
    }
    assert holds(tex, known) and not holds(tex, known | {"s": 1.1 * s})
    for _ in range(200):
        other = rand(5, 9)
        other = s * other / torch.linalg.matrix_norm(other, 2)
        assert float((g * other).sum()) < best


@pytest.mark.equation("eq:stepping:step")
@pytest.mark.parametrize(("k", "n"), [(6, 30), (30, 6)])
def test_the_step_is_the_library_s(k: int, n: int) -> None:
    """Against the library's, whose singular values are right to a tenth."""
    w, angle = cwn.project_rows(rand(k, n), C), 0.05
    # A direction that is tangent already.
    d = rand(k, n)
    d = d - d.mean(1, keepdim=True)
    d = d - w * (w * d).sum(1, keepdim=True) / C
    u, values, vh = torch.linalg.svd(d, full_matrices=False)
    o = u[:, values > 1e-9] @ vh[values > 1e-9]
    q = w - angle * w.norm() / math.sqrt(min(k, n)) * o
    known = {
        "Q": q.numpy(),
        "W": w.numpy(),
        r"\theta": angle,
        r"\lVert W \rVert_F": float(w.norm()),
        "q": float(min(k, n)),
        "O": o.numpy(),
    }
    check("step", known, "Q", r"\theta", r"\lVert W \rVert_F", "q")
    assert (cwn.turned(w, d, angle) - q).norm() < 0.1 * (q - w).norm()


@pytest.mark.equation("eq:stepping:polynomial")
def test_a_polynomial_of_a_matrix_acts_on_its_singular_values() -> None:
    g = rand(4, 7)
    u, values, vh = torch.linalg.svd(g, full_matrices=False)
    known = {
        "G": g.numpy(),
        "U": u.numpy(),
        "V": vh.mT.numpy(),
        **{rf"\Sigma^{power}": np.diag(values.numpy() ** power) for power in (3, 5)},
        r"\Sigma": np.diag(values.numpy()),
        "a_1": 3.0,
        "a_3": -2.0,
        "a_5": 0.5,
    }
    check("polynomial", known, "G")
    assert not holds(formula("eq:stepping:polynomial"), known | {"U": -u.numpy()})


@pytest.mark.equation("eq:stepping:agree")
def test_the_agreement_of_rows() -> None:
    w = cwn.project_rows(rand(5, 8), C)
    gram = w @ w.mT
    known = {
        r"\lVert W W^\top \rVert_F": float(gram.norm()),
        "k": 5.0,
        "c": C,
        r"\sum_{i \ne j} \langle w_i, w_j \rangle^2": float(gram.square().sum() - gram.diagonal().square().sum()),
    }
    check("agree", known, *known)


@pytest.mark.equation("eq:stepping:pull")
def test_the_pull_is_the_gradient_of_agreement() -> None:
    w = rand(5, 8).requires_grad_()
    (gradient,) = torch.autograd.grad((w @ w.mT).square().sum() / 4, w)
    known = {
        r"\nabla_W \, \tfrac14 \lVert W W^\top \rVert_F^2": gradient.numpy(),
        "W": w.detach().numpy(),
    }
    check("pull", known, "W")


@pytest.mark.equation("eq:stepping:share")
@pytest.mark.parametrize(("inputs", "side", "images"), [(2, 6, 3), (5, 4, 7)])
def test_the_share_of_two_products_is_what_torch_counts(inputs: int, side: int, images: int) -> None:
    layer = torch.nn.Conv2d(inputs, 8, 3, padding=1, bias=False)
    x = torch.randn(images, inputs, side, side, requires_grad=True)
    with FlopCounterMode(display=False) as network:
        layer(x).sum().backward()
    g = layer.weight.detach().flatten(1)
    with FlopCounterMode(display=False) as step:
        _ = (g @ g.mT) @ g
    share = step.get_total_flops() / network.get_total_flops()
    known = {r"\frac{4 k^2 n}{6 k n S B}": share, "k": 8.0, "S": float(side**2), "B": float(images)}
    check("share", known, "k", "S", "B")
    left, _, _ = formula("eq:stepping:share").partition("=")
    sizes = {"k": 8.0, "n": 9.0 * inputs, "S": float(side**2), "B": float(images), r"\rho": share}
    assert holds(rf"{left} = \rho", sizes) and not holds(rf"{left} = \rho", sizes | {"B": 1.0})
