"""Adaptive gradient clipping, with which NF-ResNets train."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

LEAST = 1e-3  # the norm that a row counts as having at least, so that one of zeros can leave them


@torch.no_grad()
def clip_(parameters: Iterable[nn.Parameter], limit: float) -> None:
    """Shorten the gradient of each row to ``limit`` times the norm of that row; shorter ones stay as they are.

    A row is what belongs to one output: of a matrix or a convolution a slice along the first dimension, of a bias or
    a gain the whole vector.

    Args:
        parameters: those without a gradient are left out.
        limit: largest ratio of the norms; 0.01 to 0.16 in the paper.

    Example:
        >>> weight = nn.Parameter(torch.tensor([[3.0, 4.0], [3.0, 4.0]]))
        >>> weight.grad = torch.tensor([[30.0, 40.0], [0.03, 0.04]])
        >>> clip_([weight], 0.1); weight.grad
        tensor([[0.3000, 0.4000],
                [0.0300, 0.0400]])

    Reference: Brock, De, Smith and Simonyan, High-performance large-scale image recognition without normalization,
    ICML 2021, Eq. 3.
    """
    for p in parameters:
        if p.grad is not None:
            most = limit * _norms(p).clamp(min=LEAST)
            norms = _norms(p.grad)
            p.grad.mul_(torch.where(norms > most, most / norms, 1.0))


def _norms(tensor: Tensor) -> Tensor:
    dims = tuple(range(1, tensor.ndim)) if tensor.ndim > 1 else (0,)
    norms: Tensor = torch.linalg.vector_norm(tensor, dim=dims, keepdim=True)
    return norms
