"""What is measured on a model: its size, its gradient, its fingerprint."""

from __future__ import annotations

import hashlib

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.utils import parametrize

from cwn_lite.rows import layout, row_view
from cwn_lite.sharded import whole


def parameter_count(model: nn.Module) -> int:
    """Return the number of trained values.

    Example:
        >>> parameter_count(nn.Linear(3, 2))
        8
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def grad_norm(model: nn.Module) -> Tensor:
    """Return the Euclidean norm of the whole gradient, in float64: a huge but finite one has a finite norm.

    Of a model that processes keep in parts, all of them must ask.
    """
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    parts = [getattr(grad, "to_local", lambda grad=grad: grad)() for grad in grads]
    norms = [torch.linalg.vector_norm(part, dtype=torch.float64) for part in parts]
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    if any(part is not grad for part, grad in zip(parts, grads, strict=True)):
        squares = total.square()
        dist.all_reduce(squares)
        total = squares.sqrt()
    return total


def trained_weight(module: nn.Module) -> Tensor:
    """Return the tensor behind the weight of a module: ``v`` where there is a parametrization, else the weight.

    Example:
        >>> layer = nn.Linear(9, 4)
        >>> trained_weight(layer) is layer.weight
        True
    """
    if not parametrize.is_parametrized(module, "weight"):
        weight = module.weight
    else:
        behind = dict(module.named_parameters())
        prefix = "parametrizations.weight.original"
        weight = behind[prefix] if prefix in behind else behind[f"{prefix}1"]  # weight_norm: 0 is g, 1 is v
    assert isinstance(weight, Tensor)
    return weight


def row_norms(module: nn.Module) -> Tensor:
    """Return ``‖v − μ‖ = σ_v √n`` of each row of the tensor behind a weight, shape ``(out_features,)``.

    Args:
        module: a Linear or a convolution, parametrized or not.
    """
    view, dims = row_view(whole(trained_weight(module).detach()).double(), **layout(module))
    centred = view - view.mean(dims, keepdim=True)
    # In float64: a step of an exploding run makes rows whose squares float32 cannot hold.
    norms: Tensor = torch.linalg.vector_norm(centred, dim=dims).flatten()
    return norms


def weights_sha256(model: nn.Module) -> str:
    """Return the SHA-256 over names, shapes, dtypes and values of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(whole(value.detach()).cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
