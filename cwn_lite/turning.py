"""One step that turns every row of a matrix by the same angle, and the pull that keeps rows from agreeing."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cwn_lite.checks import check_nonnegative, check_real_dense
from cwn_lite.orthogonal import orthogonalize


def turned(
    rows: Tensor,
    direction: Tensor,
    lr: float | Tensor,
    *,
    coherence_decay: float = 0.0,
    centralize: bool = True,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Return ``rows`` after a step against ``direction`` that turns them by an angle of ``lr``, in the mean square.

    ``W̃ = W − lr ‖W‖_F O / √r − lr κ W Wᵀ W / (c ρ²)``,  ``O = UVᵀ`` of the tangent part of ``direction``

    All singular values of the first step are ``lr ‖W‖_F / √r`` with ``r = min(out, n)`` (``out`` being the rows that
    move), or 0: however much the rows of a gradient agree, it stretches no input more than any other. Rows turn by
    about ``lr`` where ``direction`` has full rank, and by less where it has not. The tangent part has zero mean per
    row (if ``centralize``) and is orthogonal to the row. The polar factor mixes rows, so that single rows may grow or
    shrink a little, which a projection undoes; all together do not, to first order.

    Rows of fixed norm still stretch an input by up to the square root of their number, if they agree. The last
    term pulls them apart: it is the gradient of ``‖W Wᵀ‖_F² / 4``, in units of ``c = ‖W‖_F² / out`` and of the
    largest singular value ``√c ρ``, ``ρ = 1 + √(out / n)``, of random rows. Under steps that go on agreeing, singular
    values grow until pull and step balance, which is where they do at any angle. Of rows that agree so much that
    the pull would flip them, it is shortened.

    Args:
        rows: ``W``, ``(..., out, n)``.
        direction: ``(..., out, n)``, such as the momentum. A row of zeros or with a non-finite value stays as it is,
            and so does a matrix ``W`` of zeros.
        lr: angle in radians.
        coherence_decay: strength ``κ`` of the pull, at least 0.
        centralize: rows are to keep zero mean.
        dtype: of the products in :func:`cwn_lite.orthogonalize`.

    Returns:
        ``(..., out, n)``, in the dtype of ``rows``; computed in float32 or better. Not yet projected.

    Raises:
        TypeError: an argument is complex, integer or sparse.
        ValueError: the shapes differ or have fewer than two axes; ``coherence_decay`` is negative.

    Example:
        >>> w = torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, -2.0]])
        >>> step = turned(w, torch.tensor([[1.0, 1.0, -2.0], [0.0, 0.0, 0.0]]), 0.1) - w
        >>> (step.norm(dim=1) / w.norm(dim=1)).round(decimals=2)
        tensor([0.1000, 0.0000])

    Reference: Jordan et al., Muon, 2024, for orthogonalized momentum; Brock et al., BigGAN, ICLR 2019, for the pull,
    which on rows of fixed norm is their orthogonal regularization without the diagonal.
    """
    _check(rows, direction, coherence_decay)
    if not rows.numel():
        return rows.clone()
    with torch.autocast(rows.device.type, enabled=False):
        moved = are_usable(direction)
        of = Tangent.of(rows, torch.where(moved, direction, 0.0), moved, centralize)
        pulled = pull(rows, lr, coherence_decay) if coherence_decay else None
        new: Tensor = rows - lr * of.step(orthogonalize(of.direction, dtype=dtype), pulled)
    return new.to(rows.dtype)


class Tangent(NamedTuple):
    """A direction in which rows only turn.

    Attributes:
        direction: ``(..., out, n)``, orthogonal to the rows, with zero mean if they have; zero in rows that stay.
        moved: ``(..., out, 1)``, which rows do not.
        square: ``(..., out, 1)``, their squared norms.
    """

    direction: Tensor
    moved: Tensor
    square: Tensor

    @classmethod
    def of(cls, rows: Tensor, direction: Tensor, moved: Tensor, centralize: bool) -> "Tangent":
        """Return the tangent part of a direction, in float32 or better.

        Args:
            rows: as for :func:`turned`.
            direction: likewise, but for values that are not finite.
            moved: which of its rows count, ``(..., out, 1)``.
            centralize: as for :func:`turned`.
        """
        kind = torch.promote_types(rows.dtype, torch.float32)
        w, d = rows.to(kind), direction.to(kind)
        if centralize:
            d = d - d.mean(-1, keepdim=True)
        square = w.square().sum(-1, keepdim=True)
        unit = w * square.rsqrt().nan_to_num(posinf=0.0)
        d = d - unit * (unit * d).sum(-1, keepdim=True)
        return cls(torch.where(moved, d, 0.0), moved, square)

    @property
    def rank(self) -> Tensor:
        """Number of rows that move, ``(..., 1, 1)``; the length of a row if that is less, and at least 1."""
        return self.moved.sum((-2, -1), keepdim=True).clamp(1, self.direction.shape[-1])

    def step(self, orthogonal: Tensor, pulled: Tensor | None) -> Tensor:
        """Return the step that is to be multiplied by an angle, zero in rows that stay.

        Args:
            orthogonal: ``O``, the direction with singular values of 1.
            pulled: what :func:`pull` returned; ``None`` is none.
        """
        # Of the rows that move: the others take no part in the length.
        length = torch.where(self.moved, self.square, 0.0).sum((-2, -1), keepdim=True)
        step = orthogonal * (length / self.rank).sqrt()
        return torch.where(self.moved, step if pulled is None else step + pulled, 0.0)


def are_usable(rows: Tensor) -> Tensor:
    """Return which rows are neither zero nor have a value that is not finite, ``(..., out, 1)``.

    Args:
        rows: ``(..., out, n)``.
    """
    largest = largest_of(rows)
    return (largest > 0) & largest.isfinite()


def largest_of(rows: Tensor) -> Tensor:
    """Return the largest absolute value of each row, ``(..., out, 1)``, NaN where it has one.

    Args:
        rows: ``(..., out, n)``.
    """
    # Reads twice and writes nothing: torch's norm for this takes ten times as long on a CPU.
    return torch.maximum(rows.amax(-1, keepdim=True), -rows.amin(-1, keepdim=True))


def _check(rows: Tensor, direction: Tensor, coherence_decay: float) -> None:
    for name, value in (("rows", rows), ("direction", direction)):
        check_real_dense(name, value)
    if rows.shape != direction.shape or rows.ndim < 2:
        shapes = f"{tuple(rows.shape)} and {tuple(direction.shape)}"
        raise ValueError(f"rows and direction have shapes {shapes}; give two of one shape (..., out, n)")
    check_nonnegative("coherence_decay", coherence_decay)


def pull(rows: Tensor, lr: float | Tensor, coherence_decay: float, steps: int = 1) -> Tensor:
    """``κ W Wᵀ W / (c ρ²)``, shortened where a step of ``lr`` times it would be longer than ``W`` in some direction.

    Args:
        rows: as for :func:`turned`.
        lr: likewise.
        coherence_decay: likewise.
        steps: the pull of so many steps at once, so many times as long.

    Returns:
        ``(..., out, n)`` in float32 or better.
    """
    w = rows.to(torch.promote_types(rows.dtype, torch.float32))
    out, n = w.shape[-2:]
    gram = w @ w.mT if out <= n else w.mT @ w
    product = gram @ w if out <= n else w @ gram
    edge = w.square().sum(-1, keepdim=True).mean(-2, keepdim=True) * (1 + math.sqrt(out / n)) ** 2
    strength = steps * coherence_decay / edge.clamp_min(torch.finfo(w.dtype).tiny)
    # The Frobenius norm bounds the largest eigenvalue. The root of the square's does so more closely, which many steps
    # at once need: at the usual angles the pull of random rows is not to be shortened.
    reach = lr * strength * torch.linalg.matrix_norm(gram, keepdim=True)
    if steps > 1:
        part = lr * strength * gram
        reach = torch.linalg.matrix_norm(part @ part, keepdim=True).sqrt()
    pulled: Tensor = product * (strength / reach.clamp_min(1.0))
    return pulled
