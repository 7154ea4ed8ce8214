"""What a step does with a direction, and what takes rows back to their set: pure functions of matrices ``(k, n)``."""

from __future__ import annotations

import math

from torch import Tensor

import cwn_lite as cwn


def descend(rows: Tensor, direction: Tensor, lr: float) -> Tensor:
    """Return ``W − lr D``.

    Args:
        rows: ``W``, ``(k, n)``.
        direction: ``D``, ``(k, n)``.
        lr: rate.
    """
    return rows - lr * direction


def relative(rows: Tensor, direction: Tensor, lr: float) -> Tensor:
    """Return rows ``w − lr ‖w‖ d``: a direction of length one, orthogonal to ``w``, turns it by ``arctan lr``.

    Args:
        rows: ``(k, n)``.
        direction: ``(k, n)``.
        lr: angle in radians, if it is small.
    """
    new: Tensor = rows - lr * rows.norm(dim=1, keepdim=True) * direction
    return new


def spectral(rows: Tensor, direction: Tensor, lr: float, c: float) -> Tensor:
    """Return ``W − lr √(c k / q) O`` with the polar factor ``O`` of the direction and ``q = min(k, n)``.

    Args:
        rows: ``W``, ``(k, n)``.
        direction: ``(k, n)``.
        lr: length of the step over that of ``k`` rows of squared norm ``c``.
        c: squared norm of a row at the start.
    """
    k, n = rows.shape
    return rows - lr * math.sqrt(c * k / min(k, n)) * cwn.orthogonalize(direction)


def tangent(rows: Tensor, direction: Tensor, centralize: bool = True) -> Tensor:
    """Return the part of each row of ``direction`` that is orthogonal to the row of ``rows``, and to ``𝟏``.

    Args:
        rows: ``(k, n)``; of zero mean, if ``centralize``.
        direction: ``(k, n)``.
        centralize: take off the mean, too.
    """
    if centralize:
        direction = direction - direction.mean(1, keepdim=True)
    along = (rows * direction).sum(1, keepdim=True) / rows.square().sum(1, keepdim=True)
    return direction - along * rows


def unit(direction: Tensor, dim: int = 1) -> Tensor:
    """Return slices of length one; a slice of zeros stays.

    Args:
        direction: ``(k, n)``.
        dim: 1 for rows, 0 for columns.
    """
    out: Tensor = direction / direction.norm(dim=dim, keepdim=True).clamp_min(1e-12)
    return out


def whole_sphere(rows: Tensor, square: float) -> Tensor:
    """Return the matrix scaled to the squared Frobenius norm ``square``.

    Args:
        rows: ``(k, n)``.
        square: squared norm of all entries.
    """
    out: Tensor = rows * (math.sqrt(square) / rows.norm())
    return out
