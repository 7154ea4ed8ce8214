"""The step of a turn with what an earlier step computed: what makes orthogonalizing cheap is not to do it each time."""

from typing import NamedTuple

import torch
from torch import Tensor

from cwn_lite.orthogonal import inverse_root, wide
from cwn_lite.turning import Tangent, pull


class Held(NamedTuple):
    """What later steps use again.

    Attributes:
        inverse_root: ``S = (D Dᵀ)^-½``, ``(..., s, s)`` with ``s = min(out, n)``, of a direction ``D``.
        size: ``‖S D‖_F``, ``(..., 1, 1)``: about the root of the rank.
        pulled: ``(..., out, n)``, the pull that keeps rows apart, or ``None``.
    """

    inverse_root: Tensor
    size: Tensor
    pulled: Tensor | None


def turn_and_hold(rows: Tensor, of: Tangent, lr: float | Tensor, *, coherence_decay: float) -> tuple[Tensor, Held]:
    """Return the step of :func:`cwn_lite.turning.turn`, and what is held of it.

    Args:
        rows: as for :func:`cwn_lite.turned`, and not empty.
        of: the direction.
        lr: as for :func:`cwn_lite.turned`.
        coherence_decay: likewise.
    """
    root = inverse_root(of.direction)
    step = _product(root, of.direction)
    pulled = pull(rows, lr, coherence_decay) if coherence_decay else None
    return of.step(step, pulled), Held(root, torch.linalg.matrix_norm(step, keepdim=True), pulled)


def turn_as_held(of: Tangent, held: Held) -> Tensor:
    """Return a step with the inverse root of an earlier direction: ``S D``, brought to the size that it had there.

    A direction changes little from step to step, its momentum seeing to that, and so does what orthogonalizes it. The
    size is not left to it: gradients may have grown since.

    Args:
        of: the direction.
        held: of an earlier step of these rows.

    Reference: Gupta et al., Shampoo, ICML 2018, hold their preconditioners in the same way.
    """
    step = _product(held.inverse_root, of.direction)
    # An inverse root mixes rows, also into those that are to stay.
    size = torch.where(of.moved, step.square().sum(-1, keepdim=True), 0.0).sum(-2, keepdim=True).sqrt()
    usable = (size > 0) & size.isfinite()
    scale = torch.where(usable, held.size / size, 0.0)
    return of._replace(moved=of.moved & usable).step(step * scale, held.pulled)


def _product(inverse_root: Tensor, direction: Tensor) -> Tensor:
    x, tall = wide(direction)
    product = inverse_root @ x
    return product.mT if tall else product
