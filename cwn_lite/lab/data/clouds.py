"""Data sets of point clouds, named by what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..disk.paths import expand
from ..errors import LabError
from . import meshes, modelnet, surfaces
from .dataset import content_hash
from .folder import listed

Split = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class CloudShape:
    """What a network must know of a data set of point clouds.

    Attributes:
        title: its display name.
        classes: number of classes.
    """

    title: str
    classes: int


CLOUD_SHAPES = {
    "shapes": CloudShape("generated shapes", len(surfaces.FAMILIES)),
    "modelnet40": CloudShape("ModelNet40", 40),
}

_EXPECTED = f"the folder {modelnet.FOLDER}, or a folder of OFF meshes <class>/train/ and <class>/test/"


@dataclass(frozen=True)
class Clouds:
    """Point clouds and labels of both splits; y points up.

    Attributes:
        name: display name, to stand beside every number.
        sha256: hash of the points and labels.
        train_points: (n, points, 3) float32.
        train_labels: (n,) int64.
        test_points: (m, points, 3) float32.
        test_labels: (m,) int64.
        class_names: name of each label.
    """

    name: str
    sha256: str
    train_points: Tensor
    train_labels: Tensor
    test_points: Tensor
    test_labels: Tensor
    class_names: tuple[str, ...]

    @property
    def identity(self) -> str:
        """What a checkpoint wants to find again: the hash."""
        return self.sha256

    @property
    def record(self) -> dict[str, str | int]:
        """What a result says about its data."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "train": len(self.train_labels),
            "test": len(self.test_labels),
        }


def load_clouds(kind: str, path: Path | str | None = None) -> Clouds:
    """Load a data set of point clouds.

    Args:
        kind: ``shapes`` or ``modelnet40``.
        path: for ModelNet40 the HDF5 release, a folder that holds it, or a tree of OFF meshes
            ``root/<class>/{train,test}/*.off``; the shapes are generated and need none.

    Raises:
        LabError: no such kind, or nothing usable at ``path``; the text says what was expected.

    Example:
        >>> shapes = load_clouds("shapes")
        >>> tuple(shapes.train_points.shape), shapes.name
        ((1200, 1024, 3), 'generated shapes')
    """
    if kind not in CLOUD_SHAPES:
        raise LabError(f"data {kind!r}: choose one of {', '.join(CLOUD_SHAPES)}")
    shape = CLOUD_SHAPES[kind]
    if kind == "shapes":
        return build_clouds(*surfaces.generate(), surfaces.FAMILIES, shape.title)
    if path is None:
        raise LabError(f"this recipe trains on {shape.title}: give --data with {_EXPECTED}")
    root = expand(path, "--data")
    try:
        return _load(root, shape)
    except OSError as error:  # a folder that may not be read, for instance
        raise LabError(f"--data {error.filename or root}: {error.strerror or error}") from error


def _load(root: Path, shape: CloudShape) -> Clouds:
    if not root.is_dir():
        raise LabError(f"--data {root}: no such folder; give {_EXPECTED}")
    if (released := modelnet.locate(root)) is not None:
        train, test, names = modelnet.read(released)
        title = shape.title
    else:
        names = meshes.class_names(root)
        if not names:
            holds = listed(entry.name for entry in root.iterdir()) or "nothing"
            raise LabError(f"--data {root}: neither {_EXPECTED}; it holds {holds}")
        _check_number(root, names, shape)  # before hours of reading
        train, test, names = meshes.read(root)
        title = f"{shape.title} (OFF meshes)"
    _check_number(root, names, shape)
    return build_clouds(train, test, names, title)


def _check_number(root: Path, names: list[str], shape: CloudShape) -> None:
    if len(names) != shape.classes:
        raise LabError(
            f"{root}: {len(names)} classes where {shape.title} has {shape.classes}: {listed(names) or 'none'}"
        )


def build_clouds(train: Split, test: Split, class_names: tuple[str, ...] | list[str], name: str) -> Clouds:
    """Make a data set from arrays.

    Args:
        train: clouds (n, points, 3) float32 and labels (n,) int64.
        test: the same, to test on.
        class_names: name of each label.
        name: display name.
    """
    return Clouds(
        name,
        content_hash(train, test),
        torch.from_numpy(train[0]),
        torch.from_numpy(train[1]),
        torch.from_numpy(test[0]),
        torch.from_numpy(test[1]),
        tuple(class_names),
    )
