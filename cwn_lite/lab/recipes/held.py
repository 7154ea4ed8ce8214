"""Directions that are held for some steps: whether orthogonalizing at each of them is needed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from .angular import COMPARED, FINALS, RATES, SCREENS
from .recipe import Recipe

EVERY = (4, 8)
# The recommended rate and three times it, where what is wrong with steps shows first.
_RATES = RATES[1:]
_SCREENS = ("digits", "digits32", "cnn16", "resnet20-half")
# With the test set.
_FINALS = ("cnn16", "resnet18")


def search() -> Iterator[Recipe]:
    """Yield recipes that differ from those of the search by angle in nothing but the steps that orthogonalize."""
    for screen, lr, every, method in product(_SCREENS, _RATES, EVERY, COMPARED):
        fields = {**SCREENS[screen], **COMPARED[method], "lr": lr, "orthogonalize_every": every}
        yield Recipe.of(name=f"held-{screen}-{method}-lr{lr:g}-every{every}", **fields)


def finals() -> Iterator[Recipe]:
    """Yield the recommended recipe on test images, at the recommended rate."""
    for name, every, method in product(_FINALS, EVERY, COMPARED):
        fields = {**FINALS[name], **COMPARED[method], "orthogonalize_every": every}
        yield Recipe.of(name=f"held-final-{name}-{method}-every{every}", **fields)
