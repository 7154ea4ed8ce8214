"""A network of depthwise convolutions as torchvision builds it: whether their rows are to have zero mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .angular import BN, OURS
from .recipe import Recipe
from .settings import BASELINE

_MOBILENET: dict[str, Any] = {"net": "mobilenetv2", "data": "imagenette64", "epochs": 5}


def depthwise() -> Iterator[Recipe]:
    """Yield the recommended recipe with and without the mean of depthwise rows, and batch norm, at one rate."""
    yield Recipe.of(name="mobilenetv2-ours-angular", **_MOBILENET, **OURS, mixing=True)
    yield Recipe.of(name="mobilenetv2-centred-angular", **_MOBILENET, **OURS)
    yield Recipe.of(name="mobilenetv2-bn-angular", **_MOBILENET, **BN)
    yield Recipe.of(name="mobilenetv2-bn", **_MOBILENET, method="bn", **BASELINE)
