"""Points on surfaces, each part as often as its area says: on triangles, on surfaces of revolution, on tubes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Points (n, 3) and the unit normals of the surface there (n, 3), outward.
Sample = tuple[Floats, Floats]
# Parameter t (n,) in [0, 1) -> point, first and second derivative of a curve, each (n, 3).
Curve = Callable[[Floats], tuple[Floats, Floats, Floats]]


@dataclass(frozen=True)
class Band:
    """A part of a surface of revolution about y; a profile runs upwards on the outside, so that normals point out.

    Attributes:
        r0: radius at its start.
        y0: height at its start.
        r1: radius at its end.
        y1: height at its end.
        ball: radius of the ball of which it is a zone, or 0 where the profile is straight.
        centre: height of the centre of that ball.
    """

    r0: float
    y0: float
    r1: float
    y1: float
    ball: float = 0.0
    centre: float = 0.0

    @property
    def area(self) -> float:
        """Area of the band: π (r0 + r1) times the slant height; of a zone, 2 π times the ball's radius times height."""
        if self.ball:
            return float(2 * np.pi * self.ball * (self.y1 - self.y0))
        return float(np.pi * (self.r0 + self.r1) * np.sqrt((self.r1 - self.r0) ** 2 + (self.y1 - self.y0) ** 2))


def zone(ball: float, centre: float, y0: float, y1: float) -> Band:
    """Return the zone between two heights of a ball whose centre lies on the axis."""
    return Band(0.0, y0, 0.0, y1, ball, centre)


def pick(areas: Floats, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return which part each of n points falls on: parts (m,) in proportion to their areas, none of area 0.

    Example:
        >>> sorted(set(pick(np.array([0.0, 1.0, 0.0, 3.0]), 100, np.random.default_rng(0)).tolist()))
        [1, 3]
    """
    total = np.cumsum(areas)
    chosen = np.searchsorted(total, rng.random(n) * total[-1], side="right")
    # A product that rounds up to the whole belongs to the last part that has an area.
    last: np.int64 = np.flatnonzero(areas)[-1]
    result: NDArray[np.int64] = np.minimum(chosen, last)
    return result


def on_triangles(corners: Floats, n: int, rng: np.random.Generator) -> Sample:
    """Return n points on triangles, uniform over their area.

    With u, v uniform in the unit square and folded into the half below its diagonal, ``a + u (b - a) + v (c - a)`` is
    uniform over the triangle: a linear map keeps ratios of areas.

    Args:
        corners: (m, 3, 3), the corners of each triangle, counter-clockwise seen from outside.
        n: number of points.
        rng: where the random numbers come from.

    Example:
        >>> points, normals = on_triangles(np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]]), 5, np.random.default_rng(0))
        >>> points.shape, normals[0].tolist()
        ((5, 3), [0.0, 0.0, 1.0])
    """
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(first, second)
    doubled = norm(normal)
    at = pick(doubled, n, rng)
    u, v = rng.random((2, n, 1))
    beyond = u + v > 1
    u, v = np.where(beyond, 1 - u, u), np.where(beyond, 1 - v, v)
    return corners[at, 0] + u * first[at] + v * second[at], normal[at] / doubled[at, None]


def on_revolution(bands: list[Band], n: int, rng: np.random.Generator) -> Sample:
    """Return n points on a surface of revolution about y, uniform over its area.

    On a straight band the area below radius r grows with ``r² - r0²``, so that a uniform u gives
    ``r² = r0² + u (r1² - r0²)``, and the place along the band is ``u (r0 + r1) / (r0 + r)``. On a ball the area between
    two heights grows with their difference (Archimedes), so that the height is uniform.

    Args:
        bands: the parts of the surface.
        n: number of points.
        rng: where the random numbers come from.
    """
    at = pick(np.array([band.area for band in bands]), n, rng)
    r0, y0, r1, y1, ball, centre = (
        np.array([getattr(band, name) for band in bands])[at] for name in ("r0", "y0", "r1", "y1", "ball", "centre")
    )
    u, turn = rng.random((2, n))
    round_ = ball > 0
    straight = np.sqrt(r0**2 + u * (r1**2 - r0**2))
    # r0 = r = 0 only on a ball, where the straight formula is not used.
    along = np.where(round_, u, u * (r0 + r1) / np.where(round_, 1.0, r0 + straight))
    y = y0 + along * (y1 - y0)
    curved = np.sqrt(np.maximum(ball**2 - (y - centre) ** 2, 0.0))
    radius = np.where(round_, curved, straight)
    out, up = np.where(round_, curved, y1 - y0), np.where(round_, y - centre, r0 - r1)
    length = np.sqrt(out**2 + up**2)
    cosine, sine = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
    points = np.stack([radius * cosine, y, radius * sine], 1)
    return points, np.stack([out * cosine, up, out * sine], 1) / (length + (length == 0))[:, None]


def on_tube(curve: Curve, radius: float, fastest: float, n: int, rng: np.random.Generator) -> Sample:
    """Return points on a tube about a curve, uniform over its area; about half of the n that are tried.

    With the curve's normal N, binormal B and curvature κ, the point ``c(t) + r (cos θ N + sin θ B)`` has the area
    element ``r |c'(t)| (1 - κ r cos θ) dt dθ``. Pairs (t, θ) are drawn uniformly and kept with a probability that is
    proportional to it.

    Args:
        curve: maps t (n,) to point, first and second derivative, each (n, 3); it bends everywhere.
        radius: r, of the tube, below the smallest radius of curvature.
        fastest: a bound of ``|c'(t)|``; at most twice its own size is wasted.
        n: number of points to try.
        rng: where the random numbers come from.
    """
    t, turn, chance = rng.random((3, n))
    centre, velocity, acceleration = curve(t)
    speed = norm(velocity)
    tangent = velocity / speed[:, None]
    bend = acceleration - dot(acceleration, tangent)[:, None] * tangent
    curvature = norm(bend) / speed**2
    inward = bend / norm(bend)[:, None]
    cosine, sine = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
    normal = cosine[:, None] * inward + sine[:, None] * np.cross(tangent, inward)
    kept = chance * 2 * fastest < speed * (1 - curvature * radius * cosine)
    return (centre + radius * normal)[kept], normal[kept]


def stretched(sample: Sample, scale: Floats, rng: np.random.Generator) -> Sample:
    """Return a sample of the surface that is stretched along the axes, uniform over its area again; some points go.

    Under ``D = diag(s)`` an area with unit normal n grows by ``det(D) |D⁻¹ n|``, and its normal turns to ``D⁻¹ n``: a
    point is kept with a probability that is proportional to ``|D⁻¹ n|``.

    Args:
        sample: points and normals, uniform over the area of the surface.
        scale: (3,) positive factors s.
        rng: where the random numbers come from.
    """
    points, normals = sample
    turned = normals / scale
    length = norm(turned)
    kept = rng.random(len(points)) < length * scale.min()
    return (points * scale)[kept], (turned / length[:, None])[kept]


def dot(a: Floats, b: Floats) -> Floats:
    """Return the dot products of rows (n, 3), summed in one order on every processor, as a matrix product is not."""
    product = a * b
    result: Floats = product[..., 0] + product[..., 1] + product[..., 2]
    return result


def norm(a: Floats) -> Floats:
    """Return the lengths of rows (n, 3)."""
    result: Floats = np.sqrt(dot(a, a))
    return result
