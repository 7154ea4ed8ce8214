"""What intervals over a few seeds cover, simulated: the twin of the explorable ``seed-intervals``."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cwn_lite.checks import check_count, check_nonnegative
from cwn_lite.figures.draws import normals, uniforms
from cwn_lite.figures.style import COLORS, INK, QUANTITIES, STYLE

SEEDS = (2, 10)
"""Fewest and most seeds of one experiment."""
EXPERIMENTS = 2000
SHOWN = 24
"""How many of the experiments are drawn."""
LOSS = 60.0
"""By how many points a run that fails is worse."""
STUDENT = (12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157)
"""Student's quantile of a 95 % interval at 1 to 9 degrees of freedom; as in ``explorables/seed-intervals.js``."""
_REACH = (-10.0, 50.0)


@dataclass(frozen=True)
class Simulated:
    """Many experiments, each with its interval; NaN where fewer than two runs are left.

    Attributes:
        low: lower ends, one per experiment.
        high: upper ends.
        truth: the mean that the intervals are for.
        covered: share of the intervals that hold it.
        decided: share of the experiments whose interval excludes zero.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    truth: float
    covered: float
    decided: float


def seed_intervals(*, seeds: int = 3, gap: float = 1.0, failing: float = 0.0, trained: bool = False) -> Simulated:
    """Return the intervals ``d̄ ± t s / √k`` of experiments with ``k`` paired differences each.

    A difference is normal with the standard deviation of one point around the gap. With the given probability the
    first method's run fails, and is 60 points worse.

    Args:
        seeds: ``k``, from 2 to 10.
        gap: mean difference where both train, in points.
        failing: probability that a run of the first method fails, from 0 to 1.
        trained: leave out the pairs with a failed run; else they count like the others.

    Raises:
        TypeError, ValueError: a value is out of its range.

    Example:
        >>> round(seed_intervals(seeds=5).covered, 2)
        0.95
    """
    least, most = SEEDS
    if check_count("seeds", seeds, least) > most:
        raise ValueError(f"seeds must be at most {most}, got {seeds}")
    if check_nonnegative("failing", failing) > 1:
        raise ValueError(f"failing must be at most 1, got {failing}")
    fails = uniforms(4, EXPERIMENTS * most).reshape(-1, most)[:, :seeds] < failing
    d = gap + normals(3, EXPERIMENTS * most).reshape(-1, most)[:, :seeds] + LOSS * fails * (not trained)
    keep = ~(fails & trained)
    n = keep.sum(1)
    mean = (d * keep).sum(1) / np.maximum(n, 1)
    squares = ((d - mean[:, None]) ** 2 * keep).sum(1)
    student = np.array((np.nan, np.nan, *STUDENT))[n]
    half = student * np.sqrt(squares / np.maximum(n - 1, 1) / np.maximum(n, 1))
    low, high = mean - half, mean + half
    truth = gap + LOSS * failing * (not trained)
    made = np.isfinite(half)
    return Simulated(
        low,
        high,
        truth,
        covered=float(((low <= truth) & (truth <= high)).sum() / max(made.sum(), 1)),
        decided=float(((low > 0) | (high < 0)).sum() / EXPERIMENTS),
    )


def draw_seed_intervals(**settings: float) -> Figure:
    """Draw the first experiments; the arguments are those of `seed_intervals` and of the explorable.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Example:
        >>> draw_seed_intervals(seeds=3).axes[0].get_xlabel()
        'points of test error'
    """
    found = seed_intervals(**settings)  # type: ignore[arg-type]  # three types in one dict: checked by name there
    left, right = _REACH
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(4.8, 3.8))
        for row, (low, high) in enumerate(zip(found.low[:SHOWN], found.high[:SHOWN], strict=True)):
            if np.isfinite(low):
                holds = low <= found.truth <= high
                color = COLORS["plain"] if holds else QUANTITIES["magenta"]
                ax.plot([max(low, left), min(high, right)], [row, row], color=color, linewidth=2 if holds else 3)
        ax.axvline(0, color=INK, linewidth=1)
        ax.axvline(found.truth, color=QUANTITIES["teal"], dashes=(4, 3), linewidth=1.5)
        ax.set(xlim=_REACH, yticks=[], xlabel="points of test error")
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        ax.spines["left"].set_visible(False)
    return fig
