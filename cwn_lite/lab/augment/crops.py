"""From a photograph of any size to the square that a network sees: a random part of it, or its middle."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..vision import import_torchvision


def random_part(pixels: NDArray[np.uint8], side: int, seed: int) -> Tensor:
    """Return 8 to 100 % of a photograph's area, between 3:4 and 4:3, brought to a square; mirrored or not.

    The draws are the seed's alone, whichever process asks and whatever was drawn before.

    Args:
        pixels: (height, width, 3) uint8.
        side: of the square.
        seed: of the draws.

    Returns:
        (3, side, side) uint8.

    Example:
        >>> random_part(np.zeros((30, 40, 3), dtype=np.uint8), 16, seed=0).shape
        torch.Size([3, 16, 16])

    Reference: Szegedy et al., Going deeper with convolutions, CVPR 2015, section 6; Ikami et al., section 4.3.1.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _apply(_transforms(side)[0], pixels)


def middle(pixels: NDArray[np.uint8], side: int) -> Tensor:
    """Return the square in the middle of a photograph whose shorter side is brought to 8/7 of ``side``.

    Args:
        pixels: (height, width, 3) uint8.
        side: of the square.

    Returns:
        (3, side, side) uint8.

    Example:
        >>> middle(np.zeros((30, 40, 3), dtype=np.uint8), 16).shape
        torch.Size([3, 16, 16])
    """
    return _apply(_transforms(side)[1], pixels)


@lru_cache(maxsize=4)
def _transforms(side: int) -> tuple[Any, Any]:
    """Return torchvision's transforms for training and test; made where they are used, since they do not travel."""
    import_torchvision()
    from torchvision.transforms import v2

    train = v2.Compose([v2.RandomResizedCrop(side, antialias=True), v2.RandomHorizontalFlip()])
    test = v2.Compose([v2.Resize(round(side * 8 / 7), antialias=True), v2.CenterCrop(side)])
    return train, test


def _apply(transform: Any, pixels: NDArray[np.uint8]) -> Tensor:
    from PIL import Image

    square = np.asarray(transform(Image.fromarray(pixels)))
    return torch.from_numpy(np.ascontiguousarray(square.transpose(2, 0, 1)))
