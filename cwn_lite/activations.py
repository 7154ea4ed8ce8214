"""What activations leave of a signal: mean and second moment of their output."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Of ``f(z)`` for an activation ``f`` and ``z`` of mean 0 and variance 1.

    Attributes:
        mean: ``E[f]``.
        second: ``E[f²]``.
    """

    mean: float
    second: float


LINEAR = Moments(0.0, 1.0)
"""Without an activation."""

RELU = Moments(1 / math.sqrt(2 * math.pi), 0.5)

KNOWN = {"LeakyReLU", "PReLU", "ELU", "CELU", "SELU", "leaky_relu", "elu", "celu", "selu"}
"""Activations that leave more than a ReLU, by name: modules and functions. All others are taken for a ReLU.

Those that leave less, such as SiLU and GELU, leave as much as it does of a large signal: scales that make up for what
is lost of a small one would let it grow elsewhere. And behind one that is bounded nothing grows.
"""


def moments(activation: Callable[[Tensor], Tensor]) -> Moments:
    """Return the moments of an activation for normal ``z``.

    Args:
        activation: maps each number on its own.

    Example:
        >>> mean, second = moments(torch.nn.functional.selu)
        >>> round(abs(mean), 3), round(second, 3)
        (0.0, 1.0)
    """
    z = torch.linspace(-9, 9, 9001, dtype=torch.float64, device="cpu")
    density = torch.exp(-z.square() / 2)
    density /= density.sum()
    with torch.no_grad():
        out = activation(z.clone())  # it may write in place
    return Moments(float((density * out).sum()), float((density * out.square()).sum()))
