"""Photographs that stay on the disk: which files there are, and what is on them."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..disk.paths import expand
from ..errors import LabError
from ..recipes import parts
from ..seeding import generator
from . import folder


class Kind(NamedTuple):
    """What a network must know of a set of photographs."""

    title: str
    classes: int


PHOTOGRAPHS = {"imagenet": Kind("ImageNet", 1000), "imagenette": Kind("Imagenette", 10)}

_TREE = "an image folder with train/<class>/ and val/<class>/"

# Hash of names and sizes -> display name, for variants that differ from the original.
KNOWN = {"875f1c39773ace43f840fd812fd9de90f51502f252e381f139379b8620056593": "Imagenette, crops of 112 pixels"}


@dataclass(frozen=True)
class Photographs:
    """The files of both splits and their labels; a picture is read when it is needed.

    Attributes:
        name: display name, to stand beside every number.
        sha256: hash of names, labels and sizes in bytes of all files: a million of them cannot be read at each start.
        identity: the same without the sizes. A damaged file that is replaced does not end a run.
        root: folder that the names are relative to.
        train_files: (n,) names as bytes, far smaller than as many objects, and nothing for workers to copy.
        train_labels: (n,) int64.
        test_files: (m,) likewise.
        test_labels: (m,) int64.
    """

    name: str
    sha256: str
    identity: str
    root: Path
    train_files: NDArray[np.bytes_]
    train_labels: NDArray[np.int64]
    test_files: NDArray[np.bytes_]
    test_labels: NDArray[np.int64]

    @property
    def record(self) -> dict[str, str | int]:
        """What a result says about its data."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "train": len(self.train_labels),
            "test": len(self.test_labels),
        }


def load_photographs(kind: str, path: Path | str | None = None) -> Photographs:
    """List the photographs of a data set.

    Args:
        kind: ``imagenet`` or ``imagenette``.
        path: an image folder ``root/{train,val}/<class>/*`` (``test`` may stand for ``val``); classes are numbered in
            alphabetical order.

    Raises:
        LabError: no such kind, or nothing usable at ``path``; the text says what was expected.
    """
    if kind not in PHOTOGRAPHS:
        raise LabError(f"photographs {kind!r}: choose one of {', '.join(PHOTOGRAPHS)}")
    title, classes = PHOTOGRAPHS[kind]
    if path is None:
        raise LabError(f"this recipe trains on {title}: give --data with {_TREE}")
    root = expand(path, "--data")
    try:
        both = folder.splits(root) if root.exists() else None
        if both is None:
            raise LabError(f"--data {root}: {f'not {_TREE}' if root.exists() else 'no such file or folder'}")
        train, test = (folder.files(root, split, classes=classes) for split in both)
        listing = [
            (f"{split} {file.relative_to(root).as_posix()}", file.stat().st_size)
            for split, (files, _) in zip(("train", "test"), (train, test), strict=True)
            for file in files
        ]
    except OSError as error:  # a folder that may not be read, for instance
        raise LabError(f"--data {error.filename or root}: {error.strerror or error}") from error
    sha256 = _hash(f"{name} {size}" for name, size in listing)
    return Photographs(
        KNOWN.get(sha256, f"{title} (image folder)"),
        sha256,
        _hash(name for name, _ in listing),
        root,
        _names(train[0], root),
        np.asarray(train[1], dtype=np.int64),
        _names(test[0], root),
        np.asarray(test[1], dtype=np.int64),
    )


def held_out(data: Photographs, wish: parts.Photographs) -> Photographs:
    """Return the data with the photographs that a recipe holds out in the test set's place.

    Raises:
        LabError: it holds out all.
    """
    n = len(data.train_labels)
    if not wish.validation:
        return data
    if wish.validation >= n:
        raise LabError(f"{data.name} has {n} training images, the recipe wants {wish.validation} to validate")
    order = torch.randperm(n, generator=generator(0, "subset")).numpy()
    train, held = order[: -wish.validation], order[-wish.validation :]
    return dataclasses.replace(
        data,
        train_files=data.train_files[train],
        train_labels=data.train_labels[train],
        test_files=data.train_files[held],
        test_labels=data.train_labels[held],
    )


def _names(files: Iterable[Path], root: Path) -> NDArray[np.bytes_]:
    return np.array([os.fsencode(file.relative_to(root)) for file in files])


def _hash(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(os.fsencode(line) + b"\n")
    return digest.hexdigest()
