"""Images in a tree ``root/{train,test}/<class>/*``; ``val`` may stand for ``test``."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import LabError
from . import picture

SPLITS = ("train", "test")


def splits(path: Path) -> tuple[str, str] | None:
    """Return the names of the folders to train and to test on, or ``None`` if ``path`` does not hold them."""
    return next((found for found in (SPLITS, ("train", "val")) if all((path / s).is_dir() for s in found)), None)


def class_names(path: Path, classes: int) -> list[str]:
    """Return the names of the class folders, in alphabetical order; hidden folders (``.name``) are none.

    Args:
        path: the root of the tree.
        classes: number of class folders that there must be.

    Raises:
        LabError: the splits name their classes differently, or there is another number of them.
    """
    both = splits(path) or SPLITS
    train, test = ({entry.name for entry in _entries(path / split) if entry.is_dir()} for split in both)
    if train != test:
        apart = zip(both, (train - test, test - train), strict=True)
        only = [f"only in {split}: {listed(names)}" for split, names in apart if names]
        raise LabError(f"{path}: the splits name their classes differently ({'; '.join(only)}); name them alike")
    if len(train) != classes:
        found = f"{len(train)} class folders where the recipe expects {classes}"
        raise LabError(f"{path / SPLITS[0]}: {found} (hidden ones do not count): {listed(train) or 'none'}")
    return sorted(train)


def read(
    path: Path, split: str, *, side: int, classes: int, reduce: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (n, 3, side, side) uint8 and labels (n,), classes and files in alphabetical order.

    Every file whose ending Pillow knows is read. What else lies there is left out, and said on stderr, but for
    hidden files (``.name``).

    Args:
        path: the root of the tree.
        split: ``train``, ``test`` or ``val``.
        side: height and width that every image must have.
        classes: number of class folders that there must be.
        reduce: larger images are taken, too, as by :func:`cwn_lite.lab.picture.read`.

    Raises:
        LabError: classes that differ between the splits or from their number, an empty class, a picture outside of
            the class folders or deeper in them, one that :func:`cwn_lite.lab.picture.read` refuses.
    """
    found, labels = files(path, split, classes=classes)
    images = [picture.read(file, side, reduce=reduce) for file in found]
    stacked = np.stack(images).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(stacked), np.asarray(labels, dtype=np.int64)


def files(path: Path, split: str, *, classes: int) -> tuple[list[Path], list[int]]:
    """Return the pictures of a split and their labels, without a look into the files; see :func:`read`.

    Args:
        path: the root of the tree.
        split: ``train``, ``test`` or ``val``.
        classes: number of class folders that there must be.

    Raises:
        LabError: as for :func:`read`, but for what only a look into a picture shows.
    """
    known = picture.suffixes()
    found: list[Path] = []
    labels: list[int] = []
    names = class_names(path, classes)
    left_out = [entry for entry in _entries(path / split) if not entry.is_dir()]
    for entry in left_out:
        if entry.suffix.lower() in known:
            raise LabError(f"{entry}: a picture beside the class folders; move it into one of them or away")
    for label, name in enumerate(names):
        entries = _entries(path / split / name)
        for entry in entries:
            if entry.is_dir():
                raise LabError(f"{entry}: a folder in a class folder; pictures must lie in {split}/{name} itself")
        pictures = [entry for entry in entries if entry.suffix.lower() in known]
        left_out += [entry for entry in entries if entry.suffix.lower() not in known]
        if not pictures:
            raise LabError(f"{path / split / name}: no images in this class folder")
        found += pictures
        labels += [label] * len(pictures)
    if left_out:
        listing = listed(str(entry.relative_to(path / split)) for entry in left_out)
        print(f"note: {path / split}: left out, by their endings no pictures: {listing}", file=sys.stderr)
    return found, labels


def listed(names: Iterable[str], most: int = 5) -> str:
    """Return names for an error: quoted, so that blanks show, and the first few of many.

    Example:
        >>> listed(["b ", "a"]), listed("abc", most=2)
        ("'a', 'b '", "'a', 'b' and 1 more")
    """
    ordered = sorted(names)
    # What is not in the composed normal form prints like its twin that is.
    shown = [repr(name) if unicodedata.is_normalized("NFC", name) else ascii(name) for name in ordered[:most]]
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(shown) + more


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
