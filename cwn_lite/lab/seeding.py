"""Independent streams of random numbers from one seed, so that methods can be compared in pairs."""

from __future__ import annotations

import hashlib

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """Return a 63-bit seed for one purpose of a run.

    Streams are named, not consumed in turn: the initial weights, the order of the images and the crops of
    epoch 7 are the same for every method that runs with this seed, whatever else it draws.

    Args:
        seed: the seed of the run.
        purpose: what the stream is for, for instance ``("epoch", 7)``.

    Example:
        >>> derive(0, "init") == derive(0, "init"), derive(0, "init") == derive(0, "noise")
        (True, False)
    """
    text = "/".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Return a CPU generator seeded by :func:`derive`: the same draws on every device."""
    return torch.Generator().manual_seed(derive(seed, *purpose))
