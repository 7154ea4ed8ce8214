"""A point cloud and the nearest neighbours of one of its points: data and twin of the explorable ``point-cloud``."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from torch import Tensor

from cwn_lite.checks import check_number
from cwn_lite.figures.style import INK, QUANTITIES, STYLE

POINTS = (32, 64, 128, 256)
"""The numbers of points that the explorable knows: the first so many of each cloud."""

UNIT, MOVE_UNIT = 1e-3, 1e-4
"""Coordinates and moves are written into the page as whole multiples of these."""


def point_cloud_data(clouds: Mapping[str, Tensor], moves: Tensor, **start: Any) -> dict[str, Any]:
    """Return clouds as the explorable ``point-cloud`` takes them: rounded to three digits, as whole numbers.

    Args:
        clouds: name of a family -> (points, 3), with at least as many points as the largest of `POINTS`.
        moves: (points, 3), what jitter adds to each point, the same for all clouds.
        **start: settings at the start: ``family`` (its number), ``points``, ``k``, ``chosen``, ``jitter``, ``turn`` and
            ``tilt`` in degrees.

    Raises:
        ValueError: a cloud, or the moves, has another shape.

    Example:
        >>> import torch
        >>> data = point_cloud_data({"cone": torch.full((256, 3), 0.25)}, torch.zeros(256, 3), k=4)
        >>> data["names"], data["clouds"][0][:3], data["start"]
        (['cone'], [250, 250, 250], {'k': 4})
    """
    return {
        "names": list(clouds),
        "clouds": [_whole(name, cloud, UNIT) for name, cloud in clouds.items()],
        "moves": _whole("moves", moves, MOVE_UNIT),
        "start": start,
    }


def _whole(name: str, points: Tensor, unit: float) -> list[int]:
    least = max(POINTS)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) < least:
        raise ValueError(
            f"{name} must have the shape (points, 3) with {least} points or more, got {tuple(points.shape)}"
        )
    whole: list[int] = (points[:least].double() / unit).round().long().flatten().tolist()
    return whole


def draw_point_cloud(points: Tensor, near: Sequence[int], *, turn: float = 30.0, tilt: float = 20.0) -> Figure:
    """Draw a cloud, one of its points and the nearest of it.

    Args:
        points: (points, 3); y points up.
        near: number of the chosen point, then those of its neighbours.
        turn: angle by which the cloud is turned about the y axis, in degrees.
        tilt: angle above the horizon from which it is seen, in degrees.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Raises:
        ValueError: ``near`` is empty, or ``points`` is no cloud.

    Example:
        >>> import torch
        >>> fig = draw_point_cloud(torch.eye(3), [0, 2], turn=0.0, tilt=0.0)
        >>> fig.axes[0].collections[0].get_offsets().tolist()
        [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
        >>> plt.close(fig)
    """
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points must have the shape (points, 3), got {tuple(points.shape)}")
    if not near:
        raise ValueError("near is empty: give the number of a point, then those of its neighbours")
    right, up, towards = _seen(points, check_number("turn", turn), check_number("tilt", tilt))
    first, others = near[0], list(near[1:])
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(5.0, 4.2))
        front = (1 + towards.clamp(-1, 1)) / 2  # 0 at the back, 1 in front
        sizes, shades = (2 + 1.5 * front).square(), 0.3 + 0.6 * front
        inks = [to_rgba(INK, shade) for shade in shades.tolist()]
        ax.scatter(right, up, s=sizes.numpy(), color=inks, linewidths=0)
        for j in others:
            ax.plot([right[first], right[j]], [up[first], up[j]], color=QUANTITIES["teal"], linewidth=1.2)
        ax.plot(right[others], up[others], "o", color=QUANTITIES["teal"], markersize=6, label="its nearest")
        ax.plot(right[first], up[first], "o", color=QUANTITIES["magenta"], markersize=9, label="chosen point")
        ax.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08), aspect="equal")
        ax.set_axis_off()
        handles, names = ax.get_legend_handles_labels()
        fig.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=2)
    return fig


def _seen(points: Tensor, turn: float, tilt: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return of each point how far it lies to the right, up, and towards the viewer."""
    x, y, z = points.double().unbind(1)
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    right, back = c * x + s * z, c * z - s * x
    c, s = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    return right, c * y - s * back, s * y + c * back
