"""The noise of a batch statistic: what batch norm divides by, drawn many times, beside the noise on the scale of CWO.

The twin of the explorable ``batch-noise``: the same draws, number by number.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cwn_lite.checks import check_nonnegative
from cwn_lite.figures.draws import normals
from cwn_lite.figures.style import COLORS, LABELS, STYLE

SIZES = (2, 3, 4, 5, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512)
"""The numbers of samples ``N`` that the figure knows."""

DRAWS = 2000
KINDS = ("normal", "relu")
"""A sample is normal, or ``max(z, 0)`` of a normal ``z``."""

BINS = (-1.0, 3.0, 0.05)
"""Ends of the histograms' axis and the width of a bin; as in ``explorables/batch-noise-draws.js``."""

_STATISTICS_SEED, _NOISE_SEED = 1, 2


@dataclass(frozen=True)
class Noise:
    """One side of the figure.

    Attributes:
        factors: what the signal is multiplied by, one per draw.
        spread: standard deviation over the draws of ``σ_B / σ_y`` (batch norm) or of ``1 + η`` (CWO).
        rule: what the formula says it is: ``½ √((κ − 1) / N)``, or ``σ``.
        square: mean square of the factor by its law: ``N / (N − 3)`` of normal samples, infinite for three or fewer and
            where all samples can be 0; ``1 + σ²`` for CWO.
        offset: standard deviation of ``(m_B − m) / σ_y``, 0 for CWO.
        far: share of the factors below ½ or above 2.
    """

    factors: NDArray[np.float64]
    spread: float
    rule: float
    square: float
    offset: float
    far: float


def moments(kind: str) -> tuple[float, float, float]:
    """Return mean, variance and kurtosis of a sample.

    Args:
        kind: one of `KINDS`.

    Raises:
        ValueError: it is none of them.

    Example:
        >>> moments("normal")
        (0.0, 1.0, 3.0)
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if kind == "normal":
        return 0.0, 1.0, 3.0
    m = 1 / math.sqrt(2 * math.pi)
    variance = 1 / 2 - m * m
    return m, variance, (3 / 2 - 8 * m**2 + 3 * m**2 - 3 * m**4) / variance**2


def batch_noise(*, size: int = 4, kind: str = "normal", sigma: float | None = None) -> dict[str, Noise]:
    """Return the noise of batch norm on ``N`` samples and that of CWO, over 2,000 draws.

    Args:
        size: number of samples ``N``, one of `SIZES`.
        kind: distribution of a sample, one of `KINDS`.
        sigma: noise ``σ`` of CWO; ``None`` is ``1/√(2N)``.

    Returns:
        ``"bn"`` and ``"ours"``.

    Raises:
        ValueError: a value is out of its range.

    Example:
        >>> noise = batch_noise(size=128)
        >>> round(noise["bn"].spread, 3), round(noise["bn"].rule, 4)
        (0.062, 0.0625)
    """
    if size not in SIZES:
        raise ValueError(f"size must be one of {', '.join(map(str, SIZES))}, got {size}")
    mean, variance, kurtosis = moments(kind)
    sigma = 1 / math.sqrt(2 * size) if sigma is None else check_nonnegative("sigma", sigma)
    samples = normals(_STATISTICS_SEED, DRAWS * SIZES[-1]).reshape(DRAWS, -1)[:, :size]
    if kind == "relu":
        samples = np.maximum(samples, 0)
    divisor = samples.std(axis=1) / math.sqrt(variance)
    offset = (samples.mean(axis=1) - mean) / math.sqrt(variance)
    with np.errstate(divide="ignore"):  # no sample above 0: infinite, up to batch norm's ε
        bn = 1 / divisor
    ours = 1 + sigma * normals(_NOISE_SEED, DRAWS)
    rule = math.sqrt((kurtosis - 1) / (4 * size))
    square = size / (size - 3) if kind == "normal" and size > 3 else math.inf
    return {
        "bn": Noise(bn, float(divisor.std()), rule, square, float(offset.std()), _far(bn)),
        "ours": Noise(ours, float(ours.std()), sigma, 1 + sigma**2, 0.0, _far(ours)),
    }


def _far(factors: NDArray[np.float64]) -> float:
    return float(np.mean((factors > 2) | (factors < 0.5)))


def histogram(factors: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """Return the share of the factors in each bin of `BINS`, and what lies below and above.

    Args:
        factors: as in `Noise`.
    """
    low, high, width = BINS
    at = np.floor((factors - low) / width)
    count = round((high - low) / width)
    inside = at[(at >= 0) & (at < count)].astype(int)
    shares = np.bincount(inside, minlength=count) / len(factors)
    return shares, float(np.mean(at < 0)), float(np.mean(at >= count))


def draw_batch_noise(**settings: float | str | None) -> Figure:
    """Draw both histograms; the arguments are those of `batch_noise` and of the explorable ``batch-noise``.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Example:
        >>> len(draw_batch_noise(size=16).axes)
        2
    """
    # Settings of three types in one dict: batch_noise checks each by name.
    noise: Mapping[str, Noise] = batch_noise(**settings)  # type: ignore[arg-type]
    titles = {"bn": r"$\sigma_y / \sigma_B$", "ours": r"$1 + \eta$"}
    low, high, width = BINS
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(2, 1, sharex=True, sharey=True, figsize=(5.0, 3.9))
    for ax, (key, side) in zip(axes, noise.items(), strict=True):
        shares, below, above = histogram(side.factors)
        edges = low + width * np.arange(len(shares) + 1)
        ax.stairs(shares, edges, fill=True, color=COLORS[key], alpha=0.25)
        ax.stairs(shares, edges, color=COLORS[key])
        ax.axvline(1, color=COLORS["plain"], linewidth=0.8, dashes=(3, 3))
        ax.set_title(f"{LABELS[key]}: {titles[key]}")
        ax.set_yticks([])
        for share, x, side_of in ((below, low, "left"), (above, high, "right")):
            if share:
                ax.annotate(
                    f"{100 * share:.1f} % beyond", (x, 0), xytext=(0, 22), textcoords="offset points", ha=side_of
                )
    axes[-1].set(xlabel="factor on the signal", xlim=(low, high))
    return fig
