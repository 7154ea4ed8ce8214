"""All methods on networks that two CPU cores can train: "small networks, CPU", and the embedded digits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .recipe import METHODS, Recipe
from .settings import BASELINE, CNN_QUARTER, DIGITS, OURS_CNN, OURS_RESNET, RESNET_20


def all_methods() -> Iterator[Recipe]:
    """Yield one recipe per method and network; the quarter-width CNN also has ours without noise."""
    noise = {"sigma": 0.2, "schedule": "constant"}
    yield from _family("cnn16", "-e4", {**OURS_CNN, **noise}, **CNN_QUARTER, epochs=4)
    yield Recipe.of(name="cnn16-ours-nonoise-e4", method="ours", **OURS_CNN, **CNN_QUARTER, epochs=4)
    linear = {"sigma": 0.2, "schedule": "linear"}
    yield from _family("resnet20", "-e6", {**OURS_RESNET, **linear}, **RESNET_20, epochs=6)
    yield from _family("digits", "", {**OURS_CNN, "sigma": 0.1}, depth=6, **DIGITS)


def _family(prefix: str, suffix: str, ours: dict[str, Any], **common: Any) -> Iterator[Recipe]:
    for method in METHODS:
        settings = ours if method == "ours" else BASELINE
        yield Recipe.of(name=f"{prefix}-{method}{suffix}", method=method, **{**common, **settings})
