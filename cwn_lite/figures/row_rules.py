"""Where one step takes a row of three weights by the rule of each idea: the twin of the explorable ``row-rules``."""

import math
from dataclasses import dataclass

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from cwn_lite.checks import check_number, check_positive
from cwn_lite.figures.sphere import on_sphere, space
from cwn_lite.figures.style import COLORS, INK, QUANTITIES, STYLE
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
    """Draw where the step leads by each rule, and below it that part enlarged.

    The other arguments are those of `row_rules`.

    Args:
        turn: angle around the normal of the plane from which the picture is seen, in degrees.
        tilt: angle above the plane from which it is seen, in degrees.
        **settings: see `row_rules`.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Example:
        >>> any("CWO" in text.get_text() for text in draw_row_rules().axes[1].texts)
        True
    """
    after = row_rules(**settings)
    w = on_sphere(math.sqrt(C_HE), math.radians(settings.get("angle", 290.0)))
    with plt.rc_context(STYLE):
        # Not wider than this: on a phone the letters would shrink below ten pixels.
        fig, (whole, part) = plt.subplots(2, figsize=(4.4, 5.0), height_ratios=(1.35, 1))
        for ax in (whole, part):
            ax.set_axis_off()
        whole.set_aspect("equal")
        flat = space(whole, math.sqrt(C_HE), turn, tilt)
        start = flat(w)[:2]
        ends = {name: flat(torch.tensor(found.point, dtype=torch.float64))[:2] for name, found in after.items()}
        frame = (left, bottom), side = _frame([start, *ends.values()])
        whole.set(xlim=(min(-2.1, left), max(2.1, left + side)), ylim=(min(-1.5, bottom), max(1.55, bottom + side)))
        whole.add_patch(Rectangle((left, bottom), side, side, fill=False, edgecolor=INK, linewidth=0.7, alpha=0.6))
        for ax in (whole, part):
            ax.plot(*start, "o", color=QUANTITIES["teal"], markersize=7)
            for name, end in ends.items():
                color = COLORS["ours"] if name == "cwo" else COLORS["plain"]
                ax.plot(*zip(start, end, strict=True), color=color, linewidth=0.8, alpha=0.6)
                ax.plot(*end, "o", color=color, markersize=6 if name == "cwo" else 4)
        part.annotate("w", start, xytext=(0, -13), textcoords="offset points", fontstyle="italic", ha="center")
        _names(part, ends, frame)
    return fig


Point = tuple[float, float]


def _frame(points: list[Point]) -> tuple[Point, float]:
    """Return the lower left corner and the side of a square that holds the points with room."""
    xs, ys = zip(*points, strict=True)
    side = 1.3 * max(max(xs) - min(xs), max(ys) - min(ys), 0.5)
    return ((min(xs) + max(xs) - side) / 2, (min(ys) + max(ys) - side) / 2), side


def _names(ax: Axes, ends: dict[str, Point], frame: tuple[Point, float]) -> None:
    """Write names in a column right of the frame, points that lie together in one line, each with a line to it."""
    (left, bottom), side = frame
    spots: dict[tuple[int, int], list[str]] = {}
    for name, (x, y) in ends.items():
        spots.setdefault((round(8 * x), round(8 * y)), []).append(name)
    column = sorted(spots.values(), key=lambda names: -ends[names[0]][1])
    for place, names in enumerate(column):
        height = bottom + side * (0.95 - 0.9 * place / max(len(column) - 1, 1))
        ax.annotate(
            ", ".join(RULES[name] for name in names),
            ends[names[-1]],
            xytext=(left + 1.05 * side, height),
            va="center",
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "alpha": 0.4},
        )
    ax.set_aspect("equal")
    ax.set(xlim=(left, left + 2.35 * side), ylim=(bottom - 0.05 * side, bottom + 1.05 * side))
    ax.add_patch(Rectangle((left, bottom), side, side, fill=False, edgecolor=INK, linewidth=0.7, alpha=0.6))
