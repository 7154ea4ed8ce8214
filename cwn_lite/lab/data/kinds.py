"""All kinds of data by name."""

from __future__ import annotations

from pathlib import Path

from . import clouds, dataset
from .clouds import CLOUD_SHAPES, Clouds, CloudShape
from .dataset import SHAPES, Dataset, Shape
from .photographs import PHOTOGRAPHS, Kind, Photographs, load_photographs

EMBEDDED = ("digits", "shapes")
"""What needs no files."""


def load(kind: str, path: Path | str | None = None) -> Dataset | Photographs | Clouds:
    """Load a data set of images or of point clouds, or list one of photographs.

    Args:
        kind: ``cifar10``, ``cifar100``, ``cifar10-half``, ``imagenette64``, ``digits``; ``imagenet``, ``imagenette``;
            ``modelnet40``, ``shapes``.
        path: as for :func:`cwn_lite.lab.data.dataset.load`,
            :func:`cwn_lite.lab.data.photographs.load_photographs` and :func:`cwn_lite.lab.data.clouds.load_clouds`.

    Raises:
        LabError: no such kind, or nothing usable at ``path``; the text says what was expected.

    Example:
        >>> load("digits").name, load("shapes").name
        ('scikit-learn digits', 'generated shapes')
    """
    if kind in PHOTOGRAPHS:
        return load_photographs(kind, path)
    return clouds.load_clouds(kind, path) if kind in CLOUD_SHAPES else dataset.load(kind, path)


def title(kind: str) -> str:
    """Return the display name of the original data set of a kind.

    Example:
        >>> title("cifar10"), title("imagenet"), title("modelnet40")
        ('CIFAR-10', 'ImageNet', 'ModelNet40')
    """
    return _of(kind).title


def classes(kind: str) -> int:
    """Return the number of classes.

    Example:
        >>> classes("cifar100"), classes("imagenet"), classes("shapes")
        (100, 1000, 12)
    """
    return _of(kind).classes


def _of(kind: str) -> Shape | Kind | CloudShape:
    return SHAPES.get(kind) or PHOTOGRAPHS.get(kind) or CLOUD_SHAPES[kind]
