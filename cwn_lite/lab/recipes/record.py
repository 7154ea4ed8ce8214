"""A record of plain values that is checked, and brought into one form, when it is made."""

import dataclasses
import math
from dataclasses import dataclass
from numbers import Integral, Real
from types import NoneType
from typing import Any, ClassVar, get_args


@dataclass(frozen=True, kw_only=True)
class Record:
    """Base of frozen dataclasses whose fields are texts, numbers and truth values, optional where the type says so.

    Equal values have one form: an integer given for a float becomes one, so that ``c=2`` and ``c=2.0`` are the same
    recipe and have the same hash. Metadata of a field: ``above``, ``least`` and ``below`` bound a number, ``choices``
    lists texts, and ``later`` says that the field is younger than recorded results: it enters a hash only where it
    differs from its default.

    A module of such records evaluates its annotations: it does without ``from __future__ import annotations``.

    Attributes:
        kind: which of the kinds of its part it is.
        IMPLIED: values that recorded results state of such a record although it has no such field.

    Raises:
        ValueError: a value of the wrong kind or outside its range; the text names the field and the value.

    Example:
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Step(Record):
        ...     lr: float = dataclasses.field(default=0.1, metadata={"above": 0})
        >>> Step(kind="sgd", lr=2)
        Step(kind='sgd', lr=2.0)
    """

    IMPLIED: ClassVar[dict[str, Any]] = {}

    kind: str

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _plain(field.name, getattr(self, field.name), field.type)
            _check_range(field.name, value, field.metadata)
            object.__setattr__(self, field.name, value)


def _plain(name: str, value: Any, hint: Any) -> Any:
    """Return the value as the type that the hint asks for."""
    kinds = get_args(hint) or (hint,)
    if value is None and NoneType in kinds:
        return None
    kind = kinds[0]
    number = not isinstance(value, bool)  # which Python counts as an integer
    if kind is float and number and isinstance(value, Real):
        if not math.isfinite(value):
            raise ValueError(f"{name}={value!r} must be finite")
        return float(value)
    if kind is int and number and isinstance(value, Integral):
        return int(value)
    if kind not in (float, int) and type(value) is kind:
        return value
    words = {float: "a number", int: "a whole number", bool: "True or False", str: "a text"}
    raise ValueError(f"{name}={value!r} must be {words[kind]}")


def _check_range(name: str, value: Any, metadata: Any) -> None:
    if "choices" in metadata and value not in metadata["choices"]:
        raise ValueError(f"{name}={value!r}: choose one of {', '.join(metadata['choices'])}")
    if value is None:
        return
    if "above" in metadata and not value > metadata["above"]:
        raise ValueError(f"{name}={value!r} must be above {metadata['above']}")
    if "below" in metadata and not value < metadata["below"]:
        raise ValueError(f"{name}={value!r} must be below {metadata['below']}")
    if "least" in metadata and not value >= metadata["least"]:
        raise ValueError(f"{name}={value!r} must be at least {metadata['least']}")
