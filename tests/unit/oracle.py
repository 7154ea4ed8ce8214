"""The method a second time, from its definition and without `cwn_lite`: slow, plain NumPy, one row at a time."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def nearest(row: np.ndarray, c: float = 2.0, centralize: bool = True, spherize: bool = True) -> np.ndarray:
    """Return the nearest point to ``row`` on the plane, the sphere or both, in float64."""
    v = row.astype(np.float64)
    if centralize:
        v = v - sum(v) / len(v)
    if spherize:
        v = v * np.sqrt(c) / np.sqrt(sum(x * x for x in v))
    return v


def nearest_rows(rows: np.ndarray, c: float = 2.0, centralize: bool = True, spherize: bool = True) -> np.ndarray:
    """Apply :func:`nearest` to each row of ``(out, n)``."""
    return np.stack([nearest(row, c, centralize, spherize) for row in rows])


def feeds(layer: nn.Module) -> torch.Tensor:
    """Return ``(out, *weight.shape)``: which weights feed which output, asked of the layer itself.

    All inputs and weights are positive, so the derivative of an output by a weight vanishes only if that weight never
    meets it. Inputs are so large that every tap of the kernel meets an input.
    """
    spatial = layer.weight.ndim - 2
    channels = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
    x = torch.rand(1, channels, *[9] * spatial, dtype=layer.weight.dtype) + 0.5
    weight = (torch.rand_like(layer.weight) + 0.5).requires_grad_()
    y = torch.func.functional_call(layer, {"weight": weight}, (x,))
    totals = y.flatten(2).sum((0, 2)) if spatial else y.sum(0)
    return torch.stack([torch.autograd.grad(total, weight, retain_graph=True)[0] != 0 for total in totals])


def project_layer(layer: nn.Module, c: float = 2.0, centralize: bool = True, spherize: bool = True) -> torch.Tensor:
    """Return the projected weight of ``layer``, gathered output by output."""
    result = layer.weight.detach().clone()
    for mask in feeds(layer):
        row = layer.weight.detach()[mask].double().numpy()
        result[mask] = torch.from_numpy(nearest(row, c, centralize, spherize)).to(result.dtype)
    return result
