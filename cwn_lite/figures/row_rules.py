"""Where one step takes a row of three weights by the rule of each idea: the twin of the explorable ``row-rules``."""

import math
from dataclasses import dataclass

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from cwn_lite.checks import check_number, check_positive
from cwn_lite.figures.sphere import on_sphere, space
from cwn_lite.figures.style import COLORS, QUANTITIES, STYLE
from cwn_lite.projection import C_HE, project_rows

GRADIENT = (-1.65, 0.3, -0.1)
"""The gradient at ``w``, before it is stretched."""
RULES = {
    "plain": "SGD",
    "muon": "Muon",
    "mano": "Mano",
    "ngpt": "nGPT",
    "macro": "MACRO",
    "ws": "scaled WS",
    "nero": "Nero",
    "req": "fixed rotation",
    "cwo": "CWO",
}
"""Rule -> its name."""


@dataclass(frozen=True)
class Next:
    """The row with which the layer computes after the step.

    Attributes:
        point: the row, three numbers.
        square: its squared norm.
        offset: its sum.
        turned: angle between it and the row before, in radians.
    """

    point: tuple[float, float, float]
    square: float
    offset: float
    turned: float


def row_rules(*, angle: float = 290.0, size: float = 1.0, rate: float = 0.8, length: float = 1.0) -> dict[str, Next]:
    """Return what one step makes of the row ``w`` by each rule, ``‖w‖² = 2`` and ``1ᵀw = 0``.

    There is one row, one gradient and no memory of others. So momentum is the gradient, an average of squared lengths
    is that of this one, and the polar factor of a matrix of one row is that row over its length.

    Args:
        angle: where ``w`` stands on the circle, in degrees.
        size: factor on the gradient, positive.
        rate: learning rate ``α``, positive; for some rules an angle.
        length: length of the row behind ``w`` that scaled WS trains, over that of ``w``.

    Raises:
        ValueError: ``size``, ``rate`` or ``length`` is not positive, or ``angle`` is not finite.

    Example:
        >>> after = row_rules(rate=0.1)
        >>> round(after["req"].turned, 3), after["plain"].square > 2
        (0.1, True)
    """
    angle, size, rate = check_number("angle", angle), check_positive("size", size), check_positive("rate", rate)
    length = check_positive("length", length)
    root = math.sqrt(C_HE)
    w = on_sphere(root, math.radians(angle))
    g = size * torch.tensor(GRADIENT, dtype=torch.float64)
    on_plane = g - g.mean()
    tangent, both = (d - w * (w @ d) / C_HE for d in (g, on_plane))
    unit = g / g.norm()

    def sphere(v: Tensor) -> Tensor:
        return project_rows(v, C_HE, centralize=False)

    points = {
        "plain": w - rate * g,
        "muon": w - rate * root * unit,
        "mano": w - rate * 0.2 * math.sqrt(3) * tangent / tangent.norm(),
        "ngpt": sphere(w - rate * g),
        "macro": sphere(w - rate * root * tangent / tangent.norm()),
        "ws": project_rows(length * w - rate * both / length, C_HE),
        "nero": project_rows(w - rate * root * unit, C_HE),
        "req": project_rows(w - rate * root * both / both.norm(), C_HE),
        "cwo": project_rows(w - rate * g, C_HE),
    }
    return {name: _next(w, v) for name, v in points.items()}


def _next(w: Tensor, v: Tensor) -> Next:
    a, b = w / w.norm(), v / v.norm()
    x, y, z = v.tolist()
    turned = 2 * math.atan2(float((a - b).norm()), float((a + b).norm()))
    return Next((x, y, z), float(v @ v), float(v.sum()), turned)


def draw_row_rules(*, turn: float = -48.0, tilt: float = 28.0, **settings: float) -> Figure:
    """Draw where the step leads by each rule; the other arguments are those of `row_rules`.

    Args:
        turn: angle around the normal of the plane from which the picture is seen, in degrees.
        tilt: angle above the plane from which it is seen, in degrees.
        **settings: see `row_rules`.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Example:
        >>> any("CWO" in text.get_text() for text in draw_row_rules().axes[0].texts)
        True
    """
    after = row_rules(**settings)
    w = on_sphere(math.sqrt(C_HE), math.radians(settings.get("angle", 290.0)))
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(5.6, 4.2))
        ax.set_aspect("equal")
        ax.set_axis_off()
        flat = space(ax, math.sqrt(C_HE), turn, tilt)
        start = flat(w)[:2]
        ax.plot(*start, "o", color=QUANTITIES["teal"], markersize=8)
        ax.annotate("w", start, xytext=(2, -14), textcoords="offset points", fontstyle="italic", ha="center")
        spots: dict[tuple[int, int], list[str]] = {}
        for name, found in after.items():
            x, y, _ = flat(torch.tensor(found.point, dtype=torch.float64))
            color = COLORS["ours"] if name == "cwo" else COLORS["plain"]
            ax.plot([start[0], x], [start[1], y], color=color, linewidth=0.8, alpha=0.6)
            ax.plot(x, y, "o", color=color, markersize=7 if name == "cwo" else 5)
            spots.setdefault((round(8 * x), round(8 * y)), []).append(name)
        _names(ax, spots)
    return fig


def _names(ax: Axes, spots: dict[tuple[int, int], list[str]]) -> None:
    """Write names in a column at the right, those of points that lie together in one line, with a line to the point."""
    column = sorted(spots.items(), key=lambda item: -item[0][1])
    for place, ((x, y), names) in enumerate(column):
        height = 1.5 - 3.0 * place / max(len(column) - 1, 1)
        text = ", ".join(RULES[name] for name in names)
        ax.annotate(
            text,
            (x / 8, y / 8),
            xytext=(2.35, height),
            va="center",
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "alpha": 0.4},
        )
    ax.set(xlim=(-2.1, 4.4), ylim=(-1.9, 1.9))
