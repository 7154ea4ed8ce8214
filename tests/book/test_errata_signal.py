"""Errata of Section 3.1 and Eq. 3-6: what a layer does to the mean and the size of its input."""

from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.errata import entries
from bookcheck.latex import holds
from torch import Tensor

import cwn_lite as cwn
from cwn_lite.lab import data


def rows(out: int, fan_in: int, c: float = cwn.C_HE, **constraints: bool) -> Tensor:
    """Random rows as an initialized layer has them, projected by the library."""
    return cwn.project_rows(torch.randn(out, fan_in), c, **constraints)


def second_moment(x: Tensor) -> float:
    return float(x.square().mean())


@pytest.mark.equation("eq:errata:whitened")
def test_whitened() -> None:
    torch.manual_seed(0)
    n = 3
    mix = np.random.default_rng(0).normal(size=(n, n))
    sigma, w = mix @ mix.T, rows(1, n)[0].double().numpy()
    x = np.random.default_rng(1).normal(size=(400_000, n)) @ mix.T
    drawn = rows(200_000, n).double().numpy()
    known: dict[str, Any] = {
        r"\operatorname{Var}[w^\top x]": (x @ w).var(),
        r"\operatorname{E}_w[w^\top \Sigma w]": ((drawn @ sigma) * drawn).sum(1).mean(),
        r"\operatorname{tr}": np.trace,
        r"\Sigma": sigma,
        "P": np.eye(n) - np.ones((n, n)) / n,
        "w": w,
        "c": 2.0,
        "n": n,
    }
    measured = formula("eq:errata:whitened").replace("=", r"\approx")
    assert holds(measured, known, rtol=0.02)
    for name in ("w", "c"):
        assert not holds(measured, known | {name: 1.1 * known[name]}, rtol=0.02)


@pytest.mark.equation("eq:errata:whitened-rows")
def test_whitened_rows() -> None:
    """The outputs of all feasible rows have one variance exactly if the condition holds."""
    n, rng = 5, np.random.default_rng(0)
    torch.manual_seed(0)
    w = rows(500, n).double().numpy()
    centre = np.eye(n) - np.ones((n, n)) / n

    def condition(sigma: np.ndarray) -> bool:
        variances = np.einsum("ij,jk,ik->i", w, sigma, w)
        kappa = np.trace(centre @ sigma) / (n - 1)
        equal = np.allclose(variances, cwn.C_HE * kappa, rtol=1e-5)
        assert holds(formula("eq:errata:whitened-rows"), {"P": centre, r"\Sigma": sigma, r"\kappa": kappa}) == equal
        return equal

    b = rng.normal(size=n) / 10
    assert condition(3 * np.eye(n)), "whitened"
    assert condition(np.eye(n) / 2 + np.ones((n, n)) / 2), "equal variances and equal correlations"
    assert condition(np.eye(n) + np.add.outer(b, b)), "as the page has it"
    assert not condition(np.diag(np.arange(1.0, n + 1)))
    r, pair = 0.9, np.array([[1, -1, 0], np.array([1, 1, -2]) / np.sqrt(3)])  # the page's example
    sigma = np.array([[1, r, 0], [r, 1, 0], [0, 0, 1]])
    assert np.allclose(pair @ np.ones(3), 0) and np.allclose((pair**2).sum(1), 2)
    assert np.allclose(np.diag(pair @ sigma @ pair.T), [2 - 2 * r, 2 + 2 * r / 3])

    images = data.load("digits").train_images.double().numpy().reshape(-1, 8, 8)
    patches = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2)).reshape(-1, 9)
    centre = np.eye(9) - np.ones((9, 9)) / 9
    spread = np.linalg.eigvalsh(centre @ np.cov(patches.T) @ centre)[1:]  # without the direction of the mean
    assert spread[-1] / spread[0] > 10


@pytest.mark.equation("eq:errata:variance")
def test_variance() -> None:
    torch.manual_seed(0)
    before = torch.randn(64, 768)

    def known(c: float, centralize: bool) -> dict[str, Any]:
        after = before.relu() @ rows(768, 768, c, centralize=centralize).T
        return {
            r"\operatorname{E}[y_l^2]": second_moment(after),
            r"\operatorname{E}[y_{l-1}^2]": second_moment(before),
            r"c^\star": cwn.C_CENTERED,
            "c": c,
        }

    first, second = formula("eq:errata:variance").split(r"\qquad")
    first = first.replace("=", r"\approx")  # an expectation, measured
    for c in (cwn.C_HE, cwn.C_CENTERED):
        assert holds(first, known(c, centralize=True), rtol=0.03)
        assert not holds(first, known(c, centralize=False), rtol=0.03)
    assert holds(second, known(2.0, centralize=True), rtol=1e-3)
    keeps = known(cwn.C_CENTERED, centralize=True)
    assert keeps[r"\operatorname{E}[y_l^2]"] == pytest.approx(keeps[r"\operatorname{E}[y_{l-1}^2]"], rel=0.03)
    as_printed = known(2.0, centralize=False)  # the paper's constant is right for rows on the sphere alone
    assert as_printed[r"\operatorname{E}[y_l^2]"] == pytest.approx(second_moment(before), rel=0.03)


def test_eleven_layers() -> None:
    torch.manual_seed(0)
    ratios = []
    for _ in range(4):
        start = y = torch.randn(16, 512)
        for _ in range(11):
            y = y.relu() @ rows(512, 512).T
        ratios.append(second_moment(y) / second_moment(start))
    assert np.mean(ratios) == pytest.approx((1 - 1 / np.pi) ** 11, rel=0.2)


@pytest.mark.equation("eq:errata:offset")
def test_offset() -> None:
    torch.manual_seed(0)
    n = 16
    w = rows(1, n)[0].double().numpy()
    w -= w.mean()
    x = np.random.default_rng(0).exponential(size=(500, n)) * np.arange(1, n + 1)
    known = {
        r"\operatorname{E}[w^\top x]": (x @ w).mean(),
        "P": np.eye(n) - np.ones((n, n)) / n,
        "w": w,
        "m": x.mean(0),
    }
    assert holds(formula("eq:errata:offset"), known)
    printed = entries()["errata-offset"].printed[-1]
    assert not holds(printed, known), "the output is biased"
    common = np.full(n, 3.0)
    assert holds(printed, known | {r"\operatorname{E}[w^\top x]": w @ common}), "a common offset is removed"

    means = torch.randn(n).double()
    measured = float((rows(20_000, n).double() @ means).var())
    expected = 2 * float((means - means.mean()).square().sum()) / (n - 1)
    assert measured == pytest.approx(expected, rel=0.05)


def test_padding() -> None:
    """An offset of all pixels and channels: gone inside, not at the border."""
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(8, 8, 3, padding=1, bias=False).double()
    cwn.project_(conv.weight)
    image = torch.randn(1, 8, 10, 10).double()
    change = (conv(image + 1) - conv(image)).detach().abs()
    assert float(change[..., 1:-1, 1:-1].max()) < 1e-12
    assert float(change[..., 0, :].max()) > 0.1


@pytest.mark.equation("eq:errata:residual")
@pytest.mark.parametrize("c", [cwn.C_HE, cwn.C_CENTERED])
def test_residual(c: float) -> None:
    torch.manual_seed(0)
    width, blocks = 512, 12
    scale, x = cwn.ScaleBias(width), torch.randn(32, width)
    sizes = [second_moment(x)]
    with torch.no_grad():
        for _ in range(blocks):
            branch = scale(x).relu() @ rows(width, width, c).T
            x = x + scale(branch).relu() @ rows(width, width, c).T
            sizes.append(second_moment(x))
    growth = (sizes[-1] / sizes[0]) ** (1 / blocks)
    known = {
        r"\operatorname{E}[x_{l+1}^2]": growth,
        r"\operatorname{E}[x_l^2]": 1.0,
        "c": c,
        r"c^\star": cwn.C_CENTERED,
    }
    assert holds(formula("eq:errata:residual"), known, rtol=0.03)
    once = formula("eq:errata:residual").replace(r"\right)^2", r"\right)")
    assert holds(once, known, rtol=0.03) == (c == cwn.C_CENTERED), "without the square it is wrong"
    if c == cwn.C_HE:
        assert sizes[-1] / sizes[0] == pytest.approx(97, rel=0.3)


@pytest.mark.equation("eq:errata:bn-fold")
def test_bn_fold() -> None:
    torch.manual_seed(0)
    linear, norm = torch.nn.Linear(6, 1, bias=False).double(), torch.nn.BatchNorm1d(1).double()
    with torch.no_grad():
        norm.weight.fill_(1.7)
        norm.bias.fill_(-0.3)
    for _ in range(20):
        norm(linear(torch.randn(32, 6).double() + 1))
    norm.eval()
    x = torch.randn(6).double()
    assert norm.running_mean is not None and norm.running_var is not None
    known = {
        r"\gamma": norm.weight.item(),
        r"\beta": norm.bias.item(),
        "w": linear.weight[0].detach().numpy(),
        "x": x.numpy(),
        "m": float(norm.running_mean),
        "s": float((norm.running_var + norm.eps).sqrt()),
    }
    assert holds(formula("eq:errata:bn-fold"), known)
    folded = torch.nn.utils.fusion.fuse_linear_bn_eval(linear.eval(), norm)
    assert holds(r"y = \gamma \frac{w^\top x - m}{s} + \beta", known | {"y": norm(linear(x[None])).item()})
    assert folded(x).item() == pytest.approx(norm(linear(x[None])).item(), abs=1e-12)
