"""Twelve families of surfaces as point clouds: the embedded data set that needs no download."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .area import Band, Floats, Sample, dot, norm, on_revolution, on_triangles, on_tube, stretched, zone

POINTS = 1024
TRAIN, TEST = 1200, 396  # whole numbers of clouds per family
NOISE = 0.01  # standard deviation of each coordinate, where the farthest point has distance 1

_TRIED = 4096  # points per round; what is cut away, stretched away or left out of a tube is made up for by more rounds
_GRID = 2.0**-16  # coordinates are whole multiples of it
_LYING = [1, 2, 0]  # the axis of a surface that lies is x

Surface = Callable[[int, np.random.Generator], Sample]
Split = tuple[NDArray[np.float32], NDArray[np.int64]]


def generate(train: int = TRAIN, test: int = TEST, points: int = POINTS, seed: int = 0) -> tuple[Split, Split]:
    """Return training and test clouds (n, points, 3) float32 and their labels (n,), the families in turn.

    Each cloud is a surface of random proportions that stands or lies, is stretched along all three axes and turned
    about the y axis, which points up; half of them are seen in part only. Points are uniform over the area that is
    seen, with noise. The centroid is 0 and the farthest point has distance 1.

    Every cloud has random numbers of its own, so that clouds do not depend on how many there are. Sines and roots
    may differ in the last of 53 bits between processors; coordinates are rounded to 16 bits after the point, where that
    does not show.

    Args:
        train: number of clouds to train on.
        test: number of clouds to test on.
        points: number of points per cloud.
        seed: of everything that is random.

    Example:
        >>> (clouds, labels), _ = generate(train=12, test=12, points=64)
        >>> clouds.shape, [FAMILIES[label] for label in labels[:3]]
        ((12, 64, 3), ['box', 'capsule', 'cone'])
    """
    return _split(train, points, (seed, 0)), _split(test, points, (seed, 1))


def _split(n: int, points: int, seed: tuple[int, int]) -> Split:
    labels = np.arange(n, dtype=np.int64) % len(FAMILIES)
    clouds = np.empty((n, points, 3), dtype=np.float32)
    for k, label in enumerate(labels):
        clouds[k] = cloud(FAMILIES[label], points, np.random.default_rng((*seed, k)))
    return clouds, labels


def cloud(family: str, points: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return one cloud (points, 3) of a family.

    Args:
        family: one of :data:`FAMILIES`.
        points: number of points.
        rng: where the random numbers come from.
    """
    surface = _FAMILIES[family](rng)
    scale, lies = rng.uniform(0.6, 1.4, 3), rng.random() < 0.5

    def sample() -> Sample:
        at, normals = stretched(surface(_TRIED, rng), scale, rng)
        return (at[:, _LYING], normals[:, _LYING]) if lies else (at, normals)

    first = sample()
    sight = _sight(first[0], rng)
    parts = [first[0][sight(*first)]]
    while sum(map(len, parts)) < points:
        more = sample()
        parts.append(more[0][sight(*more)])
    seen = _normalized(_turned(np.concatenate(parts)[:points], rng.random()))
    # The sum of three uniform numbers is near enough to a normal one, and the same on every processor.
    noise = NOISE * (2 * rng.random((3, points, 3)).sum(0) - 3)
    return (np.rint(_normalized(seen + noise) / _GRID) * _GRID).astype(np.float32)


def _normalized(points: Floats) -> Floats:
    centred = points - points.mean(0)
    result: Floats = centred / norm(centred).max()
    return result


def _turned(points: Floats, turn: float) -> Floats:
    cosine, sine = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
    x, y, z = points.T
    return np.stack([cosine * x + sine * z, y, cosine * z - sine * x], 1)


def _sight(points: Floats, rng: np.random.Generator) -> Callable[[Floats, Floats], NDArray[np.bool_]]:
    """Return what says of points and normals whether they are seen.

    Half of the surfaces are seen as a whole, of a quarter what lies on one side of a plane, of a quarter what faces a
    distant viewer. What another part of the surface hides is seen all the same.

    Args:
        points: (n, 3), a sample of the surface, which says where a plane cuts off 10 % to 45 % of it.
        rng: where the random numbers come from.
    """
    kind, depth = rng.integers(4), rng.random()
    height, turn = rng.uniform(-1.0, 1.0), rng.random()
    flat = np.sqrt(1 - height**2)
    towards = np.array([flat * np.cos(2 * np.pi * turn), height, flat * np.sin(2 * np.pi * turn)])
    if kind <= 1:
        return lambda points, _: np.ones(len(points), dtype=bool)
    if kind == 2:
        limit = np.quantile(dot(points, towards), 0.55 + 0.35 * depth)
        return lambda points, _: dot(points, towards) < limit
    return lambda _, normals: dot(normals, towards) > -0.5 * depth


# ---- Families: each draws its proportions and returns what samples it ----


def _revolution(*bands: Band) -> Surface:
    return lambda n, rng: on_revolution(list(bands), n, rng)


def _polyhedron(corners: Floats) -> Surface:
    return lambda n, rng: on_triangles(corners, n, rng)


def _closed(*profile: tuple[float, float]) -> Surface:
    """Return the surface of revolution whose profile is a polygon through (radius, height), upwards."""
    return _revolution(*(Band(*a, *b) for a, b in pairwise(profile)))


def _cylinder(rng: np.random.Generator) -> Surface:
    h = rng.uniform(0.6, 1.6)
    return _closed((0, -h), (1, -h), (1, h), (0, h))


def _cone(rng: np.random.Generator) -> Surface:
    return _closed((0, 0), (1, 0), (0, rng.uniform(1.2, 2.4)))


def _spindle(rng: np.random.Generator) -> Surface:
    """Two cones on one base, one of them longer."""
    return _closed((0, -rng.uniform(0.5, 1.2)), (1, 0), (0, rng.uniform(0.8, 1.6)))


def _ellipsoid(rng: np.random.Generator) -> Surface:
    h = rng.uniform(0.8, 1.6)
    ball = _revolution(zone(1, 0, -1, 1))
    return lambda n, rng: stretched(ball(n, rng), np.array([1.0, h, 1.0]), rng)


def _capsule(rng: np.random.Generator) -> Surface:
    h = rng.uniform(0.4, 1.2)
    return _revolution(zone(1, -h, -h - 1, -h), Band(1, -h, 1, h), zone(1, h, h, h + 1))


def _snowman(rng: np.random.Generator) -> Surface:
    """Two balls that overlap: what of one lies in the other is cut off at the plane where they meet."""
    small, apart = rng.uniform(0.6, 0.9), rng.uniform(1.0, 1.3)
    meet = (apart**2 + 1 - small**2) / (2 * apart)
    return _revolution(zone(1, 0, -1, meet), zone(small, apart, meet, apart + small))


def _prism(corners: int, top: float, height: float) -> Floats:
    """Return the triangles (m, 3, 3) of a prism, or of a pyramid where the radius of the top is 0."""
    turn = 2 * np.pi * (np.arange(corners) + 0.5) / corners
    ring = np.stack([np.cos(turn), 0 * turn, -np.sin(turn)], 1)
    upper = ring * top + np.array([0.0, height, 0.0])
    after, after_up = np.roll(ring, -1, 0), np.roll(upper, -1, 0)
    low, high = np.zeros_like(ring), np.zeros_like(ring) + np.array([0.0, height, 0.0])
    faces = [(low, after, ring), (ring, after, upper), (after, after_up, upper), (high, upper, after_up)]
    return np.concatenate([np.stack(face, 1) for face in faces])


def _box(rng: np.random.Generator) -> Surface:
    return _polyhedron(_prism(4, 1.0, rng.uniform(1.0, 2.2)))


def _polygon_prism(rng: np.random.Generator) -> Surface:
    return _polyhedron(_prism(int(rng.choice([3, 6])), 1.0, rng.uniform(1.2, 2.8)))


def _pyramid(rng: np.random.Generator) -> Surface:
    return _polyhedron(_prism(int(rng.choice([3, 4])), 0.0, rng.uniform(1.2, 2.4)))


def _helix(rng: np.random.Generator) -> Surface:
    turns, rise, thick = rng.uniform(1.2, 2.6), rng.uniform(1.2, 2.4), rng.uniform(0.12, 0.3)
    return lambda n, rng: on_tube(
        partial(winding, turns, rise), thick, float(np.hypot(2 * np.pi * turns, rise)), n, rng
    )


def _torus(rng: np.random.Generator) -> Surface:
    thick = rng.uniform(0.15, 0.5)
    return lambda n, rng: on_tube(partial(winding, 1.0, 0.0), thick, 2 * np.pi, n, rng)


def _knot(rng: np.random.Generator) -> Surface:
    """A trefoil: a curve that winds twice around a torus one way and three times the other."""
    swing, thick = rng.uniform(0.35, 0.5), rng.uniform(0.1, 0.2)
    fastest = 2 * np.pi * float(np.sqrt(9 * swing**2 + 4 * (1 + swing) ** 2))
    return lambda n, rng: on_tube(partial(trefoil, swing), thick, fastest, n, rng)


def winding(turns: float, rise: float, t: Floats) -> tuple[Floats, Floats, Floats]:
    """Return point, velocity and acceleration (n, 3) of a helix of radius 1 about y; without rise, of a circle."""
    omega, zero = 2 * np.pi * turns, 0 * t
    cosine, sine = np.cos(omega * t), np.sin(omega * t)
    return (
        np.stack([cosine, rise * (t - 0.5), sine], 1),
        np.stack([-omega * sine, zero + rise, omega * cosine], 1),
        np.stack([-(omega**2) * cosine, zero, -(omega**2) * sine], 1),
    )


def trefoil(swing: float, t: Floats) -> tuple[Floats, Floats, Floats]:
    """Return point, velocity and acceleration (n, 3) of a trefoil knot that lies flat."""
    s = 2 * np.pi * t
    radius, height = 1 + swing * np.cos(3 * s), swing * np.sin(3 * s)
    radius1, height1 = -3 * swing * np.sin(3 * s), 3 * swing * np.cos(3 * s)
    radius2, height2 = -9 * swing * np.cos(3 * s), -9 * swing * np.sin(3 * s)
    cosine, sine = np.cos(2 * s), np.sin(2 * s)
    point = np.stack([radius * cosine, height, radius * sine], 1)
    first = np.stack([radius1 * cosine - 2 * radius * sine, height1, radius1 * sine + 2 * radius * cosine], 1)
    x = radius2 * cosine - 4 * radius1 * sine - 4 * radius * cosine
    z = radius2 * sine + 4 * radius1 * cosine - 4 * radius * sine
    return point, 2 * np.pi * first, (2 * np.pi) ** 2 * np.stack([x, height2, z], 1)


_FAMILIES: dict[str, Callable[[np.random.Generator], Surface]] = {
    "box": _box,
    "capsule": _capsule,
    "cone": _cone,
    "cylinder": _cylinder,
    "ellipsoid": _ellipsoid,
    "helix": _helix,
    "knot": _knot,
    "prism": _polygon_prism,
    "pyramid": _pyramid,
    "snowman": _snowman,
    "spindle": _spindle,
    "torus": _torus,
}

FAMILIES = tuple(_FAMILIES)
