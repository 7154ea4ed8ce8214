"""Argument checks whose messages name the parameter, the value and the way out."""

import math
from collections.abc import Collection, Sequence
from numbers import Integral, Real
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

ModuleT = TypeVar("ModuleT", bound=nn.Module)
"""What takes a module and returns it keeps its type."""


def some(names: Sequence[str]) -> str:
    """Return names for a message: the first three, and how many more.

    Example:
        >>> some(["a", "b"]), some(list("abcde"))
        ('a, b', 'a, b, c and 2 more')
    """
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


_SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


def check_number(name: str, value: object) -> float:
    """Return ``value`` as a float, or raise: TypeError for no real number, ValueError for a non-finite one."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Real)):
        raise TypeError(f"{name} must be a number, got {_shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        # Not printed: it may have more digits than Python converts.
        raise ValueError(f"{name} must be finite, got a {type(value).__name__} beyond every float") from None
    if not -math.inf < number < math.inf:
        raise ValueError(f"{name} must be finite, got {value}")
    return number


def check_positive(name: str, value: object) -> float:
    """Like :func:`check_number`, and raise ValueError unless ``value > 0``."""
    number = check_number(name, value)
    if number <= 0:
        raise ValueError(f"{name} must be positive, got {value}")
    return number


def check_nonnegative(name: str, value: object) -> float:
    """Like :func:`check_number`, and raise ValueError unless ``value >= 0``."""
    number = check_number(name, value)
    if number < 0:
        raise ValueError(f"{name} must not be negative, got {value}")
    return number


def check_square(name: str, value: object, dtype: torch.dtype) -> float:
    """Like :func:`check_positive`, and raise ValueError unless a square norm ``value`` is in the range of ``dtype``."""
    number = check_positive(name, value)
    info = torch.finfo(dtype)
    if not info.tiny <= number <= info.max:
        raise ValueError(f"{name} must lie between {info.tiny:g} and {info.max:g} for weights of {dtype}, got {value}")
    return number


def check_bool(name: str, value: object, choices: str = "True or False") -> bool:
    """Return ``value``, or raise TypeError for anything but True and False; ``choices`` are those of the message."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be {choices}, got {_shown(value)}")
    return value


def check_count(name: str, value: object, least: int) -> int:
    """Return ``value`` as an int, or raise: TypeError for no integer, ValueError for one below ``least``."""
    if isinstance(value, bool) or not isinstance(value, (int, Integral)):
        raise TypeError(f"{name} must be an integer, got {_shown(value)}")
    if value < least:
        raise ValueError(f"{name} must {f'be at least {least}' if least else 'not be negative'}, got {value}")
    return int(value)


def check_axes(name: str, value: object) -> tuple[int, ...]:
    """Return the allowed numbers of axes as a tuple, or raise TypeError or ValueError; each is at least 2."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        raise TypeError(f"{name} must be a sequence of integers such as (4,), got {_shown(value)}")
    if not len(value):
        raise ValueError(f"{name} is empty, so no input would fit; None is any number of axes")
    return tuple(check_count(f"each of {name}", each, 2) for each in value)


def check_module(name: str, value: object) -> None:
    """Raise TypeError unless ``value`` is a module."""
    if not isinstance(value, nn.Module):
        raise TypeError(f"{name} must be a torch.nn.Module, got {type(value).__name__}")


def check_dense(name: str, tensor: object) -> None:
    """Raise TypeError unless ``tensor`` is a dense tensor, and ValueError if it is an uninitialized one."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__}")
    if isinstance(tensor, UninitializedParameter):
        raise ValueError(f"{name} is uninitialized; run one forward pass through the lazy module first")
    if tensor.is_nested:
        raise TypeError(f"{name} is a nested tensor; pad it first (torch.nested.to_padded_tensor)")
    if tensor.layout != torch.strided:
        kind = f"is sparse ({tensor.layout})" if tensor.layout in _SPARSE else f"has layout {tensor.layout}"
        raise TypeError(f"{name} {kind}; call .to_dense() first")


def check_real_dense(name: str, tensor: object) -> None:
    """Like :func:`check_dense`, and raise TypeError unless torch computes row norms in the dtype of ``tensor``."""
    check_dense(name, tensor)
    assert isinstance(tensor, Tensor)
    if not tensor.dtype.is_floating_point:
        raise TypeError(f"{name} has dtype {tensor.dtype}; only real floating-point weights have a row norm here")
    if tensor.dtype.itemsize < 2:
        raise TypeError(f"{name} has dtype {tensor.dtype}, in which torch only stores; give it in a wider dtype")


def check_values(name: str, tensor: Tensor) -> None:
    """Raise ValueError unless ``tensor`` has values, and ones that can be trained."""
    if tensor.is_meta:
        raise ValueError(f"{name} is on the meta device, without values; call to_empty and initialize it first")
    if tensor.is_inference():
        raise ValueError(f"{name} was made in inference mode and cannot be trained; build the model outside of it")


def check_writable(name: str, tensor: Tensor) -> None:
    """Raise ValueError unless each number of ``tensor`` can be written on its own."""
    # torch's compiler does not know the first question, and asks it itself when it writes.
    if not torch.compiler.is_compiling() and tensor.is_inference() and not torch.is_inference_mode_enabled():
        raise ValueError(f"{name} was made in inference mode and cannot be changed outside of it; pass a .clone()")
    if any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True)):
        raise ValueError(f"{name} is expanded: several of its numbers share memory; pass a .clone()")


def _shown(value: object) -> str:
    kind = type(value).__name__
    if not isinstance(value, Tensor):
        return f"{kind} {value!r}"
    return f"{kind} of shape {tuple(value.shape)}" + ("; call .item() first" if value.ndim == 0 else "")
