"""The recipes of the book, by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from .errors import LabError
from .grid import grid
from .recipe import METHODS, Recipe

# Section 4.1.1: the learning rate and weight decay of ours, and no decay of scale and bias.
_OURS_CNN: dict[str, Any] = {"lr": 0.1, "weight_decay": 1e-3, "decay_scale_bias": False}
_OURS_RESNET: dict[str, Any] = {"lr": 0.2, "weight_decay": 1e-3, "decay_scale_bias": False}
# The paper prints no values for its baselines. These are the usual ones for CIFAR; torch's SGD decays all it holds.
_BASELINE: dict[str, Any] = {"lr": 0.1, "weight_decay": 5e-4, "decay_scale_bias": True}


def _family(prefix: str, suffix: str, ours: dict[str, Any], **common: Any) -> Iterator[Recipe]:
    """Yield one recipe per method."""
    for method in METHODS:
        settings = ours if method == "ours" else _BASELINE
        yield Recipe(name=f"{prefix}-{method}{suffix}", method=method, **{**common, **settings})


def _all() -> Iterator[Recipe]:
    noise = {"sigma": 0.2, "schedule": "constant"}
    # Table 1, CIFAR-10, standard augmentation, CNN. The paper does not print the sigma of this row.
    yield from _family("cnn", "-e200", {**_OURS_CNN, **noise}, net="cnn", width=64, epochs=200)
    small: dict[str, Any] = {"net": "cnn", "width": 16, "epochs": 4}
    yield from _family("cnn16", "-e4", {**_OURS_CNN, **noise}, **small)
    yield Recipe(name="cnn16-ours-nonoise-e4", method="ours", **_OURS_CNN, **small)
    linear = {"sigma": 0.2, "schedule": "linear"}
    yield from _family("resnet20", "-e6", {**_OURS_RESNET, **linear}, net="resnet", depth=20, width=16, epochs=6)
    embedded: dict[str, Any] = {"data": "digits", "augment": "none", "depth": 6, "width": 16, "batch": 64, "epochs": 8}
    yield from _family("digits", "", {**_OURS_CNN, "sigma": 0.1}, **embedded)
    yield from grid()


RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _all()}


def get(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        LabError: there is none; the text offers close ones.

    Example:
        >>> get("cnn-ours-e200").weight_decay
        0.001
    """
    if name in RECIPES:
        return RECIPES[name]
    close = difflib.get_close_matches(name, RECIPES, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else "`list` shows them all"
    raise LabError(f"unknown recipe {name!r}: {hint}")


def select(pattern: str) -> list[Recipe]:
    """Return the recipes of a family (``cnn16``), of a pattern (``cnn16-ws*``) or of one name.

    Raises:
        LabError: nothing matches.

    Example:
        >>> [recipe.name for recipe in select("digits-ws*")]
        ['digits-ws', 'digits-ws+bn', 'digits-ws+gn']
    """
    found = [r for name, r in RECIPES.items() if fnmatchcase(name, pattern) or name.startswith(f"{pattern}-")]
    return found or [get(pattern)]
