"""What ideas change between the trained tensor and the convolution, and behind the convolution."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class DyT(nn.Module):
    """``γ tanh(α x) + β``: bounds each activation by itself, where a normalization would look at others.

    Args:
        num_features: channels ``C``, each with a scale ``γ`` and a bias ``β``.
        alpha: where the one trained ``α`` of the layer starts.

    Example:
        >>> layer = DyT(2)
        >>> layer(torch.full((1, 2, 1, 1), 1e3)).flatten().tolist()
        [1.0, 1.0]

    Reference: Zhu, Chen, He, LeCun and Liu, Transformers without normalization, CVPR 2025.
    """

    def __init__(self, num_features: int, alpha: float = 0.5) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(alpha))
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, ...) to the same shape."""
        shape = (-1, *([1] * (x.ndim - 2)))
        return self.weight.view(shape) * torch.tanh(self.alpha * x) + self.bias.view(shape)


class NormalizedRows(nn.Module):
    """The parametrization ``v -> √c v / ‖v‖`` of each row.

    Args:
        c: squared norm.
    """

    def __init__(self, c: float) -> None:
        super().__init__()
        self.c = c

    def forward(self, weight: Tensor) -> Tensor:
        """Return rows of squared norm ``c``."""
        rows = weight.flatten(1)
        out: Tensor = rows * (math.sqrt(self.c) / rows.norm(dim=1, keepdim=True))
        return out.view_as(weight)


class ColumnGain(nn.Module):
    """The parametrization ``W -> W diag(a)``: a trained factor for each input of the rows, 1 at first.

    Args:
        weight: ``(k, ...)`` with ``n`` weights in a row.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.ones_like(weight[:1]))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with its columns scaled."""
        return weight * self.a


def normalize_rows(layer: nn.Conv2d, c: float) -> None:
    """Let a layer compute with rows of squared norm ``c``; what is trained are the rows behind them.

    Args:
        layer: changed in place.
        c: squared norm.
    """
    parametrize.register_parametrization(layer, "weight", NormalizedRows(c))


def column_gain(layer: nn.Conv2d, c: float) -> None:
    """Give a layer a trained factor for each input of its rows.

    Args:
        layer: changed in place.
        c: not used; all that change a forward are called alike.
    """
    parametrize.register_parametrization(layer, "weight", ColumnGain(layer.weight))
