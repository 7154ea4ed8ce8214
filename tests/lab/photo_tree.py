"""A tree of small photographs in a format and sizes as they come: ten classes that a glance tells apart."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 10


def photo_tree(root: Path, train: int = 4, test: int = 2) -> Path:
    """Write so many JPEG files per class, of several sizes, and return the folder."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", test)):
        for label in range(CLASSES):
            folder = root / split / f"n{label:08}"
            folder.mkdir(parents=True)
            for i in range(count):
                height, width = rng.integers(36, 64, 2)
                texture = np.sin(np.arange(width)[None, :, None] * (1 + label) / 5 + np.arange(3))
                noise = rng.normal(0, 0.2, (height, width, 3))
                pixels = np.clip(127 + 80 * (texture + noise), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.JPEG", quality=90)
    return root
