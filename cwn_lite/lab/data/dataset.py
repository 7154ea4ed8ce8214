"""Data sets as uint8 tensors, named by what is in them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..disk.paths import expand
from ..errors import LabError
from ..recipes.parts import Images
from ..seeding import generator
from . import archive, folder

Split = tuple[NDArray[np.uint8], NDArray[np.int64]]
Labelled = tuple[NDArray[Any], NDArray[np.int64]]


@dataclass(frozen=True)
class Shape:
    """What a network must know of a data set, and how it is made from larger pictures.

    Attributes:
        title: its display name.
        channels: of an image.
        side: height and width.
        classes: number of them.
        reduce: photographs of any larger size are reduced to the side.
        half_of: the kind whose images have twice the side; 2 x 2 of its pixels make one.
    """

    title: str
    channels: int
    side: int
    classes: int
    reduce: bool = False
    half_of: str | None = None


SHAPES = {
    "cifar10": Shape("CIFAR-10", 3, 32, 10),
    "cifar100": Shape("CIFAR-100", 3, 32, 100),
    "cifar10-half": Shape("CIFAR-10 at half the side", 3, 16, 10, half_of="cifar10"),
    "imagenette64": Shape("Imagenette, 64 pixels", 3, 64, 10, reduce=True),
    "digits": Shape("scikit-learn digits", 1, 8, 10),
}

_TREE = "an image folder with train/<class>/ and test/<class>/"

# Content hash -> display name, for variants that differ from the original.
KNOWN = {
    "68bbfc5b794297944d449a31d548874a8b12dac3ee83ee80335d6f8aa83127bd": "CIFAR-10, JPEG quality 75",
    "0362dd1a6baec4d71b30b1a92da2d74fe57cdd929566e7a2281ae29d5d4f7a03": "Imagenette, 64 pixels from crops of 112",
}


@dataclass(frozen=True)
class Dataset:
    """Decoded images and labels of both splits.

    Attributes:
        name: display name, to stand beside every number.
        sha256: hash of the decoded images and labels.
        train_images: (n, C, H, W) uint8.
        train_labels: (n,) int64.
        test_images: (m, C, H, W) uint8.
        test_labels: (m,) int64.
        mean: (C,) float32, mean of the training pixels per channel.
        std: (C,) float32, their standard deviation.
    """

    name: str
    sha256: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    mean: Tensor
    std: Tensor

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

    def normalized(self, images: Tensor) -> Tensor:
        """Return images as a network sees them where none is augmented: less the mean, over the standard deviation.

        Example:
            >>> digits = load("digits")
            >>> abs(digits.normalized(digits.train_images).std().item() - 1) < 1e-3
            True
        """
        return (images.float() - self.mean.view(1, -1, 1, 1)) / self.std.view(1, -1, 1, 1)


def load(kind: str, path: Path | str | None = None) -> Dataset:
    """Load a data set.

    Args:
        kind: ``cifar10``, ``cifar100``, ``cifar10-half`` (read as ``cifar10``, then halved), ``imagenette64`` or
            ``digits``.
        path: an image folder ``root/{train,test}/<class>/*`` (``val`` may stand for ``test``); for CIFAR also the
            archive, the folder extracted from it, or a folder that holds either; digits come with scikit-learn and
            need none.

    Raises:
        LabError: no such kind, or nothing usable at ``path``; the text says what was expected.

    Example:
        >>> digits = load("digits")
        >>> tuple(digits.train_images.shape), digits.name
        ((1348, 1, 8, 8), 'scikit-learn digits')
    """
    if kind not in SHAPES:
        raise LabError(f"data {kind!r}: choose one of {', '.join(SHAPES)}")
    shape = SHAPES[kind]
    if shape.half_of:
        return halved(load(shape.half_of, path))
    if kind == "digits":
        return build(*_digits(), lambda _: shape.title)
    if path is None:
        raise LabError(f"this recipe trains on {shape.title}: give --data with {_expected(kind)}")
    root = expand(path, "--data")
    try:
        return _load(kind, root)
    except OSError as error:  # a folder that may not be read, for instance
        raise LabError(f"--data {error.filename or root}: {error.strerror or error}") from error


def _load(kind: str, root: Path) -> Dataset:
    shape, original = SHAPES[kind], archive.ARCHIVES.get(kind)
    if not root.exists():
        raise LabError(f"--data {root}: no such file or folder")
    found = archive.locate(root, original) if original else None
    if original and found is not None:
        return build(*archive.read(found, original), lambda _: shape.title)
    if both := folder.splits(root):
        train, test = (
            folder.read(root, split, side=shape.side, classes=shape.classes, reduce=shape.reduce) for split in both
        )
        return build(train, test, lambda sha: KNOWN.get(sha, f"{shape.title} (image folder)"))
    holds = f"holds {folder.listed(e.name for e in root.iterdir()) or 'nothing'}" if root.is_dir() else "is no folder"
    if original is None:
        raise LabError(f"--data {root}: not {_TREE}; it {holds}")
    raise LabError(f"--data {root}: neither {original.file}, nor the folder extracted from it, nor {_TREE}; it {holds}")


def _expected(kind: str) -> str:
    """What may be given to ``--data``."""
    if kind not in archive.ARCHIVES:
        return _TREE
    return f"{archive.ARCHIVES[kind].file}, the folder extracted from it, or {_TREE}"


def build(train: Split, test: Split, name: Callable[[str], str]) -> Dataset:
    """Make a data set from arrays; ``name`` maps the content hash to the display name."""
    sha256 = content_hash(train, test)
    pixels = train[0].transpose(1, 0, 2, 3).reshape(train[0].shape[1], -1)
    # Exact integer sums: the statistics do not depend on the order or the number of threads.
    counts = [np.bincount(channel, minlength=256) for channel in pixels]
    values = np.arange(256, dtype=np.float64)
    mean = np.array([(count * values).sum() / count.sum() for count in counts])
    std = np.array([np.sqrt((c * (values - m) ** 2).sum() / c.sum()) for c, m in zip(counts, mean, strict=True)])
    return Dataset(
        name(sha256),
        sha256,
        torch.from_numpy(train[0]),
        torch.from_numpy(train[1]),
        torch.from_numpy(test[0]),
        torch.from_numpy(test[1]),
        mean=torch.from_numpy(mean).float(),
        std=torch.from_numpy(std).float(),
    )


def halved(dataset: Dataset) -> Dataset:
    """Return a data set of images of half the side: each pixel the mean of four, a half rounded up.

    Args:
        dataset: images of even height and width.

    Example:
        >>> small = halved(load("digits"))
        >>> tuple(small.train_images.shape), small.name
        ((1348, 1, 4, 4), 'scikit-learn digits, half the side')
    """
    train, test = (
        (_means_of_four(images), labels.numpy())
        for images, labels in ((dataset.train_images, dataset.train_labels), (dataset.test_images, dataset.test_labels))
    )
    return build(train, test, lambda _: f"{dataset.name}, half the side")


def _means_of_four(images: Tensor) -> NDArray[np.uint8]:
    corners = [images[..., row::2, column::2].numpy().astype(np.uint16) for row in (0, 1) for column in (0, 1)]
    return ((sum(corners[1:], corners[0]) + 2) // 4).astype(np.uint8)


def select(dataset: Dataset, wish: Images) -> Dataset:
    """Return the images that a recipe trains and tests on: all, or its part of a fixed random order.

    The order is the same for every seed and method. Name, hash and pixel statistics stay those of the whole.

    Args:
        dataset: the whole data set.
        wish: its ``train_images`` come from the front of the order, its ``validation`` images from the end.

    Raises:
        LabError: the training set has fewer images than the recipe wants.
    """
    if wish.train_images is None and not wish.validation:
        return dataset
    n = len(dataset.train_labels)
    kept = n - wish.validation if wish.train_images is None else wish.train_images
    if kept < 1 or kept + wish.validation > n:
        wanted = f"{kept} to train and {wish.validation} to validate"
        raise LabError(f"{dataset.name} has {n} training images, the recipe wants {wanted}")
    order = torch.randperm(n, generator=generator(0, "subset"))
    train = order[:kept]
    chosen = dataclasses.replace(
        dataset, train_images=dataset.train_images[train], train_labels=dataset.train_labels[train]
    )
    if not wish.validation:
        return chosen
    held_out = order[n - wish.validation :]
    return dataclasses.replace(
        chosen, test_images=dataset.train_images[held_out], test_labels=dataset.train_labels[held_out]
    )


def content_hash(train: Labelled, test: Labelled) -> str:
    """Return the SHA-256 over both splits: shape, decoded pixels or coordinates, labels, all little-endian."""
    digest = hashlib.sha256()
    for content, labels in (train, test):
        digest.update(repr(content.shape).encode())
        digest.update(np.ascontiguousarray(content, dtype=content.dtype.newbyteorder("<")).data)
        digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
    return digest.hexdigest()


def _digits() -> tuple[Split, Split]:
    """Return the embedded 8x8 digits; every fourth image is a test image."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = bunch.images.astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    test = np.arange(len(labels)) % 4 == 3
    return (images[~test], labels[~test]), (images[test], labels[test])
