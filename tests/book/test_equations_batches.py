"""Every displayed equation of "Small batches", read from the page and held against torch, enumeration or theory."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds
from bookcheck.tight import checker
from scipy import stats
from scipy.integrate import quad
from scipy.linalg import expm
from scipy.special import gammaln
from torch import nn

from cwn_lite.lab.recipes.settings import linear_rule

Symbols = dict[str, Any]


check = checker("batches")


def batch(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A channel's values, and what torch's batch norm makes of them in training."""
    torch.manual_seed(seed)
    y = 3 * torch.randn(n, 1, dtype=torch.float64) + 5
    norm = nn.BatchNorm1d(1, affine=False, eps=1e-30).double()
    return y[:, 0].numpy(), norm(y)[:, 0].numpy()


@pytest.mark.equation("eq:batches:scale")
def test_scatter_of_the_divisor_of_normal_samples() -> None:
    """The standard deviation of N normal values follows a chi law, whose moments are known."""
    for n in (32, 500):
        mean = math.sqrt(2 / n) * math.exp(gammaln(n / 2) - gammaln((n - 1) / 2))
        deviation = math.sqrt((n - 1) / n - mean**2)
        known = {r"\operatorname{sd}[\sigma_B]": deviation, r"\operatorname{E}[\sigma_B]": mean, "N": n}
        check("scale", known, r"\operatorname{sd}[\sigma_B]", rtol=0.02)
        assert not holds(formula("eq:batches:scale").replace("2 (N - 1)", "N - 1"), known, 0.02)
    rule = formula("eq:batches:scale").rpartition(r"\approx")[0]  # with N − 1 it is good for few samples, too
    known = {r"\operatorname{sd}[\sigma_B]": 0.6741, r"\operatorname{E}[\sigma_B]": 1.5958, "N": 4}  # chi, 3 degrees
    assert holds(rule, known, 0.04) and not holds(formula("eq:batches:scale"), known, 0.04)


@pytest.mark.equation("eq:batches:kurtosis")
@pytest.mark.parametrize("law", [stats.uniform(), stats.norm(), stats.expon()])
def test_scatter_of_the_divisor_of_other_samples(law: Any) -> None:
    n = 400
    samples = law.rvs(size=(20_000, n), random_state=0)
    known = {
        r"\operatorname{sd}[\sigma_B]": samples.std(axis=1).std(),
        r"\sigma_y": law.std(),
        r"\operatorname{Kurt}[y]": float(law.stats("k")) + 3,
        "N": n,
    }
    check("kurtosis", known, r"\operatorname{sd}[\sigma_B]", r"\sigma_y", r"\operatorname{Kurt}[y]", rtol=0.04)


@pytest.mark.equation("eq:batches:inverse")
@pytest.mark.parametrize("n", [5, 6, 20])
def test_mean_square_of_the_factor(n: int) -> None:
    square, error = quad(lambda q: n / q * stats.chi2.pdf(q, n - 1), 0, np.inf, epsabs=1e-13, epsrel=1e-13)
    assert error < 1e-8
    known = {
        r"\operatorname{E}\left[(1 + \eta_B)^2\right]": square,
        r"\operatorname{E}\left[\frac{\sigma_y^2}{\sigma_B^2}\right]": square,
        "N": n,
    }
    tex = formula("eq:batches:inverse").replace(r"\text{for } N > 3", "")  # a condition, true here
    assert holds(tex, known) and not holds(tex, known | {"N": n + 1})
    torch.manual_seed(0)
    samples = torch.randn(200_000, n, dtype=torch.float64)
    if n > 7:  # below, the variance of the mean is infinite
        assert float((1 / samples.var(1, correction=0)).mean()) == pytest.approx(square, rel=0.01)


@pytest.mark.equation("eq:batches:projection", "eq:batches:bound")
@pytest.mark.parametrize("n", [2, 3, 10])
def test_batch_norm_is_a_projection_of_the_values(n: int) -> None:
    y, out = batch(n, seed=1)
    known = {"N": n, "P": np.eye(n) - 1 / n, r"\mathbf y": y, r"\hat{\mathbf y}": out}
    check("projection", known, "N", r"\hat{\mathbf y}")
    spike = np.zeros(n)
    spike[0] = 1.0  # the one that reaches the bound
    for values in (out, (spike - spike.mean()) / spike.std()):
        for value in values:
            sums = {r"\sum_{i=1}^{N} \hat y_i^2": (values**2).sum(), r"\sum_{i=1}^{N} \hat y_i": values.sum()}
            check("bound", {"N": n, r"\hat y_i": value, **sums}, "N")
    assert abs(values[0]) == pytest.approx(math.sqrt(n - 1))


@pytest.mark.equation("eq:batches:kept")
@pytest.mark.parametrize("n", [2, 4, 9])
def test_part_of_the_gradient_that_is_kept(n: int) -> None:
    """The mean over all directions is that over a basis: the trace of the map, here of torch's own gradient."""
    torch.manual_seed(n)
    y = torch.randn(n, 1, dtype=torch.float64, requires_grad=True)
    out = nn.BatchNorm1d(1, affine=False, eps=1e-30).double()(y)
    deviation = y.detach().std(correction=0)
    rows = [torch.autograd.grad(out, y, e[:, None], retain_graph=True)[0] * deviation for e in torch.eye(n).double()]
    kept = sum(float(row.square().sum()) for row in rows)
    known = {
        "N": n,
        r"\operatorname{E} \lVert \hat g_\perp \rVert^2": kept / n,
        r"\operatorname{E} \lVert \hat g \rVert^2": 1.0,
    }
    tex = formula("eq:batches:kept")
    assert holds(tex, known) and not holds(tex, known | {"N": n + 1})


@pytest.mark.equation("eq:batches:effective")
@pytest.mark.parametrize("kind", ["independent", "equal", "alike", "fixed differences"])
def test_effective_number(kind: str) -> None:
    """A finite world of images: the variance of a mean of B independent draws is exact."""
    rng = np.random.default_rng(0)
    images, s, b = 50, 6, 4
    one, many = rng.normal(size=(images, 1)), rng.normal(size=(images, s))
    y = {
        "independent": many,
        "equal": np.repeat(one, s, axis=1),
        "alike": many + one,
        "fixed differences": many + 3 * np.arange(s),
    }[kind]
    z = y - y.mean()
    pairs = [(z[:, i] * z[:, j]).mean() for i in range(s) for j in range(s) if i != j]
    rho = float(np.mean(pairs) / y.var())
    known = {
        r"\operatorname{Var}[m_B]": y.mean(axis=1).var() / b,
        r"\sigma_y": y.std(),
        r"N_{\mathrm{eff}}": y.var() / (y.mean(axis=1).var() / b),
        "B": b,
        "S": s,
        r"\rho": rho,
    }
    check("effective", known, r"\operatorname{Var}[m_B]", r"\sigma_y", "B")
    if kind == "fixed differences":
        assert rho < 0 and known[r"N_{\mathrm{eff}}"] > b * s
    if kind == "equal":
        assert known[r"N_{\mathrm{eff}}"] == pytest.approx(b)


@pytest.mark.equation("eq:batches:linear-rule", "eq:batches:epoch")
@pytest.mark.parametrize("size", [4, 16, 128])
def test_linear_rule_keeps_drift_and_noise_of_an_epoch(size: int) -> None:
    known = {
        r"\alpha": 0.2,
        r"\alpha_B": linear_rule({"lr": 0.2}, size)["lr"],
        "B": size,
        "M": 1280,
        r"\operatorname{E}[g]": 0.3,
        r"\operatorname{Var}[g]": 1.7,
    }
    check("linear-rule", known, r"\alpha_B", r"\alpha", "B")
    check("epoch", known, r"\alpha_B", r"\alpha", "B")
    # One weight whose gradients have this mean and variance: what an epoch of SGD does to it.
    torch.manual_seed(0)
    gradients = 0.3 + math.sqrt(1.7) * torch.randn(4000, 1280, dtype=torch.float64)
    weight = -known[r"\alpha_B"] * gradients.view(4000, -1, size).mean(2).sum(1)
    assert float(weight.mean()) == pytest.approx(-1280 / 128 * 0.2 * 0.3, rel=0.03)
    assert float(weight.var()) == pytest.approx(1280 / 128 * 0.2**2 * 1.7 / 128, rel=0.1)


@pytest.mark.equation("eq:batches:turn")
@pytest.mark.parametrize("angle", [0.03, 0.3, 2.0])
def test_turn_is_the_rotation_in_the_plane_of_row_and_direction(angle: float) -> None:
    row, direction = np.array([3.0, -1.0, -2.0, 0.0]), np.array([1.0, 1.0, 1.0, -3.0])
    unit, direction = row / np.linalg.norm(row), direction / np.linalg.norm(direction)
    turned = expm(angle * (np.outer(direction, unit) - np.outer(unit, direction))) @ row
    known = {
        "w'": turned,
        "w": row,
        "u": direction,
        r"\cos\theta": math.cos(angle),
        r"\sin\theta": math.sin(angle),
        r"\lVert w \rVert": np.linalg.norm(row),
    }
    check("turn", known, *known)
    assert turned.sum() == pytest.approx(0) and np.linalg.norm(turned) == pytest.approx(np.linalg.norm(row))
