"""Whether plain values from a file have the types that a record states."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Iterable
from types import UnionType
from typing import Any, Union, get_args, get_origin


def mistyped(value: Any, hint: Any, name: str) -> str | None:
    """Return where a value leaves a type and how, ``None`` if it does not.

    A float may be written as an integer, must be finite and within the range of floats; a boolean is no number.

    Args:
        value: from JSON.
        hint: ``Any``, a plain type, a union, ``list[...]``, ``dict[str, ...]``, or a dict that maps
            the keys that must be there to their types; others may be there, too.
        name: what to call the value.

    Example:
        >>> mistyped({"loss": [1, 2.5, "3"]}, {"loss": list[float]}, "final")
        "final.loss[2] is '3', not of type float"
    """
    if hint is Any or (type(value) is hint and hint is not float):
        return None
    if isinstance(hint, dict):
        if not isinstance(value, dict):
            return f"{name} is {reprlib.repr(value)}, not of type dict"
        missing = next((key for key in hint if key not in value), None)
        if missing is not None:
            return f"{name} has no {missing}"
        return _first(mistyped(value[key], one, f"{name}.{key}") for key, one in hint.items())
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        if any(mistyped(value, one, name) is None for one in parts):
            return None
        return mistyped(value, parts[0], name)
    fits = type(value) in (int, float) if kind is float else type(value) is kind  # True is an int to isinstance
    if not fits:
        return f"{name} is {reprlib.repr(value)}, not of type {kind.__name__}"
    if kind is float and not abs(value) <= sys.float_info.max:
        return f"{name} is {reprlib.repr(value)}, beyond all floats"
    if kind is list and parts:
        return _first(mistyped(item, parts[0], f"{name}[{k}]") for k, item in enumerate(value))
    if kind is dict and parts:
        return _first(mistyped(item, parts[1], f"{name}.{key}") for key, item in value.items())
    return None


def _first(problems: Iterable[str | None]) -> str | None:
    return next((problem for problem in problems if problem), None)
