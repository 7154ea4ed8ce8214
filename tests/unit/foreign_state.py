"""A module that keeps values in all the places outside of itself that Python has, for tests of tracing."""

from __future__ import annotations

import random
import threading
import weakref
from collections import OrderedDict, defaultdict
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

LAST: Any = None
COUNT = 0
TABLES: dict[str, list[Any]] = {"a": []}
BY_KEY: defaultdict[str, list[Any]] = defaultdict(list)
IN_ORDER: OrderedDict[str, Any] = OrderedDict()


class Cache:
    """Holds a lock, so that it cannot be deep-copied."""

    def __init__(self) -> None:
        self.lock, self.values = threading.Lock(), [torch.zeros(1)]


class Slotted:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: Any = None


SHARED = Cache()


def remember(value: Any) -> None:
    """Called by the forward: its globals count, too."""
    TABLES["a"].append(value)


class Everywhere(nn.Module):
    last: ClassVar[Any] = None
    calls: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scale = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.cache, self.slotted = Cache(), Slotted()
        self.state: dict[str, Any] = {"history": [], "lock": threading.Lock()}
        self.parent = weakref.ref(self)

    def forward(self, x: Tensor) -> Tensor:
        global LAST, COUNT
        y = self.scale(self.conv(x)).relu()
        Everywhere.last = y
        type(self).calls += 1
        LAST, COUNT = y, COUNT + 1
        remember(y)
        BY_KEY["b"].append(y)
        IN_ORDER["c"] = y
        SHARED.values.append(y)
        self.cache.values.append(y.sum())
        self.state["history"].append(y)
        self.slotted.value = y
        self.parent().latest = y
        return y + float(np.random.rand()) * 0 + random.random() * 0


def surroundings() -> list[Any]:
    """All of it, in a form that can be compared."""
    cls = Everywhere
    kept = [cls.last, cls.calls, LAST, COUNT, list(TABLES["a"]), dict(BY_KEY), dict(IN_ORDER), list(SHARED.values)]
    return [repr(kept), repr(np.random.get_state()[1][:3]), random.getstate()]
