"""ModelNet40 as 2,048 points per mesh, in the HDF5 files that PointNet's authors published."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LabError
from .folder import listed

FOLDER = "modelnet40_ply_hdf5_2048"
NAMES = "shape_names.txt"

_LARGEST = 1 << 30  # numbers in one file; the largest published has 13 million
_AGAIN = f"download {FOLDER}.zip again"

Split = tuple[NDArray[np.float32], NDArray[np.int64]]


def locate(path: Path) -> Path | None:
    """Return the folder that holds the training files, ``path`` itself or one in it, ``None`` where there is none."""
    for folder in (path, path / FOLDER):
        if folder.is_dir() and ((folder / "train_files.txt").is_file() or any(folder.glob("ply_data_train*.h5"))):
            return folder
    return None


def read(folder: Path) -> tuple[Split, Split, list[str]]:
    """Return training and test clouds (n, points, 3) float32 as stored, their labels (n,), and the class names.

    The files are those that ``train_files.txt`` and ``test_files.txt`` list, else all ``ply_data_train*.h5`` and
    ``ply_data_test*.h5`` by their numbers. In all of them y points up.

    Args:
        folder: what :func:`locate` returned.

    Raises:
        LabError: h5py is not installed, a file is missing, cut short or holds something else, a class has no cloud to
            train on; the text names the file.
    """
    names_file = folder / NAMES
    if not names_file.is_file():
        raise LabError(f"{names_file}: no such file; {_AGAIN}")
    names = names_file.read_text(encoding="utf8", errors="replace").split()
    train, test = (_join([read_file(file, len(names)) for file in files(folder, s)], folder) for s in ("train", "test"))
    if train[0].shape[1] != test[0].shape[1]:
        raise LabError(
            f"{folder}: {train[0].shape[1]} points per cloud to train on, {test[0].shape[1]} to test on; {_AGAIN}"
        )
    absent = [name for k, name in enumerate(names) if k not in set(train[1].tolist())]
    if absent:
        raise LabError(f"{folder}: no clouds to train on of {listed(absent)}, which {NAMES} names; {_AGAIN}")
    return train, test, names


def files(folder: Path, split: str) -> list[Path]:
    """Return the files of a split, in the order of its list or of their numbers.

    Raises:
        LabError: none, one that the list names is missing, or a number is.
    """
    listing = folder / f"{split}_files.txt"
    if listing.is_file():
        # The published lists name paths on the disk of their authors: the last part is the file here.
        lines = listing.read_text(encoding="utf8", errors="replace").split()
        found = [folder / line.rpartition("/")[2] for line in lines]
    else:
        numbered = {
            int(n[1]): f for f in folder.iterdir() if (n := re.fullmatch(rf"ply_data_{split}(\d+)\.h5", f.name))
        }
        found = [numbered.get(k, folder / f"ply_data_{split}{k}.h5") for k in range(len(numbered))]
    if not found:
        raise LabError(f"{folder}: no files ply_data_{split}*.h5; {_AGAIN}")
    for file in found:
        if not file.is_file():
            raise LabError(f"{file}: no such file; {_AGAIN}")
    return found


def read_file(file: Path, classes: int) -> Split:
    """Return the clouds (n, points, 3) and labels (n,) of one HDF5 file.

    Args:
        file: with the datasets ``data`` (n, points, 3) and ``label`` (n, 1) or (n,).
        classes: number of classes; labels are below it.

    Raises:
        LabError: h5py is not installed, or the file is cut short, no HDF5, or holds something else.
    """
    try:
        import h5py
    except ImportError as error:
        raise LabError(f"{file}: to read it, install h5py: pip install h5py") from error
    try:
        with h5py.File(file, "r") as opened:
            clouds, labels = (_numbers(opened, name) for name in ("data", "label"))
    except LabError as error:
        raise LabError(f"{file}: {error}; {_AGAIN}") from None
    except Exception as error:  # damaged files raise nearly anything
        text = " ".join(str(error).split())
        raise LabError(f"{file}: damaged or no HDF5 file ({type(error).__name__}: {text}); {_AGAIN}") from error
    try:
        return _checked(clouds, labels, classes)
    except LabError as error:
        raise LabError(f"{file}: {error}; {_AGAIN}") from None


def _numbers(opened: Any, name: str) -> NDArray[Any]:
    stored = opened.get(name)
    if not hasattr(stored, "shape") or stored.dtype.kind not in "fiu":
        raise LabError(f"no numbers by the name {name!r}, it holds {listed(opened) or 'nothing'}")
    if stored.size > _LARGEST:
        raise LabError(f"{name!r} claims {stored.size} numbers")
    return np.asarray(stored[()])


def _checked(clouds: NDArray[Any], labels: NDArray[Any], classes: int) -> Split:
    if clouds.ndim != 3 or clouds.shape[2] != 3 or 0 in clouds.shape or clouds.dtype.kind != "f":
        raise LabError(f"'data' is {clouds.dtype} of shape {clouds.shape} where (n, points, 3) floats are expected")
    if labels.shape not in ((len(clouds), 1), (len(clouds),)) or labels.dtype.kind == "f":
        raise LabError(
            f"'label' is {labels.dtype} of shape {labels.shape} where ({len(clouds)}, 1) integers are expected"
        )
    with np.errstate(over="ignore"):  # what float32 does not hold is named below
        clouds = np.ascontiguousarray(clouds, dtype=np.float32)
    if not np.isfinite(clouds).all():
        raise LabError(
            f"cloud {np.flatnonzero(~np.isfinite(clouds).all((1, 2)))[0]} has coordinates that are not finite"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise LabError(f"labels {labels.min()} to {labels.max()}, but {NAMES} names {classes} classes")
    return clouds, labels.reshape(-1).astype(np.int64)


def _join(parts: list[Split], folder: Path) -> Split:
    sizes = sorted({clouds.shape[1] for clouds, _ in parts})
    if len(sizes) > 1:
        raise LabError(f"{folder}: files with {' and '.join(map(str, sizes))} points per cloud; {_AGAIN}")
    return np.concatenate([clouds for clouds, _ in parts]), np.concatenate([labels for _, labels in parts])
