"""Errata of Eq. 7-8: how strong the noise is, beside batch norm's, and how much of it a schedule has."""

from math import erf, exp, lgamma, sqrt
from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.errata import entries
from bookcheck.latex import holds

import cwn_lite as cwn


def normal_cdf(x: float) -> float:
    return (1 + erf(x / sqrt(2))) / 2


@pytest.mark.equation("eq:errata:noise-size")
@pytest.mark.parametrize("size", [128, 8192])
def test_noise_size(size: int) -> None:
    """The standard deviation of N normal values follows a chi distribution, whose moments are known."""
    mean = sqrt(2 / size) * exp(lgamma(size / 2) - lgamma((size - 1) / 2))
    deviation = sqrt((size - 1) / size - mean**2)
    known = {r"\operatorname{sd}[s]": deviation, r"\operatorname{E}[s]": mean, "N": size}
    assert holds(formula("eq:errata:noise-size"), known)
    assert not holds(formula("eq:errata:noise-size").replace("2N", "N"), known)

    torch.manual_seed(0)  # and batch norm does divide by such an s
    norm = torch.nn.BatchNorm1d(500, affine=False, eps=1e-12)
    values = torch.randn(size, 500)
    divided_by = ((values - values.mean(0)) / norm(values)).mean(0)
    assert float(divided_by.std() / divided_by.mean()) == pytest.approx(deviation / mean, rel=0.15)


@pytest.mark.equation("eq:errata:noise-lift")
@pytest.mark.parametrize("sigma", [0.4, 1.0])
def test_noise_lift(sigma: float) -> None:
    grid = np.linspace(-12, 12, 200_001)
    weight = np.exp(-(grid**2) / 2) / sqrt(2 * np.pi) * (grid[1] - grid[0])
    known: dict[str, Any] = {
        r"\operatorname{E}[\lvert 1 + \eta\rvert]": (np.abs(1 + sigma * grid) * weight).sum(),
        r"\sigma": sigma,
        r"\Phi": normal_cdf,
    }
    assert holds(formula("eq:errata:noise-lift"), known)

    torch.manual_seed(0)
    layer = cwn.ScaleBias(200_000, noise_std=sigma)
    drawn = layer(torch.ones(1, layer.num_features)).detach()
    assert float(drawn.abs().mean()) == pytest.approx(known[r"\operatorname{E}[\lvert 1 + \eta\rvert]"], rel=0.01)
    assert float(drawn.square().mean()) == pytest.approx(1 + sigma**2, rel=0.02)
    assert float((drawn < 0).float().mean()) == pytest.approx(normal_cdf(-1 / sigma), abs=0.003)


@pytest.mark.equation("eq:errata:schedule")
@pytest.mark.parametrize("depth", [1, 9, 25])
def test_schedule(depth: int) -> None:
    def known(kind: str) -> dict[str, Any]:
        levels = np.array(cwn.noise_schedule(depth, 0.8, kind))
        return {r"\sum_{l=1}^{L} \sigma_l^2": (levels**2).sum(), "L": depth, r"\sigma": 0.8}

    assert holds(formula("eq:errata:schedule"), known("linear"))
    assert holds(formula("eq:errata:schedule"), known("constant")) == (depth == 1)
    (*_, printed) = entries()["errata-schedule"].printed
    (level, *_) = cwn.noise_schedule(depth, 0.8, "constant")
    assert not holds(printed, {r"\sigma_l": level, r"\sigma": 0.8})
