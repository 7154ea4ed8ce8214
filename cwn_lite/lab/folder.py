"""Images in a tree ``root/{train,test}/<class>/*``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import LabError

SPLITS = ("train", "test")
SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".webp"})


def is_image_folder(path: Path) -> bool:
    """Whether ``path`` holds both splits."""
    return all((path / split).is_dir() for split in SPLITS)


def read(path: Path, split: str, *, side: int, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (n, 3, side, side) uint8 and labels (n,), classes and files in alphabetical order.

    Args:
        path: the root of the tree.
        split: ``train`` or ``test``.
        side: height and width that every image must have.
        classes: number of class folders that there must be.

    Raises:
        LabError: another number of classes, an empty class, a file that is no image or has another size.
    """
    from PIL import Image, UnidentifiedImageError

    folders = sorted(entry for entry in (path / split).iterdir() if entry.is_dir())
    if len(folders) != classes:
        raise LabError(f"{path / split}: {len(folders)} class folders where the recipe expects {classes}")
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for label, folder in enumerate(folders):
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
        if not files:
            raise LabError(f"{folder}: no images in this class folder")
        for file in files:
            try:
                with Image.open(file) as image:
                    pixels = np.asarray(image.convert("RGB"))
            except (UnidentifiedImageError, OSError, SyntaxError) as error:
                raise LabError(f"{file}: damaged image ({error})") from error
            if pixels.shape != (side, side, 3):
                height, width = pixels.shape[:2]
                raise LabError(f"{file}: {width} x {height} pixels where the recipe expects {side} x {side}")
            images.append(pixels)
            labels.append(label)
    stacked = np.stack(images).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(stacked), np.asarray(labels, dtype=np.int64)
