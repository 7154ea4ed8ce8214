"""One value in batch norm, in ever new company: the twin of the explorable ``batch-company``."""

import math
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cwn_lite.checks import check_count, check_number
from cwn_lite.figures.draws import normals
from cwn_lite.figures.style import COLORS, QUANTITIES, STYLE

SIZES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
"""The numbers of values ``N`` in a batch that the figure knows, yours among them."""

COMPANIES = 500
REACH = 3.0
"""How far your value may lie from the true mean, in true standard deviations."""

BINS = (-4.5, 4.5, 0.1)
"""Ends of the axis and the width of a bin; as in ``explorables/batch-company.js``."""

_SEED = 3


@dataclass(frozen=True)
class Company:
    """What batch norm makes of your value.

    Attributes:
        values: the batch, yours first.
        mean: ``m_B`` of the batch.
        divisor: its ``σ_B``.
        outputs: ``(y − m_B) / σ_B`` of each value, yours first.
        over_all: what comes out for your value in each of the 500 companies.
    """

    values: NDArray[np.float64]
    mean: float
    divisor: float
    outputs: NDArray[np.float64]
    over_all: NDArray[np.float64]


def batch_company(*, size: int = 4, value: float = 1.5, draw: int = 0) -> Company:
    """Return one batch of ``N`` values, yours and ``N − 1`` normal ones, and your output in 500 such companies.

    Args:
        size: number of values ``N``, one of `SIZES`.
        value: yours, from −3 to 3; the others have mean 0 and variance 1.
        draw: number of the company, 0 to 499.

    Raises:
        TypeError, ValueError: a value is out of its range.

    Example:
        >>> company = batch_company(size=2, value=0.5)
        >>> sorted(company.outputs.round(9).tolist()), len(company.over_all)
        ([-1.0, 1.0], 500)
    """
    if check_count("size", size, 2) not in SIZES:
        raise ValueError(f"size must be one of {', '.join(map(str, SIZES))}, got {size}")
    if abs(check_number("value", value)) > REACH:
        raise ValueError(f"value must lie from −{REACH:g} to {REACH:g}, got {value}")
    if check_count("draw", draw, 0) >= COMPANIES:
        raise ValueError(f"draw must be below {COMPANIES}, got {draw}")
    others = normals(_SEED, COMPANIES * SIZES[-1]).reshape(COMPANIES, -1)[:, : size - 1]
    batches = np.concatenate([np.full((COMPANIES, 1), value), others], axis=1)
    mean, divisor = batches.mean(axis=1, keepdims=True), batches.std(axis=1, keepdims=True)
    outputs = (batches - mean) / divisor
    return Company(batches[draw], float(mean[draw, 0]), float(divisor[draw, 0]), outputs[draw], outputs[:, 0])


def shares(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of the outputs in each bin of `BINS`.

    Args:
        outputs: as ``over_all`` of `Company`.
    """
    low, high, width = BINS
    # Exact ends such as ±1 at two values must not fall to either side by a rounding.
    at = np.floor((outputs - low) / width + 1e-9).astype(int)
    return np.bincount(at, minlength=round((high - low) / width)) / len(outputs)


def draw_batch_company(**settings: float) -> Figure:
    """Draw the batch, what comes out, and your output in all companies; the arguments are those of `batch_company`.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Example:
        >>> len(draw_batch_company(size=8).axes)
        3
    """
    company = batch_company(**settings)  # type: ignore[arg-type]  # two types in one dict: checked by name there
    low, high, width = BINS
    yours, others, quiet = QUANTITIES["magenta"], QUANTITIES["teal"], COLORS["plain"]
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(3, 1, sharex=True, figsize=(5.0, 3.9), height_ratios=(1, 1, 1.6))
    for ax, values in zip(axes, (company.values, company.outputs), strict=False):
        ax.plot(values[1:], np.zeros(len(values) - 1), "o", color=others, fillstyle="none")
        ax.plot(values[:1], [0], "o", color=yours, markersize=9)
    ends = company.mean - company.divisor, company.mean + company.divisor
    axes[0].axvspan(*ends, color=others, alpha=0.15, linewidth=0)
    axes[0].axvline(company.mean, color=others, linewidth=1)
    parts = shares(company.over_all)
    axes[2].stairs(parts, low + width * np.arange(len(parts) + 1), fill=True, color=yours, alpha=0.4)
    axes[2].axvline(company.values[0], color=quiet, linewidth=1.2, dashes=(3, 3))
    names = ("the batch", "what comes out", f"yours, in {COMPANIES} companies")
    for ax, name in zip(axes, names, strict=True):
        ax.set(xlim=(low, high), yticks=[])
        ax.set_title(name, loc="left")
        ax.grid(visible=False)
    axes[2].set_ylim(0, 1.15 * parts.max())
    axes[2].set_xlabel("true standard deviations; dashed: your value,\nwhich is its output in use")
    return fig


def scatter(outputs: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and standard deviation of your output over all companies.

    Args:
        outputs: as ``over_all`` of `Company`.
    """
    return float(outputs.mean()), math.sqrt(float(outputs.var()))
