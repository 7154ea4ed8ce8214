"""Every displayed equation of "Signals through depth", read from the page and evaluated."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds
from numpy.polynomial import hermite_e
from torch import Tensor
from torch.nn import functional as F

import cwn_lite as cwn

Symbols = dict[str, Any]
Z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)  # 0 among them: the kink lies on the grid
DENSITY = torch.exp(-(Z**2) / 2) / math.sqrt(2 * math.pi)


def mean(values: Tensor) -> float:
    """E over a standard normal number, from values on the grid."""
    return float(torch.trapezoid(values * DENSITY, Z))


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def check(label: str, known: Symbols, *wrong: str, rtol: float = 1e-2, tex: str | None = None) -> None:
    """The page's formula holds, and no longer does when any symbol named in `wrong` has another value."""
    tex = formula(f"eq:signals:{label}") if tex is None else tex
    assert holds(tex, known, rtol)
    for name in wrong:
        assert not holds(tex, known | {name: 1.1 * np.asarray(known[name])}, rtol), name


def answers(basis: Tensor, x: Tensor, c: float) -> float:
    """Mean of (w x)² over all directions of a space: that over any orthonormal basis of it."""
    return c * float((basis @ x).square().mean())


@pytest.mark.equation("eq:signals:sphere")
def test_what_a_row_on_the_sphere_answers() -> None:
    n, c = 5, 3.0
    x = rand(n)
    exact = answers(torch.linalg.qr(rand(n, n, seed=1)).Q.mT, x, c)
    known = {r"\operatorname{E}[(w^\top x)^2]": exact, "c": c, "n": float(n), "x": x.numpy()}
    check("sphere", known, "c", "n", "x")
    rows = cwn.project_rows(rand(200_000, n), c, centralize=False)
    assert float((rows @ x).square().mean()) == pytest.approx(exact, rel=0.02)


@pytest.mark.equation("eq:signals:response")
@pytest.mark.parametrize("n", [3, 6])
def test_what_a_random_centred_row_answers(n: int) -> None:
    """Over many rows; and exactly, over an orthonormal basis of the plane, where the mean of squares is the same."""
    c = 3.0
    x = rand(n) + 2
    basis = torch.linalg.qr(torch.cat([torch.ones(1, n).double(), rand(n - 1, n, seed=1)]).mT).Q.mT[1:]
    assert basis.sum(1).abs().max() < 1e-12
    exact = answers(basis, x, c)
    known = {r"\operatorname{E}[(w^\top x)^2]": exact, "c": c, "n": float(n), "x": x.numpy()}
    known["P"] = np.eye(n) - np.ones((n, n)) / n
    check("response", known, "c", "n", "x")
    rows = cwn.project_rows(rand(200_000, n), c)
    assert float((rows @ x).square().mean()) == pytest.approx(exact, rel=0.02)


@pytest.mark.equation("eq:signals:entries")
@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_moments_of_the_entries(rho: float) -> None:
    n, m, v = 4, 0.7, 1.3
    covariance = v * ((1 - rho) * np.eye(n) + rho)
    centre = np.eye(n) - np.ones((n, n)) / n
    known = {
        r"\operatorname{E}\lVert x \rVert^2": float(np.trace(covariance) + n * m**2),
        r"\operatorname{E}\lVert P x \rVert^2": float(np.trace(centre @ covariance @ centre)),
        "n": float(n),
        "m": m,
        "v": v,
        r"\rho": rho,
    }
    check("entries", known, "n", "m", "v", *([r"\rho"] if rho else []))
    x = m + rand(200_000, n) @ torch.linalg.cholesky(torch.tensor(covariance)).mT
    centred = x - x.mean(1, keepdim=True)
    assert float(centred.square().sum(1).mean()) == pytest.approx((n - 1) * (1 - rho) * v, rel=0.02)


@pytest.mark.equation("eq:signals:moments")
@pytest.mark.equation("eq:signals:constant")
@pytest.mark.parametrize("slope", [0.0, 0.2, 0.7, 1.0])
def test_the_constant_of_a_leaky_relu(slope: float) -> None:
    first, second = (mean(F.leaky_relu(Z, slope) ** power) for power in (1, 2))
    known = {r"\operatorname{E}[f(z)^2]": round(second, 8), r"\operatorname{E}[f(z)]": round(first, 8), "a": slope}
    tex = formula("eq:signals:moments").replace("=", r"\approx")  # of an integral by a sum
    if slope < 1:
        assert holds(tex, known, 1e-6) and not holds(tex, known | {"a": slope + 0.05}, 1e-6)
    exact = {
        r"\operatorname{E}[f(z)^2]": (1 + slope**2) / 2,
        r"\operatorname{E}[f(z)]": (1 - slope) / math.sqrt(2 * math.pi),
        "a": slope,
        "c_a": cwn.leaky_relu_c(slope),
    }
    assert second == pytest.approx((1 + slope**2) / 2, abs=1e-8)
    assert first == pytest.approx(exact[r"\operatorname{E}[f(z)]"], abs=1e-8)
    check("constant", exact, "c_a")
    assert not holds(formula("eq:signals:constant"), exact | {"a": slope + 0.1})


@pytest.mark.equation("eq:signals:forward")
@pytest.mark.equation("eq:signals:backward")
@pytest.mark.parametrize("slope", [0.0, 0.3])
@pytest.mark.parametrize("c", [2.0, 2.7])
def test_one_wide_layer_forward_and_backward(slope: float, c: float) -> None:
    n = 1500
    y = rand(n, 32).requires_grad_()
    out = cwn.project_rows(rand(n, n, seed=1), c) @ F.leaky_relu(y, slope)
    above = rand(n, 32, seed=2)
    out.backward(above)
    assert y.grad is not None
    known = {
        "q_l": float(out.detach().square().mean()),
        "q_{l-1}": float(y.detach().square().mean()),
        r"\operatorname{E}\lVert \delta_{l-1} \rVert^2": float(y.grad.square().sum()),
        r"\operatorname{E}\lVert \delta_l \rVert^2": float(above.square().sum()),
        "c_a": cwn.leaky_relu_c(slope),
        "c": c,
        "a": slope,
    }
    for label, wrong in (("forward", ["c", "c_a", "q_l"]), ("backward", ["c", *(["a"] if slope > 0.5 else [])])):
        tex = formula(f"eq:signals:{label}").replace("=", r"\approx")  # of an expectation by one draw
        check(label, known, *wrong, rtol=0.03, tex=tex)
    one = formula("eq:signals:backward").replace("a^2", "a").replace("=", r"\approx")
    assert holds(one, known, 0.03) == (slope == 0)


@pytest.mark.equation("eq:signals:transpose")
@pytest.mark.parametrize("centralize", [True, False])
def test_centring_does_not_shorten_gradients(centralize: bool) -> None:
    n, c = 8, 2.5
    above = rand(5)
    w = cwn.project_rows(rand(100_000, 5, n), c, centralize=centralize)
    back = w.mT @ above
    if centralize:
        assert float(back.sum(-1).abs().max()) < 1e-12
    measured = float(back.square().sum(-1).mean())
    known = {r"\operatorname{E}\lVert W^\top \delta \rVert^2": measured, "c": c, r"\delta": above.numpy()}
    check("transpose", known, "c", r"\delta", tex=formula("eq:signals:transpose").replace("=", r"\approx"))


@pytest.mark.equation("eq:signals:hermite")
@pytest.mark.equation("eq:signals:poincare")
@pytest.mark.parametrize("coefficients", [[0.3, 0.8, -0.5, 0.2], [0.4, 1.1], [0.0, 0.0, 0.7]])
def test_variance_and_slope_in_hermite_polynomials(coefficients: list[float]) -> None:
    phi = np.array(coefficients)
    k = np.arange(len(phi))
    series = phi / np.sqrt([math.factorial(i) for i in k])  # of orthonormal polynomials
    x, weight = hermite_e.hermegauss(20)
    weight = weight / weight.sum()
    f, slope = hermite_e.hermeval(x, series), hermite_e.hermeval(x, hermite_e.hermeder(series))
    known = {
        r"\operatorname{Var}[f(z)]": float(weight @ f**2 - (weight @ f) ** 2),
        r"\operatorname{E}[f'(z)^2]": float(weight @ slope**2),
        r"\sum_{k \ge 1} \phi_k^2": float((phi[1:] ** 2).sum()),
        r"\sum_{k \ge 1} k \, \phi_k^2": float((k * phi**2).sum()),
    }
    check("hermite", known, *known)
    assert holds(formula("eq:signals:poincare"), known)
    swapped = formula("eq:signals:poincare").replace(r"\le", r"\ge")
    assert holds(swapped, known) == (len(phi) == 2), "equal for a straight line alone"


@pytest.mark.equation("eq:signals:correlation")
@pytest.mark.equation("eq:signals:kernel")
@pytest.mark.parametrize("rho", [-0.4, 0.1, 0.7])
def test_the_correlation_of_two_inputs(rho: float) -> None:
    """Read the kernel, integrate it, and pass two inputs of that correlation through a wide layer."""
    x, weight = hermite_e.hermegauss(150)
    weight = weight / weight.sum()
    other = rho * x[:, None] + math.sqrt(1 - rho**2) * x[None, :]
    integral = float(weight @ (np.maximum(x, 0)[:, None] * np.maximum(other, 0)) @ weight)
    kernel = (math.sqrt(1 - rho**2) + rho * (math.pi - math.acos(rho))) / (2 * math.pi)
    known: Symbols = {r"\operatorname{E}[f(z) f(z')]": kernel, r"\varrho": rho, r"\arccos": np.arccos}
    check("kernel", known, r"\operatorname{E}[f(z) f(z')]")
    assert integral == pytest.approx(kernel, abs=2e-3)  # the corner slows quadrature down

    n = 4000
    common, own = rand(n, seed=3), rand(n, seed=4)
    own = own - common * (own @ common) / (common @ common)
    own, common = own / own.norm(), common / common.norm()
    y = math.sqrt(n) * torch.stack([common, rho * common + math.sqrt(1 - rho**2) * own], 1)
    out = cwn.project_rows(rand(n, n, seed=5)) @ y.relu()
    measured = float(out[:, 0] @ out[:, 1] / out[:, 0].norm() / out[:, 1].norm())
    moments = {
        r"\operatorname{E}[f(z)]": 1 / math.sqrt(2 * math.pi),
        r"\operatorname{Var}[f(z)]": 1 / cwn.C_CENTERED,
    }
    after = (kernel - 1 / (2 * math.pi)) * cwn.C_CENTERED
    check("correlation", known | moments | {r"\varrho_l": after}, r"\varrho_l", r"\operatorname{Var}[f(z)]")
    assert measured == pytest.approx(after, abs=0.05)


def test_the_slope_of_the_correlation_is_the_growth_of_the_gradient() -> None:
    def after(rho: float) -> float:
        kernel = (math.sqrt(1 - rho**2) + rho * (math.pi - math.acos(rho))) / (2 * math.pi)
        return (kernel - 1 / (2 * math.pi)) * cwn.C_CENTERED

    assert (after(1) - after(1 - 1e-8)) / 1e-8 == pytest.approx(math.pi / (math.pi - 1), rel=1e-3)
    assert after(0) == pytest.approx(0) and after(1e-6) / 1e-6 == pytest.approx(cwn.C_CENTERED / 4, rel=1e-3)


@pytest.mark.equation("eq:signals:scatter")
@pytest.mark.parametrize("centralize", [True, False])
def test_scatter_of_finite_networks(centralize: bool) -> None:
    n, depth, many = 100, 8, 600
    c = cwn.leaky_relu_c(0.0, centralize)
    draw = torch.Generator().manual_seed(0)
    start = y = torch.randn(many, n, 1, generator=draw)
    for _ in range(depth):
        y = cwn.project_rows(torch.randn(many, n, n, generator=draw), c, centralize=centralize) @ y.relu()
    ln = (y.square().mean(1) / start.square().mean(1)).log()
    value = Z.relu() - (mean(Z.relu()) if centralize else 0)
    kurtosis = mean(value**4) / mean(value**2) ** 2
    known = {
        r"\operatorname{sd}[\ln q_L]": float(ln.std()),
        r"\operatorname{Kurt}[f(z)]": kurtosis,
        "L": float(depth),
        "n": float(n),
    }
    check("scatter", known, rtol=0.12)
    for name, factor in (("L", 2), ("n", 2), (r"\operatorname{Kurt}[f(z)]", 0.5)):
        assert not holds(formula("eq:signals:scatter"), known | {name: factor * known[name]}, 0.12), name


@pytest.mark.equation("eq:signals:stream")
@pytest.mark.parametrize(("gamma", "c"), [(1.0, 2.0), (0.5, cwn.C_CENTERED)])
def test_a_gradient_on_its_way_down_a_stream(gamma: float, c: float) -> None:
    n = 1500
    x = rand(n, 32).requires_grad_()
    out = x + gamma * (cwn.project_rows(rand(n, n, seed=1), c) @ x.relu())
    above = rand(n, 32, seed=2)
    out.backward(above)
    assert x.grad is not None
    known = {
        r"\operatorname{E}\lVert \delta_b \rVert^2": float(x.grad.square().sum()),
        r"\operatorname{E}\lVert \delta_{b+1} \rVert^2": float(above.square().sum()),
        r"\gamma": gamma,
        r"\chi'": c / 2,
    }
    tex = formula("eq:signals:stream").replace("=", r"\approx")  # of an expectation by one draw
    check("stream", known, r"\operatorname{E}\lVert \delta_b \rVert^2", rtol=0.03, tex=tex)
    for name in (r"\gamma", r"\chi'"):
        assert not holds(tex, known | {name: 1.5 * known[name]}, 0.03), name


@pytest.mark.equation("eq:signals:bounded")
def test_scaled_branches_are_bounded() -> None:
    tex = formula("eq:signals:bounded")
    for chi, depth in itertools.product((0.3, 1.0, cwn.C_CENTERED / 2), (1, 10, 1000)):
        assert holds(tex, {r"\chi": chi, "D": depth})
        assert not holds(tex.replace(r"\le e", r"\ge e"), {r"\chi": chi, "D": depth})
    assert not holds(tex.replace(r"\frac{\chi}{D}", r"\chi"), {r"\chi": 1.0, "D": 10})


@pytest.mark.equation("eq:signals:border")
@pytest.mark.parametrize("inside", [9, 6, 4])
def test_what_comes_back_at_the_border(inside: int) -> None:
    """A constant image under a 3x3 convolution: exactly over a basis of the plane, and for the layer itself."""
    channels, offset, c = 4, 1.7, 2.0
    n = 9 * channels
    x = torch.zeros(9, dtype=torch.float64)
    x[:inside] = offset
    x = x.repeat(channels)
    basis = torch.linalg.qr(torch.cat([torch.ones(1, n).double(), rand(n - 1, n)]).mT).Q.mT[1:]
    known = {r"\operatorname{E}[(w^\top x)^2]": answers(basis, x, c), "c": c, "o": offset, "n": float(n)}
    known["p"] = inside / 9
    check("border", known, *(["c", "o", "p"] if inside < 9 else []))
    rows = cwn.project_rows(rand(5000, n), c).view(-1, channels, 3, 3)
    place = {9: (2, 2), 6: (0, 2), 4: (0, 0)}[inside]
    image = torch.full((1, channels, 5, 5), offset).double()
    found = float(F.conv2d(image, rows, padding=1)[0, :, place[0], place[1]].square().mean())
    assert found == pytest.approx(known[r"\operatorname{E}[(w^\top x)^2]"], rel=0.08, abs=1e-20)
