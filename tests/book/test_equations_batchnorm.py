"""Every displayed equation of "What batch norm does", read from the page and held against torch and enumeration."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds
from bookcheck.tight import checker
from torch import Tensor, nn

Symbols = dict[str, Any]


check = checker("batchnorm")


def batch(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A channel's values, and what torch's batch norm makes of them in training."""
    torch.manual_seed(seed)
    y = 3 * torch.randn(n, 1, dtype=torch.float64) + 5
    norm = nn.BatchNorm1d(1, affine=False, eps=1e-30).double()
    return y[:, 0].numpy(), norm(y)[:, 0].numpy()


@pytest.mark.equation("eq:batchnorm:statistics", "eq:batchnorm:normalized", "eq:batchnorm:two-noises")
@pytest.mark.parametrize("n", [2, 7])
def test_batch_norm_is_a_fixed_normalization_with_two_noises(n: int) -> None:
    y, out = batch(n)
    mean, deviation = y.mean(), y.std()
    known: Symbols = {
        "N": n,
        "m_B": mean,
        r"\sigma_B": deviation,
        r"\sum_{i=1}^{N} y_i": y.sum(),
        r"\sum_{i=1}^{N} (y_i - m_B)^2": ((y - mean) ** 2).sum(),
    }
    check("statistics", known, "m_B", r"\sigma_B", "N")
    for value, normalized in zip(y, out, strict=True):
        true: Symbols = {
            "m": 5.0,
            r"\sigma_y": 3.0,
            "y": value,
            r"\hat y": normalized,
            "z": (value - 5) / 3,
            r"\eta_B": 3 / deviation - 1,
            r"\zeta_B": (mean - 5) / 3,
        }
        check(
            "normalized",
            {"m_B": mean, r"\sigma_B": deviation, "y_i": value, r"\hat y_i": normalized},
            "m_B",
            r"\sigma_B",
        )
        check("two-noises", known | true, r"\hat y", r"\sigma_B", "m_B", r"\sigma_y", "z", r"\zeta_B")


@pytest.mark.equation("eq:batchnorm:offset")
def test_scatter_of_the_offset_by_all_samples() -> None:
    values = np.array([-1.0, 0.0, 2.0, 5.0])
    for n in (2, 5):
        means = np.array([np.mean(sample) for sample in product(values, repeat=n)])
        offset = (means - values.mean()) / values.std()
        check("offset", {r"\operatorname{sd}[\zeta_B]": offset.std(), "N": n}, "N")


@pytest.mark.equation("eq:batchnorm:size")
@pytest.mark.parametrize("n", [2, 9])
def test_what_comes_out_has_mean_zero_and_mean_square_one(n: int) -> None:
    _, out = batch(n, seed=2)
    known = {"N": n, r"\sum_{i=1}^{N} \hat y_i^2": (out**2).sum(), r"\sum_{i=1}^{N} \hat y_i": out.sum()}
    check("size", known, "N", r"\sum_{i=1}^{N} \hat y_i^2")
    assert not holds(formula("eq:batchnorm:size"), known | {r"\sum_{i=1}^{N} \hat y_i": 0.1})


def loss(w: Tensor) -> Tensor:
    """A loss behind torch's batch norm, of one row of three weights."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(20, 3, dtype=torch.float64, generator=generator)
    wanted = torch.randn(20, dtype=torch.float64, generator=generator)
    norm = nn.BatchNorm1d(1, affine=False, eps=1e-30).double()
    return (norm((x @ w)[:, None])[:, 0] - wanted).square().sum()


def gradient(w: np.ndarray) -> np.ndarray:
    row = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(loss(row), row)[0].numpy()


@pytest.mark.equation("eq:batchnorm:indifferent", "eq:batchnorm:gradient")
@pytest.mark.parametrize("a", [0.01, 2.0, 500.0])
def test_the_size_of_a_row_does_not_matter(a: float) -> None:
    w = np.array([3.0, 1.0, -1.0])
    tex = formula("eq:batchnorm:indifferent").replace(r"\text{for all } a > 0", "")  # a condition, true here
    value = {"L": lambda row: float(loss(torch.tensor(row))), "a": a, "w": w}
    assert holds(tex, value)
    assert not holds(tex, value | {"L": lambda row: float(np.sum(row**2))})
    known = {"a": a, "w": w, r"\nabla L": gradient}
    check("gradient", known)
    tex = formula("eq:batchnorm:gradient")
    assert not holds(tex.replace(r"\frac{1}{a} \,", ""), known) and not holds(
        tex, known | {r"\nabla L": lambda row: row}
    )


@pytest.mark.equation("eq:batchnorm:step", "eq:batchnorm:angle")
@pytest.mark.parametrize("rate", [0.01, 1.0, 1000.0])
@pytest.mark.parametrize("length", [1.0, 4.0])
def test_a_step_makes_the_row_longer_and_turns_it(rate: float, length: float) -> None:
    w = length * np.array([3.0, 1.0, -1.0]) / math.sqrt(11)
    g = gradient(w)
    after = w - rate * g
    cosine = after @ w / np.linalg.norm(after) / np.linalg.norm(w)
    theta = np.arctan2(math.sqrt(1 - cosine**2), cosine)
    unit = float(np.linalg.norm(gradient(w / length)))
    known = {
        "w": w,
        "w^+": after,
        "g": g,
        "G": unit,
        r"\alpha": rate,
        r"\tan \theta": math.tan(theta),
    }
    check("step", known, "w", "g", r"\alpha")
    check("angle", known, "w", "G", r"\alpha")
