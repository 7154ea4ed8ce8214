"""The recipes of the book, by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from fnmatch import fnmatchcase

from ..errors import LabError
from . import ablations, angular, paper, small
from .grid import grid
from .recipe import Recipe


def _all() -> Iterator[Recipe]:
    yield from paper.table_1()
    yield from paper.table_2()
    yield from paper.tuning()
    yield from paper.tuned()
    yield from small.all_methods()
    yield from ablations.constraints_and_noise()
    yield from ablations.residuals()
    yield from ablations.batches()
    yield from grid()
    yield from angular.search()
    yield from angular.finals()


def _first_of_each() -> dict[str, Recipe]:
    """Return the recipes by name; what a family shares with an earlier one keeps the earlier name, and runs once."""
    by_hash: dict[str, Recipe] = {}
    for recipe in _all():
        by_hash.setdefault(recipe.sha, recipe)
    return {recipe.name: recipe for recipe in by_hash.values()}


RECIPES: dict[str, Recipe] = _first_of_each()


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
