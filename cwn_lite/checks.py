"""Argument checks whose messages name the parameter, the value and the way out."""

import math

import torch
from torch import Tensor, nn


def check_number(name: str, value: object) -> float:
    """Return ``value`` as a float, or raise: TypeError for no real number, ValueError for a non-finite one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {type(value).__name__} {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    return float(value)


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


def check_module(name: str, value: object) -> None:
    """Raise TypeError unless ``value`` is a module."""
    if not isinstance(value, nn.Module):
        raise TypeError(f"{name} must be a torch.nn.Module, got {type(value).__name__}")


def check_real_dense(name: str, tensor: Tensor) -> None:
    """Raise TypeError unless ``tensor`` is a dense floating-point tensor."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__}")
    if tensor.layout != torch.strided:
        raise TypeError(f"{name} is sparse ({tensor.layout}); call .to_dense() first")
    if not tensor.dtype.is_floating_point:
        raise TypeError(f"{name} has dtype {tensor.dtype}; only real floating-point weights have a row norm here")
