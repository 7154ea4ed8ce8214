"""All kinds of data by name."""

from __future__ import annotations

from pathlib import Path

from . import clouds, dataset
from .clouds import CLOUD_SHAPES, Clouds
from .dataset import SHAPES, Dataset

EMBEDDED = ("digits", "shapes")
"""What needs no files."""


def load(kind: str, path: Path | str | None = None) -> Dataset | Clouds:
    """Load a data set of images or of point clouds.

    Args:
        kind: ``cifar10``, ``cifar100``, ``imagenette64``, ``digits``; ``modelnet40``, ``shapes``.
        path: as for :func:`cwn_lite.lab.data.dataset.load` and :func:`cwn_lite.lab.data.clouds.load_clouds`.

    Raises:
        LabError: no such kind, or nothing usable at ``path``; the text says what was expected.

    Example:
        >>> load("digits").name, load("shapes").name
        ('scikit-learn digits', 'generated shapes')
    """
    return clouds.load_clouds(kind, path) if kind in CLOUD_SHAPES else dataset.load(kind, path)


def title(kind: str) -> str:
    """Return the display name of the original data set of a kind.

    Example:
        >>> title("cifar10"), title("modelnet40")
        ('CIFAR-10', 'ModelNet40')
    """
    return SHAPES[kind].title if kind in SHAPES else CLOUD_SHAPES[kind].title


def classes(kind: str) -> int:
    """Return the number of classes.

    Example:
        >>> classes("cifar100"), classes("shapes")
        (100, 12)
    """
    return SHAPES[kind].classes if kind in SHAPES else CLOUD_SHAPES[kind].classes
