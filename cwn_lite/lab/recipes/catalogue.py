"""The recipes of the book, by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from fnmatch import fnmatchcase

from ..errors import LabError
from . import (
    ablations,
    angular,
    depthwise,
    less_often,
    noise,
    paper,
    photographs,
    points,
    shipped,
    slopes,
    small,
    versus,
)
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
    yield from ablations.decays()
    yield from angular.search()
    yield from angular.search_with_sgd()
    yield from angular.finals()
    yield from depthwise.depthwise()
    yield from depthwise.search()
    yield from shipped.shipped()
    yield from versus.versus()
    yield from noise.search()
    yield from noise.finals()
    yield from slopes.slopes()
    yield from points.table_5()
    yield from points.search()
    yield from photographs.table_6()
    yield from less_often.less_often()


def _by_every_name() -> dict[str, Recipe]:
    """Return name -> recipe; what a family shares with an earlier one runs once, under the earlier name."""
    by_hash: dict[str, Recipe] = {}
    return {recipe.name: by_hash.setdefault(recipe.sha, recipe) for recipe in _all()}


_NAMES: dict[str, Recipe] = _by_every_name()
RECIPES: dict[str, Recipe] = {name: recipe for name, recipe in _NAMES.items() if name == recipe.name}


def get(name: str) -> Recipe:
    """Return the recipe of that name; one that two families share has the name of the first.

    Raises:
        LabError: there is none; the text offers close ones.

    Example:
        >>> get("cnn-ours-e200").training.weight_decay
        0.001
    """
    if name in RECIPES:
        return RECIPES[name]
    if name in _NAMES:
        return _NAMES[name]
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
    found = {
        recipe.name: recipe
        for name, recipe in (_NAMES | RECIPES).items()
        if fnmatchcase(name, pattern) or name.startswith(f"{pattern}-")
    }
    return list(found.values()) or [get(pattern)]
