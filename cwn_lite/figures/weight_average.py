"""How far inside the sphere an average of weights lies: the twin of the explorable ``weight-average``."""

import math
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from cwn_lite.checks import check_nonnegative
from cwn_lite.figures.style import QUANTITIES, STYLE

DECAYS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
"""The decays that the figure knows."""
_SHOWN = 5  # rows are drawn until they are this many mean ages old
_DOTS = 100


@dataclass(frozen=True)
class Average:
    """Where the exponential average of a row lies that turns by one angle per step.

    Attributes:
        age: mean age of the rows in the average, in steps.
        steady: its length over a row's, where each step turns the same way.
        lag: the angle by which it then lies behind the newest row, in radians.
        random: root mean square of its length over a row's, where each step turns one way or the other at random.
    """

    age: float
    steady: float
    lag: float
    random: float


def weight_average(*, decay: float = 0.99, angle: float = 0.015) -> Average:
    """Return how far inside the sphere ``a = d a + (1 − d) w`` comes to lie, for a row that turns by ``ω`` per step.

    ``‖a‖² / c = (1 − d)² / (1 − 2 d cos ω + d²)`` for steps one way; in the mean ``(1 − d)(1 + d cos ω) / ((1 + d)
    (1 − d cos ω))`` for steps either way at random.

    Args:
        decay: ``d``, at least 0 and below 1.
        angle: ``ω`` in radians, from 0 to π.

    Raises:
        TypeError, ValueError: a value is out of its range.

    Example:
        >>> found = weight_average(decay=0.5, angle=0.0)
        >>> found.age, found.steady, found.lag, found.random
        (1.0, 1.0, 0.0, 1.0)
    """
    d, angle = check_nonnegative("decay", decay), check_nonnegative("angle", angle)
    if d >= 1:
        raise ValueError(f"decay must be below 1, got {decay}")
    if angle > math.pi:
        raise ValueError(f"angle must be at most pi, got {angle}")
    turn = d * math.cos(angle)
    return Average(
        age=d / (1 - d),
        steady=(1 - d) / math.sqrt(1 - 2 * turn + d * d),
        lag=math.atan2(d * math.sin(angle), 1 - turn),
        random=math.sqrt((1 - d) * (1 + turn) / ((1 + d) * (1 - turn))),
    )


def draw_weight_average(**settings: float) -> Figure:
    """Draw rows on their circle, and their average inside; the arguments are those of `weight_average`.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Example:
        >>> [text.get_text() for text in draw_weight_average(decay=0.9).axes[0].texts]
        ['newest row', 'average', 'projected']
    """
    found = weight_average(**settings)
    decay, angle = settings.get("decay", 0.99), settings.get("angle", 0.015)
    last = max(1, math.ceil(_SHOWN * found.age))
    ages = range(0, last, max(1, last // _DOTS))
    at = math.pi / 2 - found.lag
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(4.2, 3.4))
        ax.add_patch(Circle((0, 0), 1, fill=False, linewidth=1, color="0.5"))
        ax.add_patch(Circle((0, 0), found.random, fill=False, linewidth=1, color="0.5", linestyle=(0, (4, 3))))
        turned = [math.pi / 2 - angle * age for age in ages]
        ax.scatter(
            [math.cos(t) for t in turned],
            [math.sin(t) for t in turned],
            s=18,
            color=[to_rgba(QUANTITIES["teal"], decay**age) for age in ages],
            linewidths=0,
        )
        ax.plot([0, math.cos(at)], [0, math.sin(at)], linewidth=1, color="0.5")
        ends = {
            "average": (found.steady, QUANTITIES["magenta"], (8, -12), "left"),
            "projected": (1.0, QUANTITIES["olive"], (9, -4), "left"),
        }
        ax.annotate("newest row", (0, 1), xytext=(0, 8), textcoords="offset points", ha="center")
        for name, (length, color, offset, side) in ends.items():
            point = (length * math.cos(at), length * math.sin(at))
            ax.plot(*point, "o", color=color)
            ax.annotate(name, point, xytext=offset, textcoords="offset points", color=color, ha=side)
        ax.set(xlim=(-1.15, 1.75), ylim=(-1.15, 1.3), aspect="equal")
        ax.axis("off")
    return fig
