"""Every displayed equation of "Your own model, and deploying it", read from the page and evaluated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds
from bookcheck.tight import checker
from torch import nn

import cwn_lite as cwn
from cwn_lite.figures.weight_average import weight_average

C = 3.0  # not the default, so that a lost factor of c shows
rng = torch.Generator().manual_seed(7)


def rand(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=rng)


check = checker("yourmodel")


def circle(angles: torch.Tensor) -> torch.Tensor:
    """Rows of three weights with zero mean and squared norm `C` at these angles of their circle."""
    first, second = torch.tensor([1.0, -1.0, 0.0]).double(), torch.tensor([1.0, 1.0, -2.0]).double()
    unit = angles.cos()[..., None] * first / first.norm() + angles.sin()[..., None] * second / second.norm()
    return math.sqrt(C) * unit


def averages(rows: torch.Tensor, decay: float) -> list[torch.Tensor]:
    """The exponential average after each of the rows, (..., steps, n)."""
    found = [rows[..., 0, :]]
    for row in rows.unbind(-2)[1:]:
        found.append(decay * found[-1] + (1 - decay) * row)
    return found


@pytest.mark.equation("eq:yourmodel:activation")
@pytest.mark.parametrize("f", [torch.relu, nn.functional.silu, torch.tanh])
def test_what_keeps_the_variance_behind_an_activation(f: Any) -> None:
    """Measured on rows that were projected, not integrated."""
    x = f(rand(600, 4000))
    variance = float(x.var())
    rows = cwn.project_rows(rand(400, 600), c=1.0)
    c = 1 / float((rows @ x).var())
    tex = formula("eq:yourmodel:activation").replace("=", r"\approx")  # a sample stands for the law
    assert holds(tex, {"c_f": c, r"\operatorname{Var}[f(z)]": variance}, 0.04)
    assert not holds(tex, {"c_f": 1.1 * c, r"\operatorname{Var}[f(z)]": variance}, 0.04)


@pytest.mark.equation("eq:yourmodel:left")
@pytest.mark.parametrize(("m", "v", "rho"), [(0.4, 0.34, 0.0), (0.4, 0.34, 0.7), (0.0, 2.0, 0.3), (1.5, 0.5, 0.9)])
def test_what_centring_leaves_of_a_rows_answer(m: float, v: float, rho: float) -> None:
    """Measured on random rows and inputs that are alike, not from their moments."""
    n = 9
    x = m + math.sqrt(v) * (math.sqrt(rho) * rand(1, 40_000) + math.sqrt(1 - rho) * rand(n, 40_000))
    rows = rand(4000, n)
    answers = [(cwn.project_rows(rows, c=C, centralize=said) @ x).square().mean() for said in (True, False)]
    share = float(answers[0] / answers[1])
    tex = formula("eq:yourmodel:left").replace("=", r"\approx")  # a sample stands for the law
    known = {"m": m, "v": v, r"\rho": rho}
    assert holds(tex, {"s": share, **known}, 0.05)
    assert not holds(tex, {"s": 1.15 * share, **known}, 0.05)


@pytest.mark.equation("eq:yourmodel:convert")
@pytest.mark.equation("eq:yourmodel:kept")
def test_a_trained_batch_norm_becomes_a_row_on_the_sphere() -> None:
    """Against torch's batch norm and the library's projection without centring."""
    layer, norm = (
        nn.Linear(6, 1, bias=False).double().requires_grad_(False),
        nn.BatchNorm1d(1, eps=0.01).double().eval().requires_grad_(False),
    )
    with torch.no_grad():
        for tensor, value in ((norm.weight, 1.7), (norm.bias, -0.4), (norm.running_mean, 0.8), (norm.running_var, 2.5)):
            tensor.fill_(value)
    w, x = layer.weight.detach()[0], rand(6)
    on_sphere = cwn.project_rows(w[None], C, centralize=False)[0]
    wanted = float(norm(layer(x[None])))
    # Scale and bias by two probes of the network itself.
    zero = float(norm(layer(torch.zeros(1, 6).double())))
    scale = (wanted - zero) / float(on_sphere @ x)
    known: dict[str, Any] = {
        r"w_{\mathcal S}": on_sphere.numpy(),
        r"\gamma_{\mathcal S}": scale,
        r"\beta_{\mathcal S}": zero,
        "w": w.numpy(),
        "x": x.numpy(),
        "c": C,
        r"\gamma": 1.7,
        r"\beta": -0.4,
        "m": 0.8,
        r"\sigma_y": math.sqrt(2.5),
        r"\varepsilon": 0.01,
    }
    check("convert", known, r"w_{\mathcal S}", r"\gamma_{\mathcal S}", r"\beta_{\mathcal S}", "c", r"\gamma", "m")
    check("convert", known, r"\sigma_y", r"\varepsilon", r"\beta")
    check("kept", known, r"w_{\mathcal S}", r"\gamma_{\mathcal S}", r"\beta_{\mathcal S}", r"\gamma", "m", r"\sigma_y")


@pytest.mark.equation("eq:yourmodel:average")
def test_the_average_is_that_of_torch() -> None:
    layer = nn.Linear(5, 1, bias=False).double()
    update = torch.optim.swa_utils.get_ema_multi_avg_fn(0.8)
    averaged = torch.optim.swa_utils.AveragedModel(layer, multi_avg_fn=update)
    averaged.update_parameters(layer)
    before = averaged.module.weight.detach()[0].clone()
    with torch.no_grad():
        layer.weight += 1
    averaged.update_parameters(layer)
    known = {
        "a^{(t)}": averaged.module.weight.detach()[0].numpy(),
        "a^{(t-1)}": before.numpy(),
        "w^{(t)}": layer.weight.detach()[0].numpy(),
        "d": 0.8,
    }
    check("average", known, "a^{(t)}", "a^{(t-1)}", "w^{(t)}", "d")


@pytest.mark.equation("eq:yourmodel:age")
def test_the_mean_age() -> None:
    d = 0.9
    ages = np.arange(2000)
    total = float((ages * (1 - d) * d**ages).sum())
    tex = formula("eq:yourmodel:age")
    known = {r"\tau": d / (1 - d), r"\sum_{j=0}^{\infty} j \, (1 - d) \, d^j": total, "d": d}
    assert holds(tex, known) and not holds(tex, known | {"d": 0.91})
    assert weight_average(decay=d).age == pytest.approx(total)


@pytest.mark.equation("eq:yourmodel:steady")
@pytest.mark.parametrize(("d", "omega"), [(0.9, 0.1), (0.95, 0.3), (0.5, 1.0)])
def test_rows_that_turn_one_way(d: float, omega: float) -> None:
    rows = circle(omega * torch.arange(900.0).double())
    a, newest = averages(rows, d)[-1], rows[-1]
    lag = math.acos(float(a @ newest / (a.norm() * newest.norm())))
    known = {
        r"\lVert a \rVert": float(a.norm()),
        "c": C,
        "d": d,
        r"\omega": omega,
        r"\cos\omega": math.cos(omega),
        r"\sin\omega": math.sin(omega),
        r"\tan\psi": math.tan(lag),
    }
    check("steady", known, r"\lVert a \rVert", "c", "d", r"\cos\omega", r"\sin\omega", r"\tan\psi")


@pytest.mark.equation("eq:yourmodel:random")
@pytest.mark.parametrize(("d", "omega"), [(0.8, 0.5), (0.9, 0.3)])
def test_rows_that_turn_at_random(d: float, omega: float) -> None:
    """By the exact expectation over all sequences of turns: cosines of rows j apart, weighted."""
    torch.manual_seed(0)
    turns = (torch.randint(2, (20_000, 200)) * 2 - 1).double().cumsum(1)
    a = averages(circle(omega * turns), d)[-1]
    measured = float(a.square().sum(1).mean())
    j = np.arange(400)
    weights = (1 - d) * d**j
    exact = C * float((np.outer(weights, weights) * math.cos(omega) ** np.abs(j[:, None] - j)).sum())
    assert measured == pytest.approx(exact, rel=0.02)
    known = {
        r"\operatorname{E} \lVert a \rVert^2": exact,
        "c": C,
        "d": d,
        r"\cos\omega": math.cos(omega),
    }
    check("random", known, r"\operatorname{E} \lVert a \rVert^2", "c", "d", r"\cos\omega")


@pytest.mark.equation("eq:yourmodel:small")
@pytest.mark.parametrize(("d", "omega"), [(0.99, 0.02), (0.998, 0.01)])
def test_small_angles_and_long_averages(d: float, omega: float) -> None:
    found = weight_average(decay=d, angle=omega)
    known = {
        r"\operatorname{E} \lVert a \rVert^2": C * found.random**2,
        r"\lVert a \rVert": math.sqrt(C) * found.steady,
        "c": C,
        r"\omega": omega,
        r"\tau": found.age,
    }
    check("small", known, r"\lVert a \rVert", "c", r"\omega", r"\tau", rtol=0.02)


@pytest.mark.equation("eq:yourmodel:nearest")
def test_the_projected_average_is_the_nearest_row_to_all() -> None:
    d, steps = 0.7, 200
    rows = cwn.project_rows(rand(steps, 6), C)
    weights = (1 - d) * d ** torch.arange(steps).double()
    a = weights @ rows
    tex = formula("eq:yourmodel:nearest")
    name = r"\sum_{j=0}^{\infty} p_j \, \lVert u - w^{(t-j)} \rVert^2"

    def spread(u: torch.Tensor) -> float:
        return float(weights @ (rows - u).square().sum(1))

    for u in cwn.project_rows(rand(20, 6), C):
        known = {name: spread(u), "c": C, "u": u.numpy(), "a^{(t)}": a.numpy()}
        assert holds(tex, known) and not holds(tex, known | {"c": 1.1 * C})
        assert not holds(tex, known | {"a^{(t)}": 1.1 * a.numpy()})
        assert spread(cwn.project_rows(a[None], C)[0]) < spread(u)
