"""Random numbers that Python and a browser draw alike: the twin of ``explorables/draws.js``."""

import math

import numpy as np
from numpy.typing import NDArray


def uniforms(seed: int, count: int) -> NDArray[np.float64]:
    """Return ``count`` numbers from 0 to 1 by mulberry32, whose state is a counter.

    Args:
        seed: of the sequence.
        count: how many.

    Example:
        >>> uniforms(1, 2).round(6).tolist()
        [0.627074, 0.002736]
    """
    index = np.arange(1, count + 1, dtype=np.uint64)
    a = ((np.uint64(seed) + np.uint64(0x6D2B79F5) * index) & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    t = (a ^ (a >> np.uint32(15))) * (a | np.uint32(1))
    t = (t + (t ^ (t >> np.uint32(7))) * (t | np.uint32(61))) ^ t
    drawn: NDArray[np.float64] = (t ^ (t >> np.uint32(14))).astype(np.float64) / 2**32
    return drawn


def normals(seed: int, count: int) -> NDArray[np.float64]:
    """Return ``count`` normal numbers by Box and Muller.

    Args:
        seed: of the sequence.
        count: how many, even.

    Example:
        >>> normals(1, 4).shape
        (4,)
    """
    uniform = uniforms(seed, count)
    radius = np.sqrt(-2 * np.log(uniform[0::2] + 0.5 / 2**32))
    angle = 2 * math.pi * uniform[1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()
