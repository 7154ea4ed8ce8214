"""How far rows of one norm stretch an input once they agree: the twin of the explorable ``row-agreement``."""

import math
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from cwn_lite.checks import check_count, check_nonnegative
from cwn_lite.figures.style import COLORS, QUANTITIES, STYLE
from cwn_lite.projection import C_CENTERED

ROWS = (2, 4, 8, 16, 32, 64, 128, 256, 512)
"""The numbers of rows that the figure knows; the fan-in is nine times as large, as in a 3x3 convolution."""


@dataclass(frozen=True)
class Stretch:
    """Factors by which a layer stretches an input.

    Attributes:
        largest: along the mean of the rows, its largest singular value.
        others: along all other directions.
        norm: of a row.
        random: the most that random rows of that norm do, ``√c (1 + √(k / n))``.
        limit: what they would do if all agreed.
    """

    largest: float
    others: float
    norm: float
    random: float
    limit: float


def row_agreement(*, rows: int = 64, cosine: float = 0.1) -> Stretch:
    """Return the singular values of ``k`` rows of squared norm ``c`` of which any two have the cosine ``r``.

    Their Gram matrix ``c ((1 − r) I + r 11ᵀ)`` has the eigenvalue ``c (1 + (k − 1) r)`` once and ``c (1 − r)`` else.

    Args:
        rows: number of rows ``k``, one of `ROWS`.
        cosine: ``r``, from 0 to 1.

    Raises:
        TypeError, ValueError: a value is out of its range.

    Example:
        >>> stretch = row_agreement(rows=64, cosine=1.0)
        >>> round(stretch.largest / stretch.norm, 6), stretch.others
        (8.0, 0.0)
    """
    if check_count("rows", rows, 2) not in ROWS:
        raise ValueError(f"rows must be one of {', '.join(map(str, ROWS))}, got {rows}")
    if check_nonnegative("cosine", cosine) > 1:
        raise ValueError(f"cosine must be at most 1, got {cosine}")
    root = math.sqrt(C_CENTERED)
    return Stretch(
        largest=root * math.sqrt(1 + (rows - 1) * cosine),
        others=root * math.sqrt(1 - cosine),
        norm=root,
        random=root * (1 + 1 / 3),
        limit=root * math.sqrt(rows),
    )


def draw_row_agreement(**settings: float) -> Figure:
    """Draw the three factors as bars; the arguments are those of `row_agreement` and of the explorable.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Example:
        >>> [label.get_text() for label in draw_row_agreement(rows=16).axes[0].get_yticklabels()]
        ['along their mean', 'along all else', 'norm of a row']
    """
    stretch = row_agreement(**settings)  # type: ignore[arg-type]  # two types in one dict: checked by name there
    bars = {
        "along their mean": (stretch.largest, QUANTITIES["magenta"]),
        "along all else": (stretch.others, QUANTITIES["teal"]),
        "norm of a row": (stretch.norm, COLORS["plain"]),
    }
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(5.0, 2.6))
        for row, (value, color) in enumerate(bars.values()):
            ax.barh(row, value, height=0.5, facecolor=(color, 0.3), edgecolor=color, linewidth=1.2)
            hides = value < stretch.random < value + 0.15 * stretch.limit  # the number would stand on the line
            end = stretch.random if hides else value
            ax.annotate(f"{value:.2f}", (end, row), xytext=(6, 0), textcoords="offset points", va="center")
        ax.axvline(stretch.random, linestyle=(0, (4, 3)), linewidth=1, color="0.5", label="most of random rows")
        ax.axvline(stretch.limit, linewidth=1, color="0.5", label="all agree")
        ax.set_yticks(range(len(bars)), list(bars))
        ax.set(xlabel="stretch of an input", xlim=(0, 1.1 * stretch.limit))
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        ax.tick_params(axis="y", length=0)
        fig.legend(loc="outside lower center", ncols=2)
    return fig
