"""What becomes of gradients before a step: each remembers, for one weight, what its idea remembers."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from . import moves


class Direction(Protocol):
    """Maps the rows of a weight and their gradient, both ``(k, n)``, to the direction to step against."""

    def __call__(self, rows: Tensor, grad: Tensor) -> Tensor:
        """Return the direction, and remember the gradient."""


class Momentum:
    """Heavy ball with Nesterov's look ahead: ``b ← μ b + g``, ``d = g + μ b``.

    Args:
        mu: ``μ``, in [0, 1).
    """

    def __init__(self, mu: float = 0.9) -> None:
        self.mu = mu
        self.buffer: Tensor | None = None

    def __call__(self, rows: Tensor, grad: Tensor) -> Tensor:
        """Return ``d``."""
        self.buffer = grad.clone() if self.buffer is None else self.mu * self.buffer + grad
        return grad + self.mu * self.buffer


class Adam:
    """Each entry over the root of its mean square, both averaged over steps.

    Args:
        betas: of the average and of the mean square.
    """

    def __init__(self, betas: tuple[float, float] = (0.9, 0.99)) -> None:
        self.betas = betas
        self.average: Tensor | None = None
        self.square: Tensor | None = None
        self.steps = 0

    def __call__(self, rows: Tensor, grad: Tensor) -> Tensor:
        """Return the corrected average over the root of the corrected mean square."""
        first, second = self.betas
        self.steps += 1
        self.average = (1 - first) * grad + first * (torch.zeros_like(grad) if self.average is None else self.average)
        self.square = (1 - second) * grad**2 + second * (torch.zeros_like(grad) if self.square is None else self.square)
        mean = self.average / (1 - first**self.steps)
        root = (self.square / (1 - second**self.steps)).sqrt()
        return mean / (root + 1e-8)


class OverItsSize:
    """A direction over the root of the mean square of its length, row by row: Nero's, and that of fixed rotation.

    ``s ← β s + (1 − β) ‖d‖²``, then ``d / √(s / (1 − βᵗ))``: over time rows have length one in the mean square.

    Args:
        beta: ``β``, in [0, 1).
        inner: makes ``d`` of gradients; without it ``d`` is the gradient.
        orthogonal: take off of ``d`` its mean and what lies along the row.
    """

    def __init__(self, beta: float, inner: Direction | None = None, orthogonal: bool = False) -> None:
        self.beta, self.inner, self.orthogonal = beta, inner, orthogonal
        self.square: Tensor | None = None
        self.steps = 0

    def __call__(self, rows: Tensor, grad: Tensor) -> Tensor:
        """Return the direction, of length about one."""
        d = grad if self.inner is None else self.inner(rows, grad)
        d = moves.tangent(rows, d) if self.orthogonal else d
        self.steps += 1
        length2 = d.square().sum(1, keepdim=True)
        self.square = (1 - self.beta) * length2 + self.beta * (0.0 if self.square is None else self.square)
        size: Tensor = (self.square / (1 - self.beta**self.steps)).sqrt()
        out: Tensor = d / size.clamp_min(1e-12)
        return out


class Mano:
    """Momentum, orthogonal to the unit rows of the weight, with rows of fixed length; at the next step columns.

    Entries have a root mean square of 0.2, which is what Adam's steps are about.
    """

    def __init__(self) -> None:
        self.momentum = Momentum()
        self.steps = 0

    def __call__(self, rows: Tensor, grad: Tensor) -> Tensor:
        """Return the direction for rows at even steps, for columns at odd ones."""
        dim = 1 - self.steps % 2
        self.steps += 1
        d, w = self.momentum(rows, grad), moves.unit(rows, dim)
        d = d - (d * w).sum(dim, keepdim=True) * w
        return moves.unit(d, dim) * (0.2 * math.sqrt(rows.shape[dim]))


class SphereMomentum:
    """Momentum without its part along the whole matrix ``W``: tangent to ``‖W‖_F`` being fixed."""

    def __init__(self) -> None:
        self.momentum = Momentum()

    def __call__(self, rows: Tensor, grad: Tensor) -> Tensor:
        """Return ``D − W ⟨W, D⟩ / ‖W‖²_F``."""
        d = self.momentum(rows, grad)
        return d - rows * ((rows * d).sum() / rows.square().sum())
