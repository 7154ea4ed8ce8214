"""CIFAR-10 and CIFAR-100 in their original Python format: the .tar.gz or the folder extracted from it."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import LabError
from . import unpickle


@dataclass(frozen=True)
class Archive:
    """One data set in CIFAR's format.

    Attributes:
        title: its display name.
        file: name of the archive.
        folder: name of the folder in it.
        train: member -> MD5 of each training batch, in order.
        test: the same for the test batch.
        label_key: key of the labels in a batch.
    """

    title: str
    file: str
    folder: str
    train: dict[str, str]
    test: dict[str, str]
    label_key: str


# MD5 sums as published with the data sets.
ARCHIVES = {
    "cifar10": Archive(
        "CIFAR-10",
        "cifar-10-python.tar.gz",
        "cifar-10-batches-py",
        {
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        },
        {"test_batch": "40351d587109b95175f43aff81a1287e"},
        "labels",
    ),
    "cifar100": Archive(
        "CIFAR-100",
        "cifar-100-python.tar.gz",
        "cifar-100-python",
        {"train": "16019d7e3df5f24257cddd939b257f8d"},
        {"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
        "fine_labels",
    ),
}

_LARGEST = 1 << 28  # bytes; the largest published member, CIFAR-100's training set, has 155 million

Split = tuple[NDArray[np.uint8], NDArray[np.int64]]


def locate(path: Path, archive: Archive) -> Path | None:
    """Return the archive file or extracted folder that ``path`` is or holds, ``None`` where there is none."""
    for candidate in (path, path / archive.folder, path / archive.file):
        if candidate.is_file() and candidate.name.endswith((".tar.gz", ".tgz")):
            return candidate
        if (candidate / next(iter(archive.test))).is_file():
            return candidate
    return None


def read(path: Path, archive: Archive) -> tuple[Split, Split]:
    """Return training and test split: images (n, 3, 32, 32) uint8 and labels (n,).

    Args:
        path: what :func:`locate` returned.
        archive: which data set.

    Raises:
        LabError: a member is missing, truncated or altered; the text names it.
    """
    wanted = {**archive.train, **archive.test}
    members: dict[str, Split] = {}
    try:
        for name, data in _members(path, wanted):
            digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
            if digest != wanted[name]:
                raise LabError(
                    f"{path}: {name} is altered (MD5 {digest}, published {wanted[name]}); download {archive.file} again"
                )
            members[name] = _batch(data, archive.label_key)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LabError(f"{path}: damaged or truncated archive ({error}); download {archive.file} again") from error
    except (pickle.UnpicklingError, KeyError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error, LabError):
            raise
        raise LabError(f"{path}: not a {archive.title} batch ({error})") from error
    missing = [name for name in wanted if name not in members]
    if missing:
        raise LabError(f"{path}: {', '.join(missing)} missing; download {archive.file} again")
    train, test = ([members[name] for name in part] for part in (archive.train, archive.test))
    return _join(train), _join(test)


def _members(path: Path, wanted: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each wanted file, in the order in which the archive holds them."""
    if path.is_dir():
        for name in wanted:
            if (path / name).is_file():
                yield name, (path / name).read_bytes()
        return
    with tarfile.open(path, "r:gz") as tar:  # read, never extracted: member paths cannot escape
        for info in tar:
            name = Path(info.name).name
            stream = tar.extractfile(info) if name in wanted and info.isreg() else None  # a link may lead to itself
            if stream is not None:
                if info.size > _LARGEST:
                    raise ValueError(f"{name} has {info.size} bytes")
                yield name, stream.read()


def _batch(data: bytes, label_key: str) -> Split:
    content = unpickle.loads(data)
    images = np.ascontiguousarray(content["data"], dtype=np.uint8).reshape(-1, 3, 32, 32)
    labels = np.asarray(content[label_key], dtype=np.int64)
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images but {len(labels)} labels")
    return images, labels


def _join(parts: list[Split]) -> Split:
    return np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts])
