"""What is measured on a model: its size, its gradient, its fingerprint."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn


def parameter_count(model: nn.Module) -> int:
    """Return the number of trained values.

    Example:
        >>> parameter_count(nn.Linear(3, 2))
        8
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def grad_norm(model: nn.Module) -> Tensor:
    """Return the Euclidean norm of the whole gradient, in float64: a huge but finite one has a finite norm."""
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    norms = [torch.linalg.vector_norm(grad, dtype=torch.float64) for grad in grads]
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return total


def weights_sha256(model: nn.Module) -> str:
    """Return the SHA-256 over names, shapes, dtypes and values of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
