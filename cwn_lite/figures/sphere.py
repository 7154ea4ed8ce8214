"""The sphere, the plane and one step as a still picture: what the explorable shows before it moves."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from cwn_lite.figures.style import INK, QUANTITIES, STYLE
from cwn_lite.projection import project_rows

# The frame of the plane 1ᵀw = 0 and its normal, as in explorables/space.js.
_E1 = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64) / math.sqrt(2)
_E2 = torch.tensor([1.0, 1.0, -2.0], dtype=torch.float64) / math.sqrt(6)
_UP = torch.tensor([1.0, 1.0, 1.0], dtype=torch.float64) / math.sqrt(3)
_PLANE = 2.05  # radius of the disc that stands for the plane
_MARKS = {  # point -> colour, marker, offset of its name in points
    "w": (QUANTITIES["teal"], "o", (2, -14)),
    "g": ("#786CD8", "D", (-4, -14)),
    "w − αg": ("#8F6B4A", "s", (-8, 13)),
    "w − αPg": ("#009E73", "^", (34, -2)),
    "w⁺": ("#D55E00", "o", (1, 14)),
}


def sphere(
    *,
    angle: float = 290.0,
    g: Sequence[float] = (-1.65, 0.3, -0.1),
    lr: float = 1.0,
    c: float = 2.0,
    turn: float = -48.0,
    tilt: float = 28.0,
) -> Figure:
    """Draw one projected step for n = 3; the arguments are those of the explorable ``projection-sphere``.

    Args:
        angle: where ``w`` stands on the circle ``‖w‖² = c, 1ᵀw = 0``, in degrees.
        g: the gradient at ``w``, three numbers.
        lr: learning rate ``α``.
        c: squared norm of the weight, positive.
        turn: angle around the normal of the plane from which the picture is seen, in degrees.
        tilt: angle above the plane from which it is seen, in degrees.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Example:
        >>> sphere(angle=30.0).axes[0].get_aspect()
        1.0
    """
    radius = math.sqrt(c)
    w = on_sphere(radius, math.radians(angle))
    grad = torch.tensor(list(g), dtype=torch.float64)
    plain = w - lr * grad
    points = {"w": w, "g": w + grad, "w − αg": plain, "w − αPg": plain - plain.mean(), "w⁺": project_rows(plain, c)}

    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(5.0, 3.75))
    ax.set_aspect("equal")
    ax.set_axis_off()
    reach = max(_PLANE, *(float(p.norm()) + 0.25 for p in points.values()))
    ax.set(xlim=(-reach, reach), ylim=(-0.75 * reach, 0.75 * reach))
    flat = space(ax, radius, turn, tilt)
    _arrows(ax, {name: flat(p)[:2] for name, p in points.items()}, flat(torch.zeros(3, dtype=torch.float64))[:2])
    return fig


def on_sphere(radius: float, angle: float, height: float = 0.0) -> Tensor:
    """Return the point of the sphere at an angle along the circle ``1ᵀw = 0`` and a height off it, in radians.

    Args:
        radius: of the sphere.
        angle: along the circle.
        height: off the circle.
    """
    flat = math.cos(angle) * _E1 + math.sin(angle) * _E2
    return radius * (math.cos(height) * flat + math.sin(height) * _UP)


def space(ax: Axes, radius: float, turn: float, tilt: float) -> Callable[[Tensor], tuple[float, float, float]]:
    """Draw the plane, the sphere with circles of equal 1ᵀw, and the circle that is both; dashed where hidden.

    Args:
        ax: where to.
        radius: of the sphere.
        turn: angle around the normal of the plane from which it is seen, in degrees.
        tilt: angle above the plane from which it is seen, in degrees.

    Returns:
        What maps a point of space to the page, and to its depth.
    """
    turn, tilt = math.radians(turn), math.radians(tilt)
    right = -math.sin(turn) * _E1 + math.cos(turn) * _E2
    towards, up = on_sphere(1.0, turn, tilt), on_sphere(1.0, turn, tilt + math.pi / 2)

    def flat(p: Tensor) -> tuple[float, float, float]:
        return float(p @ right), float(p @ up), float(p @ towards)

    turns = [2 * math.pi * i / 120 for i in range(121)]

    def ring(r: float, height: float = 0.0, **style: Any) -> None:
        seen = [flat(on_sphere(r, t, height)) for t in turns]
        for front in (True, False):
            xs = [x if (z >= 0) == front else math.nan for x, _, z in seen]
            ax.plot(xs, [y for _, y, _ in seen], linestyle="-" if front else (0, (3, 3)), **style)

    disc = [flat(on_sphere(_PLANE, t)) for t in turns]
    ax.fill([x for x, _, _ in disc], [y for _, y, _ in disc], color=QUANTITIES["teal"], alpha=0.08, linewidth=0)
    ring(_PLANE, color=QUANTITIES["teal"], linewidth=0.8, alpha=0.5)
    ax.add_patch(Circle((0, 0), radius, fill=False, edgecolor=INK, alpha=0.5, linewidth=0.9))
    for degrees in (-60, -30, 30, 60):
        ring(radius, math.radians(degrees), color=INK, linewidth=0.6, alpha=0.2)
    ring(radius, color=INK, linewidth=1.8)
    edge = radius * math.sqrt(0.5)
    ax.annotate("$\\|w\\|^2 = c$", (edge, edge), xytext=(5, 3), textcoords="offset points")
    x, y = max((flat(on_sphere(_PLANE, t))[:2] for t in turns), key=lambda p: p[0] - p[1])
    ax.annotate("$1^T w = 0$", (x, y), xytext=(3, -9), textcoords="offset points")
    return flat


def _arrows(ax: Axes, at: dict[str, tuple[float, float]], origin: tuple[float, float]) -> None:
    def line(a: tuple[float, float], b: tuple[float, float], color: str, dashes: tuple[float, ...] = ()) -> None:
        ax.plot([a[0], b[0]], [a[1], b[1]], color=color, linewidth=1.6, dashes=dashes or (None, None))

    line(origin, at["w"], _MARKS["w"][0])
    line(at["w"], at["g"], _MARKS["g"][0], (4, 2))
    line(at["w"], at["w − αg"], _MARKS["w − αg"][0])
    line(at["w"], at["w − αPg"], _MARKS["w − αPg"][0])
    line(at["w − αg"], at["w − αPg"], INK, (1, 2))
    line(origin, at["w − αPg"], _MARKS["w⁺"][0], (4, 2))
    for name, (color, marker, offset) in _MARKS.items():
        ax.plot(*at[name], marker, color=color, markersize=8 if marker != "D" else 7)
        # Text in ink, not in the point's colour: no colour has a contrast of 4.5:1 on white and on black alike.
        ax.annotate(
            name,
            at[name],
            xytext=offset,
            textcoords="offset points",
            fontsize=11,
            fontstyle="italic",
            ha="center",
            va="center",
        )
