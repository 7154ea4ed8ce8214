"""A direction orthogonalized by what orthogonalized an earlier one: what makes it cheap is not to do it each time."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from cwn_lite.orthogonal import inverse_root, scaled, wide
from cwn_lite.turning import Tangent

LONGEST = 1.1
"""Length of a row that an orthogonalization may leave, which is right to a tenth."""


EVERY = ("orthogonalize_every", "coherence_decay_every")
"""What a group may do in each so many steps only."""


def are_alike(group: dict[str, Any]) -> bool:
    """Return whether all steps of a group do the same."""
    return not group["turn"] or all(group[key] == 1 for key in EVERY)


class Due(NamedTuple):
    """What a step does beside turning a weight.

    Attributes:
        anew: it computes what orthogonalizes.
        pulls: of how many steps it takes the pull.
    """

    anew: bool = True
    pulls: int = 1


def count(state: dict[str, Any], group: dict[str, Any], dtype: torch.dtype) -> Due:
    """Count a step of a weight, and return what is due in it.

    Args:
        state: of the weight.
        group: its group.
        dtype: its dtype.
    """
    number = int(state.setdefault("step", torch.zeros((), dtype=torch.float32, device="cpu")).add_(1))
    pulls = group["coherence_decay_every"]
    held = state.get("inverse_root")
    # A state that was loaded for half-precision weights is in their precision, too little for an inverse.
    usable = held is not None and held.dtype == torch.promote_types(dtype, torch.float32)
    anew = not usable or (number - 1) % group["orthogonalize_every"] == 0
    return Due(anew, 0 if number % pulls else pulls)


class Held(NamedTuple):
    """What later steps use again.

    Attributes:
        inverse_root: ``S = (D Dᵀ)^-½``, ``(..., s, s)`` with ``s = min(out, n)``, of a direction ``D`` whose largest
            number is 1.
        size: ``‖S D‖_F`` over the root of the number of rows that moved, or of ``n`` if that is less: ``(..., 1, 1)``,
            1 where ``D`` has full rank.
    """

    inverse_root: Tensor
    size: Tensor


def orthogonalize_and_hold(of: Tangent) -> tuple[Tensor, Held]:
    """Return what :func:`cwn_lite.orthogonalize` makes of a direction, and what is held of it.

    Args:
        of: the direction, not empty.
    """
    direction = scaled(of.direction)
    root = inverse_root(direction)
    orthogonal = _product(root, direction)
    size = torch.linalg.matrix_norm(orthogonal, keepdim=True) / of.rank.sqrt()
    # Zeros have no size; what follows them is taken to have full rank.
    return orthogonal, Held(root, torch.where(size > 0, size, 1.0))


def orthogonalize_as_held(of: Tangent, held: Held) -> Tensor:
    """Return ``S D`` with the inverse root of an earlier direction, brought to the size that it had there.

    A direction changes little from step to step, its momentum seeing to that, and so does what orthogonalizes it. Its
    size is not left to it, since gradients may have grown. Nor is that of a row, since one that was weak is enlarged:
    no row of a matrix of orthonormal rows or columns is longer than 1.

    Args:
        of: the direction.
        held: of an earlier step of these rows.

    Reference: Gupta et al., Shampoo, ICML 2018, hold their preconditioners in the same way.
    """
    # An inverse root mixes rows, also into those that are to stay.
    orthogonal = torch.where(of.moved, _product(held.inverse_root, scaled(of.direction)), 0.0)
    size = torch.linalg.matrix_norm(orthogonal, keepdim=True)
    orthogonal = orthogonal * torch.where(size > 0, held.size * of.rank.sqrt() / size, 0.0)
    longest = torch.linalg.vector_norm(orthogonal, dim=-1, keepdim=True)
    shortened: Tensor = orthogonal / (longest / LONGEST).clamp_min(1.0)
    return shortened


def _product(inverse_root: Tensor, direction: Tensor) -> Tensor:
    x, tall = wide(direction)
    product = inverse_root @ x
    return product.mT if tall else product
