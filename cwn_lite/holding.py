"""A step with what an earlier step computed: what makes orthogonalizing cheap is not to do it each time."""

from typing import NamedTuple

import torch
from torch import Tensor

from cwn_lite.orthogonal import inverse_root, scaled, wide
from cwn_lite.turning import Tangent, pull

LONGEST = 1.1
"""Length of a row that an orthogonalization may leave, which is right to a tenth."""


class Held(NamedTuple):
    """What later steps use again.

    Attributes:
        inverse_root: ``S = (D Dᵀ)^-½``, ``(..., s, s)`` with ``s = min(out, n)``, of a direction ``D`` whose largest
            number is 1.
        size: ``‖S D‖_F`` over the root of the number of rows that moved, or of ``n`` if that is less: ``(..., 1, 1)``,
            1 where ``D`` has full rank.
        pulled: ``(..., out, n)``, the pull that keeps rows apart, or ``None``.
    """

    inverse_root: Tensor
    size: Tensor
    pulled: Tensor | None


def turn_and_hold(
    rows: Tensor, of: Tangent, lr: float | Tensor, *, coherence_decay: float, every: int
) -> tuple[Tensor, Held]:
    """Return the step of :func:`cwn_lite.turning.turn`, and what is held of it.

    Args:
        rows: as for :func:`cwn_lite.turned`, and not empty.
        of: the direction.
        lr: as for :func:`cwn_lite.turned`.
        coherence_decay: likewise.
        every: for how many steps: the pull is as short as all of them together allow.
    """
    direction = scaled(of.direction)
    root = inverse_root(direction)
    step = _product(root, direction)
    size = torch.linalg.matrix_norm(step, keepdim=True) / of.rank.sqrt()
    pulled = pull(rows, lr * every, coherence_decay) if coherence_decay else None
    # Zeros have no size; what follows them is taken to have full rank.
    return of.step(step, pulled), Held(root, torch.where(size > 0, size, 1.0), pulled)


def turn_as_held(of: Tangent, held: Held) -> Tensor:
    """Return a step with the inverse root of an earlier direction: ``S D``, brought to the size that it had there.

    A direction changes little from step to step, its momentum seeing to that, and so does what orthogonalizes it. Its
    size is not left to it, since gradients may have grown. Nor is that of a row, since one that was weak is enlarged:
    no row of a matrix of orthonormal rows or columns is longer than 1.

    Args:
        of: the direction.
        held: of an earlier step of these rows.

    Reference: Gupta et al., Shampoo, ICML 2018, hold their preconditioners in the same way.
    """
    # An inverse root mixes rows, also into those that are to stay.
    step = torch.where(of.moved, _product(held.inverse_root, scaled(of.direction)), 0.0)
    size = torch.linalg.matrix_norm(step, keepdim=True)
    step = step * torch.where(size > 0, held.size * of.rank.sqrt() / size, 0.0)
    longest = torch.linalg.vector_norm(step, dim=-1, keepdim=True)
    return of.step(step / (longest / LONGEST).clamp_min(1.0), held.pulled)


def _product(inverse_root: Tensor, direction: Tensor) -> Tensor:
    x, tall = wide(direction)
    product = inverse_root @ x
    return product.mT if tall else product
