"""Errata of Eq. 9-14 and Algorithm 1: the page's formulas, evaluated with the shipped step and a plain NumPy one."""

from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.errata import entries
from bookcheck.latex import holds
from numpy.random import Generator
from numpy.typing import NDArray

import cwn_lite as cwn

Vector = NDArray[np.float64]
N, C, LR = 12, 2.0, 0.3


def project(v: Vector, c: float = C) -> Vector:
    """The nearest feasible point, by its definition in NumPy."""
    centred = v - v.mean()
    return np.asarray(np.sqrt(c) * centred / np.linalg.norm(centred))


def shipped_projection(v: Vector, c: float = C) -> Vector:
    return cwn.project_rows(torch.from_numpy(v)[None], c)[0].numpy()


def shipped_step(w: Vector, g: Vector, lr: float = LR, c: float = C) -> Vector:
    return cwn.projected_step(torch.from_numpy(w), torch.from_numpy(g), lr, c).numpy()


@pytest.fixture(params=range(3))
def rng(request: pytest.FixtureRequest) -> Generator:
    return np.random.default_rng(request.param)


@pytest.fixture
def symbols(rng: Generator) -> dict[str, Any]:
    """A feasible row, a gradient, and what the page's symbols mean for them."""
    w, g = project(rng.normal(size=N)), rng.normal(size=N)
    return {
        "n": N,
        "c": C,
        r"\alpha": LR,
        r"\mathbf 1": np.ones(N),
        "P": np.eye(N) - np.ones((N, N)) / N,
        "g": g,
        "v": w - LR * g,
        "w^{(t)}": w,
        "w^{(t+1)}": shipped_step(w, g),
        r"\tilde w": w - LR * (g - g.mean()),
    }


@pytest.mark.equation("eq:errata:nearest")
def test_nearest(symbols: dict[str, Any], rng: Generator) -> None:
    for _ in range(200):
        assert holds(formula("eq:errata:nearest"), symbols | {"u": project(rng.normal(size=N))})
    farthest = -symbols["w^{(t+1)}"]
    assert not holds(formula("eq:errata:nearest"), symbols | {"w^{(t+1)}": farthest, "u": symbols["w^{(t+1)}"]})


def test_implicit_reading_differs(rng: Generator) -> None:
    """With the gradient at the unknown, as printed, a quadratic loss leads elsewhere."""
    curvature = np.diag(np.linspace(0.5, 1.5, N))
    w = project(rng.normal(size=N))
    implicit = w
    for _ in range(2000):
        implicit = project(w - 0.1 * curvature @ implicit)
    assert np.allclose(implicit, project(w - 0.1 * curvature @ implicit), atol=1e-12)  # solves Eq. 9 as printed
    assert np.abs(implicit - shipped_step(w, curvature @ w, 0.1)).max() > 1e-4


@pytest.mark.equation("eq:errata:stationary")
def test_stationary(symbols: dict[str, Any]) -> None:
    v = symbols["v"]
    nearest = shipped_projection(v)
    multiplier = 2 * v.sum() / N
    known = symbols | {"w_{+}": nearest, "w_{-}": -nearest, r"\lambda_2": multiplier}
    assert holds(formula("eq:errata:stationary"), known)
    assert not holds(formula("eq:errata:stationary"), known | {"w_{+}": -nearest, "w_{-}": nearest})
    for sign in (1, -1):  # the derivative of Eq. 10 vanishes at both
        w, first = sign * nearest, sign * np.linalg.norm(v - v.mean()) / np.sqrt(C) - 1
        assert np.allclose(2 * (w - v) + 2 * first * w + multiplier, 0)


@pytest.mark.equation("eq:errata:exact-step")
def test_exact_step(symbols: dict[str, Any], rng: Generator) -> None:
    off_centre = symbols["w^{(t)}"] + 0.3
    v = off_centre - LR * symbols["g"]
    known = symbols | {"w^{(t)}": off_centre, "w^{(t+1)}": shipped_projection(v)}
    assert holds(formula("eq:errata:exact-step"), known)
    (printed,) = entries()["errata-exact-step"].printed
    assert not holds(printed, known), "the printed step should miss the nearest point"
    assert holds(printed, known | {"w^{(t+1)}": shipped_step(off_centre, symbols["g"])}), "it is Algorithm 1, though"
    assert holds(printed, symbols), "and it is right for centred weights"
    assert abs(shipped_step(off_centre, symbols["g"]).sum()) > 0.1, "its result is off the constraint set"


@pytest.mark.equation("eq:errata:mean")
def test_mean(symbols: dict[str, Any]) -> None:
    off_centre = project(symbols["w^{(t)}"]) + 0.3
    known = symbols | {"w^{(t)}": off_centre, "w'": shipped_step(off_centre, symbols["g"])}
    assert holds(formula("eq:errata:mean"), known)
    assert not holds(formula("eq:errata:mean"), known | {"c": 1.0})
    start = np.random.default_rng(0).normal(size=(20_000, 27))  # the mean of random rows holds 1/n of their energy
    energy = (start.sum(1) ** 2 / 27).mean() / (start**2).sum(1).mean()
    assert energy == pytest.approx(1 / 27, rel=0.05)


@pytest.mark.equation("eq:errata:lost-root")
def test_lost_root(symbols: dict[str, Any]) -> None:
    size = np.linalg.norm(symbols[r"\tilde w"])
    known = symbols | {r"\beta": 1 - np.sqrt(C) / size, r"\alpha'": np.sqrt(C) * LR / size}
    assert holds(formula("eq:errata:lost-root"), known)
    printed = entries()["errata-lost-root"].printed
    assert len(printed) == 2 and not any(holds(tex, known) for tex in printed)
    as_printed = symbols["w^{(t)}"] / size - LR / size * (symbols["g"] - symbols["g"].mean())
    assert as_printed @ as_printed == pytest.approx(1)
    assert symbols["w^{(t+1)}"] @ symbols["w^{(t+1)}"] == pytest.approx(C)


@pytest.mark.equation("eq:errata:sign")
def test_sign(symbols: dict[str, Any]) -> None:
    assert holds(formula("eq:errata:sign"), symbols)
    assert not holds(formula("eq:errata:sign"), symbols | {"P": np.eye(N)})
    rng, negative = np.random.default_rng(0), 0
    for _ in range(2000):
        w, g = project(rng.normal(size=N)), rng.normal(size=N)
        centred = g - g.mean()
        stepped = w - 1e-3 * centred
        beta = 1 - np.sqrt(C) / np.linalg.norm(stepped)
        assert (beta > 0) == (2 * w @ g < 1e-3 * centred @ centred)
        negative += beta < 0
        tangent = centred - (w @ centred) / C * w
        assert np.linalg.norm(w - LR * tangent) >= np.sqrt(C) - 1e-12  # no radial part: never negative
    assert negative / 2000 == pytest.approx(0.5, abs=0.05)


@pytest.mark.equation("eq:errata:decay")
def test_decay(symbols: dict[str, Any]) -> None:
    known = symbols | {r"\Pi": shipped_projection, r"\lambda": 0.4}
    assert holds(formula("eq:errata:decay"), known)
    assert not holds(formula("eq:errata:decay").replace(r"1 - \alpha\lambda", "1"), known)


@pytest.mark.equation("eq:errata:decay-momentum")
def test_decay_with_momentum() -> None:
    """Turn a row at a steady pace with stock SGD and see what the decay does to the pace."""

    def angle_per_step(lr: float, weight_decay: float, momentum: float) -> float:
        w = torch.nn.Parameter(cwn.project_rows(torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)))
        optimizer = torch.optim.SGD([w], lr=lr, momentum=momentum, weight_decay=weight_decay)
        axis, angles = torch.ones(3, dtype=torch.float64) / 3**0.5, []
        for _ in range(600):  # centred rows of three weights form a circle
            before = w.detach().clone()
            w.grad = -1e-5 * torch.linalg.cross(axis.expand_as(before), before)
            optimizer.step()
            cwn.project_(w)
            angles.append(float((w.detach() - before).norm()) / C**0.5)
        return float(np.mean(angles[300:]))

    for lr, decay, momentum in ((0.2, 5e-3, 0.9), (0.1, 1e-3, 0.9), (0.2, 5e-3, 0.0)):
        ratio = angle_per_step(lr, decay, momentum) / angle_per_step(lr, 0.0, momentum)
        known = {r"\omega_\lambda": ratio, r"\omega_0": 1.0, r"\alpha": lr, r"\lambda": decay, r"\mu": momentum}
        assert holds(formula("eq:errata:decay-momentum"), known, rtol=1e-5)
        assert not holds(formula("eq:errata:decay-momentum").replace(")^2", ")"), known, rtol=1e-5) or momentum == 0


def test_centring_commutes_with_momentum(rng: Generator) -> None:
    """Centred before the momentum or after it, by hand or by the projection: one and the same path."""
    gradients = rng.normal(size=(40, N))
    first = second = project(rng.normal(size=N))
    before, after = np.zeros(N), np.zeros(N)
    for g in gradients:
        before = 0.9 * before + (g - g.mean())
        after = 0.9 * after + g
        first = shipped_projection(first - 0.1 * before)
        second = shipped_projection(second - 0.1 * after)
    assert np.abs(first - second).max() < 1e-12
