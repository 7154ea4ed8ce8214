"""Every displayed equation of "Since 2021", read from the page and evaluated against the lab's steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds
from torch import nn

import cwn_lite as cwn
from cwn_lite.lab.since import moves
from cwn_lite.lab.since.directions import Mano, OverItsSize
from cwn_lite.lab.since.forwards import ColumnGain, DyT, NormalizedRows
from cwn_lite.lab.training.clip import clip_

C = 3.0  # not a default, so that a lost factor of c shows
rng = torch.Generator().manual_seed(11)


def rand(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=rng)


def check(label: str, known: dict[str, Any], *wrong: str) -> None:
    """The page's formula holds, and no longer does when any symbol named in `wrong` has another value."""
    tex = formula(f"eq:since:{label}")
    assert holds(tex, known)
    for name in wrong:
        assert not holds(tex, known | {name: 1.1 * known[name]}), name


@pytest.mark.equation("eq:since:clip")
@pytest.mark.parametrize("size", [5.0, 1e-3])
def test_clipping(size: float) -> None:
    row = nn.Parameter(rand(1, 9))
    row.grad = size * rand(1, 9)
    g = row.grad[0].clone()
    clip_([row], 0.04)
    known = {"g'": row.grad[0].numpy(), r"\min": min, r"\tau": 0.04, "v": row.detach()[0].numpy(), "g": g.numpy()}
    check("clip", known, *(["g'", r"\tau", "v"] if size > 1 else ["g'"]))


@pytest.mark.equation("eq:since:nero")
def test_nero() -> None:
    w, rho, theta, t = cwn.project_rows(rand(1, 9), C), 0.9, 0.1, 3
    direction = OverItsSize(rho)
    for _ in range(t - 1):
        direction(w, rand(1, 9))
    assert isinstance(direction.square, torch.Tensor)
    s, g = float(direction.square), rand(1, 9)
    new = cwn.project_rows(moves.relative(w, direction(w, g), theta), C)
    known = {
        "s^{+}": float(direction.square),
        "s": s,
        r"\rho": rho,
        r"\theta": theta,
        "t": float(t),
        "g": g[0].numpy(),
        "w": w[0].numpy(),
        "w^{+}": new[0].numpy(),
        r"\Pi": lambda v: cwn.project_rows(torch.as_tensor(v), C).numpy(),
    }
    check("nero", known, "s^{+}", "s", r"\rho", r"\theta", "g", "w^{+}")


@pytest.mark.equation("eq:since:tangent")
def test_the_part_that_turns() -> None:
    w, d = cwn.project_rows(rand(1, 9), C), rand(1, 9)
    found = moves.tangent(w, d)
    assert abs(float((found * w).sum())) < 1e-12 and abs(float(found.sum())) < 1e-12
    centring = np.eye(9) - 1 / 9
    known = {r"d_\perp": found[0].numpy(), "P": centring, "d": d[0].numpy(), "w": w[0].numpy(), "c": C}
    check("tangent", known, r"d_\perp", "d", "c")


@pytest.mark.equation("eq:since:forced")
def test_the_gradient_of_a_row_that_is_normalized() -> None:
    v = rand(1, 9).requires_grad_()
    w = NormalizedRows(C)(v)
    inner = rand(1, 9)
    (outer,) = torch.autograd.grad((w * inner).sum(), v)
    known = {
        r"\nabla_v L": outer[0].numpy(),
        r"\nabla_w L": inner[0].numpy(),
        r"\hat g": inner[0].numpy(),
        "v": v.detach()[0].numpy(),
        "w": w.detach()[0].numpy(),
        "c": C,
    }
    check("forced", known, r"\nabla_v L", r"\hat g", "v", "w", "c")


@pytest.mark.equation("eq:since:dyt")
def test_dynamic_tanh() -> None:
    layer = DyT(1, alpha=0.7)
    with torch.no_grad():
        layer.weight.fill_(1.5)
        layer.bias.fill_(-0.2)
    y = 1.5 * math.tanh(0.63) - 0.2
    assert layer(torch.full((1, 1), 0.9)).item() == pytest.approx(y, rel=1e-6)
    known = {"y": y, r"\gamma": 1.5, r"\tanh": np.tanh, r"\alpha": 0.7, "x": 0.9, r"\beta": -0.2}
    tex = formula("eq:since:dyt")
    assert holds(tex, known)
    for name in ("y", r"\gamma", r"\alpha", "x", r"\beta"):
        assert not holds(tex, known | {name: 1.1 * known[name]}), name


@pytest.mark.equation("eq:since:muon")
@pytest.mark.parametrize(("k", "n"), [(6, 30), (30, 6)])
def test_the_orthogonalized_step(k: int, n: int) -> None:
    w, m, theta = rand(k, n), rand(k, n), 0.05
    u, _, vh = torch.linalg.svd(m, full_matrices=False)
    new = w - theta * math.sqrt(C * k / min(k, n)) * (u @ vh)
    known = {"W^{+}": new.numpy(), "W": w.numpy(), r"\theta": theta, "c": C, "k": float(k), "q": float(min(k, n))}
    known["O"] = (u @ vh).numpy()
    check("muon", known, "W^{+}", r"\theta", "c", "k", "q", "O")
    # The length that the page says, and the lab's step, whose singular values are right to a tenth.
    assert float((new - w).norm()) == pytest.approx(theta * math.sqrt(C * k))
    assert (moves.spectral(w, m, theta, C) - new).norm() < 0.12 * (new - w).norm()


@pytest.mark.equation("eq:since:decoupled")
def test_direction_and_gains() -> None:
    k, n = 4, 9
    d = moves.whole_sphere(rand(k, n), C * k)
    gain = ColumnGain(d)
    with torch.no_grad():
        gain.a.copy_(rand(1, n))
    gamma = rand(k)
    weight = gamma[:, None] * gain(d).detach()
    known = {
        "W": weight.numpy(),
        r"\operatorname{diag}": lambda x: np.diag(x),
        r"\gamma": gamma.numpy(),
        "a": gain.a.detach()[0].numpy(),
        "D": d.numpy(),
        r"\lVert D \rVert_F": float(d.norm()),
        "c": C,
        "k": float(k),
    }
    check("decoupled", known, "W", r"\gamma", "a", r"\lVert D \rVert_F", "c", "k")


@pytest.mark.equation("eq:since:mano")
def test_mano() -> None:
    w, g, alpha = rand(1, 9), rand(1, 9), 0.1
    m = 1.9 * g  # of momentum 0.9 with its look ahead, at the first step
    u = moves.tangent(w, m, centralize=False)
    new = moves.descend(w, Mano()(w, g), alpha)
    known = {
        "u": u[0].numpy(),
        "m": m[0].numpy(),
        "w": w[0].numpy(),
        "w^{+}": new[0].numpy(),
        r"\alpha": alpha,
        "n": 9.0,
    }
    check("mano", known, "m", "w^{+}", r"\alpha", "n")


@pytest.mark.equation("eq:since:pythagoras")
@pytest.mark.equation("eq:since:decay")
def test_the_angle_decays() -> None:
    v, length, r = rand(1, 12), 0.4, 1.3
    v = r * moves.unit(v)
    for step in range(30):
        across = moves.unit(moves.tangent(v, rand(1, 12), centralize=False))
        new = moves.descend(v, across, length)
        known = {"v^{+}": new[0].numpy(), "v": v[0].numpy(), r"\ell": length}
        check("pythagoras", known, "v^{+}", "v", r"\ell")
        angle = math.acos(float(torch.cosine_similarity(v, new)))
        at = {r"\tan": np.tan, r"\theta_T": angle, r"\ell": length, "r": r, "T": float(step)}
        tex = formula("eq:since:decay").replace(r"\tan \theta_T", r"\tan ( \theta_T )")
        assert holds(tex, at)
        assert not holds(tex, at | {"r": 1.1 * r}) and not holds(tex, at | {r"\theta_T": 1.1 * angle})
        v = new
