"""What activations leave of a signal: mean and second moment of their output."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Moments(NamedTuple):
    """Of ``f(z)`` for an activation ``f`` and ``z`` of mean 0 and variance 1.

    Attributes:
        mean: ``E[f]``.
        second: ``E[f²]``.
    """

    mean: float
    second: float


class Known(NamedTuple):
    """An activation with one number in it.

    Attributes:
        function: of a tensor and the number.
        attribute: what modules and functions call the number; empty if there is none.
        default: its value where nothing else is said.
    """

    function: Callable[[Tensor, float], Tensor]
    attribute: str
    default: float


LINEAR = Moments(0.0, 1.0)
"""Without an activation."""

RELU = Moments(1 / math.sqrt(2 * math.pi), 0.5)

_LEAKY = Known(F.leaky_relu, "negative_slope", 0.01)
_ELU, _CELU = Known(F.elu, "alpha", 1.0), Known(F.celu, "alpha", 1.0)
_SELU, _PRELU = Known(lambda z, _: F.selu(z), "", 0.0), Known(F.leaky_relu, "weight", 0.25)
KNOWN = {"LeakyReLU": _LEAKY, "PReLU": _PRELU, "ELU": _ELU, "CELU": _CELU, "SELU": _SELU}
KNOWN |= {f"{name.lower()}{end}": known for name, known in KNOWN.items() for end in ("", "_")}
KNOWN |= {f"leaky_relu{end}": _LEAKY for end in ("", "_")}
"""Activations that leave more than a ReLU, by name: modules, functions and methods. Others are taken for a ReLU.

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
        out = activation(z)
    return Moments(float((density * out).sum()), float((density * out.square()).sum()))
