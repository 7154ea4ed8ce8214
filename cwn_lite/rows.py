"""Which axes of a layer's weight make one row, that is, all that feeds one output."""

import math
from typing import TypedDict

import torch
from torch import Tensor, nn

from cwn_lite.checks import check_bool, check_count

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LINEAR_MAPS = (nn.Linear, *CONVOLUTIONS, *TRANSPOSED)
"""torch's layers whose weights can be constrained, standardized and folded."""

_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}

# Classes that users registered -> whether their weight is stored as (in, out, *kernel).
_REGISTERED: dict[type[nn.Module], bool] = {}
# Well-known layers of packages that need not be installed.
_KNOWN = {"torch_geometric.nn.dense.linear.Linear": False, "transformers.pytorch_utils.Conv1D": True}


def register_linear_map(kind: type[nn.Module], *, transposed: bool = False) -> None:
    """Let the weights of layers of a class of your own be constrained, as those of ``nn.Linear`` are.

    Known without it: torch's Linear and (transposed) convolutions, the Linear of PyTorch Geometric and the Conv1D of
    Hugging Face's transformers, with all their subclasses. Scales behind a registered layer are neither fused nor
    folded, since its forward may do more than multiply, unless its class derives from torch's and keeps the forward.

    Args:
        kind: a module class whose instances have a parameter ``weight`` with at least two axes; its subclasses
            count as well. Calling again replaces what was said.
        transposed: the weight is stored as ``(in, out, *kernel)``, not as ``(out, in, *kernel)``.

    Raises:
        TypeError: ``kind`` is not a class of modules, or ``transposed`` neither True nor False.

    Example:
        >>> class Mixing(nn.Module):
        ...     def __init__(self) -> None:
        ...         super().__init__()
        ...         self.weight = nn.Parameter(torch.randn(8, 4))
        >>> register_linear_map(Mixing)
        >>> fan_in(Mixing())
        4
    """
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise TypeError(f"kind must be a class of modules, got {kind!r}; pass the class, not a layer of it")
    _REGISTERED[kind] = check_bool("transposed", transposed)


def is_linear_map(module: nn.Module) -> bool:
    """Return whether the weight of ``module`` has rows that can be constrained: torch's layers and registered ones.

    Example:
        >>> is_linear_map(nn.Conv1d(2, 2, 1)), is_linear_map(nn.Bilinear(2, 2, 2))
        (True, False)
    """
    return isinstance(module, LINEAR_MAPS) or _foreign(type(module)) is not None


def _foreign(kind: type) -> bool | None:
    """Whether layers of a class that is not torch's store their weight transposed; ``None`` if it is not known."""
    if kind in LINEAR_MAPS and kind not in _REGISTERED:  # most are, and every step of an optimizer asks
        return None
    for base in kind.__mro__:
        if base in _REGISTERED:
            return _REGISTERED[base]
        known = _KNOWN.get(f"{base.__module__}.{base.__qualname__}")
        if known is not None:
            return known
    return None


def row_view(weight: Tensor, *, transposed: bool = False, groups: int = 1) -> tuple[Tensor, tuple[int, ...]]:
    """Return a view of ``weight`` and the axes of that view over which one row extends.

    Never a copy, whatever the memory format (``weight.flatten(1)`` of a channels-last weight is one), so writing to
    the view writes to the weight.

    Args:
        weight: ``(out, in / groups, *kernel)``, or ``(in, out / groups, *kernel)`` if ``transposed``.
        transposed: the weight is that of a transposed convolution.
        groups: the layer's ``groups``; matters for transposed weights only.

    Raises:
        TypeError: ``transposed`` is neither True nor False, or ``groups`` no integer.
        ValueError: fewer than two axes, ``groups < 1``, or ``groups`` does not divide axis 0 of a transposed weight.

    Example:
        >>> view, dims = row_view(torch.empty(8, 3, 5, 5))
        >>> tuple(view.shape), dims
        ((8, 3, 5, 5), (1, 2, 3))
        >>> view, dims = row_view(torch.empty(8, 3, 5, 5), transposed=True, groups=2)
        >>> tuple(view.shape), dims
        ((2, 4, 3, 5, 5), (1, 3, 4))
    """
    check_bool("transposed", transposed)
    groups = check_count("groups", groups, 1)
    if weight.ndim < 2:
        raise ValueError(f"weight has shape {tuple(weight.shape)}; a weight with rows has at least two axes")
    if not transposed:
        return weight, tuple(range(1, weight.ndim))
    if weight.shape[0] % groups:
        raise ValueError(f"groups is {groups}, which does not divide the {weight.shape[0]} inputs of the weight")
    view = weight.unflatten(0, (groups, weight.shape[0] // groups))
    return view, (1, *range(3, view.ndim))


def to_rows(weight: Tensor, *, transposed: bool = False, groups: int = 1) -> Tensor:
    """Return the rows of ``weight`` as one matrix ``(rows, n)``, those of a group together; a copy where it must be.

    Args:
        weight: as for :func:`row_view`.
        transposed: likewise.
        groups: likewise.

    Example:
        >>> to_rows(torch.empty(8, 3, 5, 5)).shape, to_rows(torch.empty(8, 3, 5, 5), transposed=True, groups=2).shape
        (torch.Size([8, 75]), torch.Size([6, 100]))
    """
    view, dims = row_view(weight, transposed=transposed, groups=groups)
    lead = [d for d in range(view.ndim) if d not in dims]
    return view.permute(*lead, *dims).flatten(len(lead)).flatten(0, len(lead) - 1)


def dense_rows(weight: Tensor) -> Tensor | None:
    """Return ``(out, n)`` rows that share memory with a weight, ``None`` if there are none.

    The order of the values in a row is that of memory, which is another one in channels-last.

    Args:
        weight: ``(out, in / groups, *kernel)``.

    Example:
        >>> conv = torch.nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
        >>> tuple(dense_rows(conv.weight).shape)
        (8, 27)
    """
    n = math.prod(weight.shape[1:])
    if weight.is_contiguous():
        return weight.view(len(weight), n)
    if weight.ndim in _CHANNELS_LAST and weight.is_contiguous(memory_format=_CHANNELS_LAST[weight.ndim]):
        # Not as_strided, which torch's compiler cannot write through where memory is not in the order of the axes.
        return weight.permute(0, *range(2, weight.ndim), 1).view(len(weight), n)
    return None


def copy_rows_(weight: Tensor, rows: Tensor, *, transposed: bool = False, groups: int = 1) -> None:
    """Write what :func:`to_rows` returned back into ``weight``, in whatever memory format it has.

    Args:
        weight: as for :func:`row_view`.
        rows: ``(rows, n)``.
        transposed: as for :func:`row_view`.
        groups: likewise.

    Example:
        >>> weight, rows = torch.zeros(4, 3, 2), torch.arange(24.0).reshape(6, 4)
        >>> copy_rows_(weight, rows, transposed=True, groups=2)
        >>> bool((to_rows(weight, transposed=True, groups=2) == rows).all())
        True
    """
    view, dims = row_view(weight, transposed=transposed, groups=groups)
    lead = [d for d in range(view.ndim) if d not in dims]
    target = view.permute(*lead, *dims)
    target.copy_(rows.reshape(target.shape))


class Layout(TypedDict):
    """The keywords with which :func:`row_view` and ``project_`` read a weight."""

    transposed: bool
    groups: int


def layout(module: nn.Module) -> Layout:
    """Return how the weight of ``module`` is stored."""
    groups = module.groups if isinstance(module, TRANSPOSED) else 1
    return {"transposed": is_transposed(type(module)), "groups": groups}


def is_transposed(kind: type) -> bool:
    """Return whether layers of a class store their weight as ``(in, out, *kernel)``."""
    return issubclass(kind, TRANSPOSED) or bool(_foreign(kind))


def fan_in(module: nn.Module) -> int:
    """Return the number of weights that feed one output of ``module``.

    Example:
        >>> fan_in(nn.Conv2d(8, 8, 3, groups=8)), fan_in(nn.ConvTranspose2d(8, 4, 3))
        (9, 72)
    """
    assert isinstance(module.weight, Tensor)
    return row_length(module.weight, **layout(module))


def is_depthwise(module: nn.Module) -> bool:
    """Return whether each output of ``module`` sees one channel of several; a first layer on grey images sees all.

    Example:
        >>> is_depthwise(nn.Conv2d(8, 16, 3, groups=8)), is_depthwise(nn.Conv2d(1, 8, 3))
        (True, False)
    """
    return isinstance(module, (*CONVOLUTIONS, *TRANSPOSED)) and module.groups == module.in_channels > 1


def row_length(weight: Tensor, transposed: bool = False, groups: int = 1) -> int:
    """Return how many numbers a row of ``weight`` has; the arguments are those of :func:`row_view`."""
    shape: torch.Size = weight.shape
    return shape[0] // groups * math.prod(shape[2:]) if transposed else math.prod(shape[1:])


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
