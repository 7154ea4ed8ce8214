"""Weight Normalization and its centred form: a direction that is trained, and a length that is trained apart."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

import cwn_lite as cwn

ModuleT = TypeVar("ModuleT", bound=nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)


class RowGain(nn.Module):
    """The parametrization ``w -> g w`` with one trained factor ``g`` for each row, 1 at first.

    Args:
        weight: ``(out_features, ...)``, the weight whose rows get a factor.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        shape = (len(weight), *([1] * (weight.ndim - 1)))
        self.g = nn.Parameter(torch.ones(shape, dtype=weight.dtype, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        """Return ``g w``, row by row."""
        return self.g * weight


def weight_norm(module: ModuleT) -> ModuleT:
    """Let ``module`` compute with ``g v / ‖v‖`` for each row; ``g`` and ``v`` are trained (torch's own).

    ``g`` starts as ``‖v‖``, so the first output is that of the plain module.

    Args:
        module: a Linear or a convolution; changed in place.

    Example:
        >>> layer = nn.Linear(9, 4)
        >>> before = layer.weight.clone()
        >>> torch.allclose(weight_norm(layer).weight, before)
        True

    Reference: Salimans, Kingma, Weight Normalization, NeurIPS 2016.
    """
    parametrizations.weight_norm(module)
    return module


def centered_weight_norm(module: ModuleT) -> ModuleT:
    """Let ``module`` compute with ``g √2 (v − μ) / ‖v − μ‖`` for each row; ``g`` and ``v`` are trained.

    This is Weight Standardization with gain ``√2`` (rows of squared norm 2, as in the method of this book) and a
    trained factor ``g``, 1 at first.

    Args:
        module: a Linear or a convolution; changed in place.

    Example:
        >>> rows = centered_weight_norm(nn.Linear(9, 4)).weight
        >>> torch.allclose(rows.square().sum(1), torch.tensor(2.0)), bool(rows.sum(1).abs().max() < 1e-6)
        (True, True)

    Reference: Huang et al., Centered Weight Normalization, ICCV 2017.
    """
    cwn.weight_standardization(module, gain=math.sqrt(2))
    factor = RowGain(module.weight)
    parametrize.register_parametrization(module, "weight", factor)
    return module
