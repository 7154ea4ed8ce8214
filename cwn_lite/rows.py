"""Which axes of a layer's weight make one row, that is, all that feeds one output."""

import math
from typing import TypedDict

import torch
from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LINEAR_MAPS = (nn.Linear, *CONVOLUTIONS, *TRANSPOSED)
"""The layers whose weights can be constrained, standardized and folded."""


def row_view(weight: Tensor, *, transposed: bool = False, groups: int = 1) -> tuple[Tensor, tuple[int, ...]]:
    """Return a view of ``weight`` and the axes of that view over which one row extends.

    Never a copy, whatever the memory format (``weight.flatten(1)`` of a channels-last weight is one), so writing to
    the view writes to the weight.

    Args:
        weight: ``(out, in / groups, *kernel)``, or ``(in, out / groups, *kernel)`` if ``transposed``.
        transposed: the weight is that of a transposed convolution.
        groups: the layer's ``groups``; matters for transposed weights only.

    Raises:
        ValueError: fewer than two axes, or ``groups`` does not divide axis 0 of a transposed weight.

    Example:
        >>> view, dims = row_view(torch.empty(8, 3, 5, 5))
        >>> tuple(view.shape), dims
        ((8, 3, 5, 5), (1, 2, 3))
        >>> view, dims = row_view(torch.empty(8, 3, 5, 5), transposed=True, groups=2)
        >>> tuple(view.shape), dims
        ((2, 4, 3, 5, 5), (1, 3, 4))
    """
    if weight.ndim < 2:
        raise ValueError(f"weight has shape {tuple(weight.shape)}; a weight with rows has at least two axes")
    if not transposed:
        return weight, tuple(range(1, weight.ndim))
    if groups < 1 or weight.shape[0] % groups:
        raise ValueError(f"groups is {groups}, which does not divide the {weight.shape[0]} inputs of the weight")
    view = weight.unflatten(0, (groups, weight.shape[0] // groups))
    return view, (1, *range(3, view.ndim))


class Layout(TypedDict):
    """The keywords with which :func:`row_view` and ``project_`` read a weight."""

    transposed: bool
    groups: int


def layout(module: nn.Module) -> Layout:
    """Return how the weight of ``module`` is stored."""
    if isinstance(module, TRANSPOSED):
        return {"transposed": True, "groups": module.groups}
    return {"transposed": False, "groups": 1}


def fan_in(module: nn.Module) -> int:
    """Return the number of weights that feed one output of ``module``.

    Example:
        >>> fan_in(nn.Conv2d(8, 8, 3, groups=8)), fan_in(nn.ConvTranspose2d(8, 4, 3))
        (9, 72)
    """
    shape = module.weight.shape
    assert isinstance(shape, torch.Size)
    if isinstance(module, TRANSPOSED):
        return shape[0] // module.groups * math.prod(shape[2:])
    return math.prod(shape[1:])


def local_part(weight: Tensor, *, transposed: bool = False, name: str = "weight") -> Tensor:
    """Return the rows of ``weight`` that this process holds: the local shard of a DTensor, else ``weight``.

    Args:
        weight: a tensor or DTensor.
        transposed: the weight is that of a transposed convolution, whose outputs are on axis 1.
        name: what a message calls it.

    Raises:
        ValueError: a DTensor sharded along any axis but that of the outputs, where a row would be cut.
    """
    # Asked by attribute: the class lives in another module in each of torch 2.4, 2.5 and later.
    placements = getattr(weight, "placements", None)
    if placements is None:
        return weight
    axis = 1 if transposed else 0
    if not all(placement.is_replicate() or placement.is_shard(axis) for placement in placements):
        raise ValueError(
            f"{name} is placed as {placements}, which cuts its rows; shard it by Shard({axis}) "
            "(shard_placement_fn of fully_shard), or exclude it"
        )
    # Known by what it does, not by its class, whose module differs between torch versions; so the type is unknown.
    local: Tensor = weight.to_local()  # type: ignore[attr-defined]
    return local
