"""A forest plot: many differences with their intervals, one below the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cwn_lite.figures.style import COLORS, INK, STYLE


@dataclass(frozen=True)
class Interval:
    """One line of a forest plot.

    Attributes:
        label: what was compared, where.
        mean: of the difference, or ``None`` where there is nothing to draw, and the label says why.
        low: lower end of its interval.
        high: upper end.
        n: number of pairs.
    """

    label: str
    mean: float | None
    low: float
    high: float
    n: int


def draw_forest(
    groups: Mapping[str, Sequence[Interval]], *, xlabel: str, limit: float, better: str = "", worse: str = ""
) -> Figure:
    """Draw groups of intervals around zero; each label stands above its line, so that a narrow screen can read it.

    An interval that ends below zero is drawn in the colour of the method, one that begins above zero in black, one
    that holds zero in grey. Ends beyond ``limit`` become arrows.

    Args:
        groups: heading -> its lines.
        xlabel: what is on the axis, with its unit.
        limit: the axis goes from minus this to this.
        better: what stands left of zero.
        worse: what stands right of zero.

    Raises:
        ValueError: there is no line, or ``limit`` is not positive.

    Example:
        >>> fig = draw_forest({"BN": [Interval("digits", -1.0, -1.5, -0.5, 5)]}, xlabel="points", limit=4)
        >>> [float(end) for end in fig.axes[0].get_xlim()]
        [-4.0, 4.0]
    """
    lines = sum(map(len, groups.values()))
    if not lines:
        raise ValueError("groups hold no line: there is nothing to draw")
    if not limit > 0:
        raise ValueError(f"limit={limit!r} must be positive")
    rows = lines + len(groups)
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(4.6, 0.36 * rows + 0.9))
    y = 0.0
    for heading, intervals in groups.items():
        ax.text(-limit, y, heading, weight="bold", va="center")
        y += 1
        for line in intervals:
            ax.text(-limit, y - 0.22, line.label, va="center")
            ax.text(limit, y - 0.22, f"n = {line.n}", va="center", ha="right")
            if line.mean is not None:
                _draw(ax, line, y + 0.2, limit)
            y += 1
    ax.set(xlim=(-limit, limit), ylim=(y - 0.3, -0.7), yticks=[], xlabel=xlabel)
    ax.spines["left"].set_visible(False)
    ax.grid(visible=False)  # lines would run through the labels
    for x, words, side in ((-limit, better, "left"), (limit, worse, "right")):
        ax.text(x, -0.85, words, ha=side, va="bottom", style="italic")
    return fig


def _draw(ax: Axes, line: Interval, y: float, limit: float) -> None:
    assert line.mean is not None
    ax.plot([0, 0], [y - 0.2, y + 0.2], color=INK, linewidth=1)
    color = COLORS["ours"] if line.high < 0 else INK if line.low > 0 else COLORS["plain"]
    low, high = max(line.low, -limit), min(line.high, limit)
    ax.plot([low, high], [y, y], color=color, linewidth=1.6, solid_capstyle="butt")
    for end, beyond, marker in ((low, line.low < -limit, "<"), (high, line.high > limit, ">")):
        if beyond:
            ax.plot(end, y, marker, color=color, markersize=4, clip_on=False)
    if abs(line.mean) <= limit:
        ax.plot(line.mean, y, "o", color=color, markersize=4.5)
