"""Meshes in a tree ``root/<class>/{train,test}/*.off``, as ModelNet is published, sampled to point clouds."""

from __future__ import annotations

import hashlib
import math
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import LabError
from .area import norm, on_triangles
from .folder import SPLITS, listed

POINTS = 2048  # as many as the HDF5 release has

Split = tuple[NDArray[np.float32], NDArray[np.int64]]
Line = tuple[int, list[str]]  # its number in the file, from 1, and the words on it


def class_names(root: Path) -> list[str]:
    """Return the names of the folders in ``root`` that hold a ``train`` or a ``test`` folder, in alphabetical order.

    Raises:
        LabError: one of them lacks the other split.
    """
    names = []
    for entry in sorted(root.iterdir()):
        has = [split for split in SPLITS if not entry.name.startswith(".") and (entry / split).is_dir()]
        if len(has) == 1:
            (lacking,) = set(SPLITS) - set(has)
            raise LabError(f"{entry}: no folder {lacking!r} beside {has[0]!r}; each class needs meshes in both splits")
        if has:
            names.append(entry.name)
    return names


def read(root: Path, points: int = POINTS) -> tuple[Split, Split, list[str]]:
    """Return training and test clouds (n, points, 3) float32 with labels (n,), and the names of the classes.

    Classes and files come in alphabetical order. Files that end otherwise are left out, and said on stderr, but for
    hidden ones.

    Args:
        root: the folder that holds the class folders.
        points: number of points per mesh.

    Raises:
        LabError: a class without meshes in one of the splits, or a mesh that :func:`cloud` refuses.
    """
    names = class_names(root)
    left_out: list[str] = []
    train, test = (_read_split(root, split, names, points, left_out) for split in SPLITS)
    if left_out:
        print(f"note: {root}: left out, by their endings no OFF meshes: {listed(left_out)}", file=sys.stderr)
    return train, test, names


def _read_split(root: Path, split: str, names: list[str], points: int, left_out: list[str]) -> Split:
    clouds: list[NDArray[np.float32]] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        folder = root / name / split
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        files = [entry for entry in entries if entry.suffix.lower() == ".off"]
        left_out += [str(entry.relative_to(root)) for entry in entries if entry.suffix.lower() != ".off"]
        if not files:
            raise LabError(
                f"{folder}: no OFF meshes in this class folder; add some, or take the class from both splits"
            )
        clouds += [cloud(file, points) for file in files]
        labels += [label] * len(files)
    return np.stack(clouds), np.asarray(labels, dtype=np.int64)


def cloud(file: Path, points: int = POINTS) -> NDArray[np.float32]:
    """Return points (points, 3) on the mesh in a file, uniform over its area, y up, in the unit sphere.

    What is random depends on the bytes of the file alone. ModelNet's meshes stand on the plane z = 0; (x, y, z) becomes
    (x, z, -y), so that y points up as in the HDF5 release. The centroid of the points is 0 and the largest norm 1.

    Args:
        file: a mesh in ModelNet's format.
        points: number of points.

    Raises:
        LabError: no file, or one that :func:`parse` refuses; a mesh without area.
    """
    if not file.is_file():
        raise LabError(f"{file}: no file (a folder, a device or a broken link); move it away")
    content = file.read_bytes()
    try:
        vertices, triangles = parse(content.decode("utf8", errors="replace"))
        corners = _scaled(vertices[triangles])
        doubled = norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
        if not doubled.sum() > 0:
            raise LabError(f"no area in {len(triangles)} triangles to put points on; repair the mesh or move it away")
    except LabError as error:
        raise LabError(f"{file}: {error}") from None
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(content).digest()[:8], "big"))
    x, y, z = on_triangles(corners, points, rng)[0].T
    placed = np.stack([x, z, -y], 1)
    placed -= placed.mean(0)
    result: NDArray[np.float32] = (placed / norm(placed).max()).astype(np.float32)
    return result


def _scaled(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the corners (m, 3, 3) within [-1, 1], so that no unit of length makes an area overflow or vanish."""
    if not len(corners):
        return corners
    low, high = corners.min((0, 1)), corners.max((0, 1))
    half = (high / 2 - low / 2).max()  # halves: the whole may overflow
    result: NDArray[np.float64] = (corners / 2 - (high / 4 + low / 4)) / (half / 2 if half > 0 else 1.0)
    return result


def parse(text: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    r"""Return vertices (n, 3) and triangles (m, 3) of an OFF file; faces with more corners become fans of triangles.

    Comments (``#``) and blank lines are skipped, colours behind the corners of a face ignored. As in some of ModelNet's
    files, the numbers of vertices and faces may follow ``OFF`` on its line, with or without a blank.

    Args:
        text: the content of the file.

    Raises:
        LabError: no OFF file, cut short, a number that is none or not finite, a corner that is no vertex.

    Example:
        >>> vertices, triangles = parse("OFF4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n")
        >>> vertices.shape, triangles.tolist()
        ((4, 3), [[0, 1, 2], [0, 2, 3]])
    """
    lines = [(k, words) for k, line in enumerate(text.splitlines(), 1) if (words := line.partition("#")[0].split())]
    first = lines[0][1][0].lstrip("\ufeff") if lines else ""
    if not first.startswith("OFF"):
        raise LabError("no OFF mesh: its first line must begin with 'OFF'; convert it or move it away")
    rest = [word for word in (first[3:], *lines[0][1][1:]) if word]
    body = [(lines[0][0], rest), *lines[1:]] if rest else lines[1:]
    n, m = _counts(body)
    if len(body) < 1 + n + m:
        found = f"{len(body) - 1} lines of data where its header promises {n} vertices and {m} faces"
        raise LabError(f"cut short: {found}; copy or download it again")
    vertices = _vertices(body[1 : 1 + n])
    return vertices, _triangles(body[1 + n : 1 + n + m], n)


def _counts(body: list[Line]) -> tuple[int, int]:
    number, words = body[0] if body else (1, [])
    if len(words) < 2 or not all(word.isascii() and word.isdigit() for word in words[:2]):
        given = " ".join(words)[:40]
        raise LabError(f"line {number}: numbers of vertices and faces expected, {given!r} found; download it again")
    if max(map(len, words[:2])) > 12:
        raise LabError(f"line {number}: no file has that many vertices or faces; download it again")
    return int(words[0]), int(words[1])


def _vertices(lines: list[Line]) -> NDArray[np.float64]:
    try:
        vertices = np.array([words[:3] for _, words in lines], dtype=np.float64).reshape(len(lines), 3)
    except ValueError:
        vertices = None
    if vertices is None or not np.isfinite(vertices).all():
        number, words = next(line for line in lines if not _is_point(line[1]))
        given = " ".join(words)[:60]
        raise LabError(f"line {number}: three finite coordinates of a vertex expected, {given!r} found; repair it")
    return vertices


def _is_point(words: list[str]) -> bool:
    try:
        return len(words) >= 3 and all(math.isfinite(float(word)) for word in words[:3])
    except ValueError:
        return False


def _triangles(lines: list[Line], n: int) -> NDArray[np.int64]:
    triangles: list[tuple[int, int, int]] = []
    for number, words in lines:
        try:
            size = int(words[0])
            corners = [int(word) for word in words[1 : 1 + size]]
        except ValueError:
            corners, size = [], -1
        if size < 0 or len(corners) < size:
            given = " ".join(words)[:60]
            raise LabError(
                f"line {number}: a face, its number of corners and these, expected, {given!r} found; repair it"
            )
        if corners and not 0 <= min(corners) <= max(corners) < n:
            wrong = next(corner for corner in corners if not 0 <= corner < n)
            there = f"vertices 0 to {n - 1}" if n else "no vertices"
            raise LabError(f"line {number}: corner {wrong} of a face, but there are {there}; repair it")
        triangles += [(corners[0], b, c) for b, c in pairwise(corners[1:])]
    return np.array(triangles, dtype=np.int64).reshape(-1, 3)
