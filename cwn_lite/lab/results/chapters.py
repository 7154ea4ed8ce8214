"""Which chapter of the book shows which recipes, with how many seeds, and what it still misses."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from ..recipes import RECIPES, Recipe
from .store import Result

WANTED: dict[str, dict[str, int]] = {
    "stepping": {"search-*": 1, "angular-*": 3, "pulled-*": 3, "held-cnn16-*": 3, "held-*": 1},
    "exploding": {"grid-*": 3, "grid16-*": 3, "grid20-*": 3, "late-*": 3},
    "cifar": {
        "versus-digits*": 10,
        "versus-*": 5,
        "cnn-*": 3,
        "cnn16-*": 3,
        "resnet110-*": 3,
        "resnet20-*": 3,
        "wrn28x10-*": 3,
        "digits-*": 5,
        "tune-*": 3,
        "tuned-*": 5,
    },
    "batches": {"batch-*": 3},
    "ablations": {"ablate-*": 3, "residual-*": 3, "noise-search-*": 1, "noise-*": 5},
    "yourmodel": {"mobilenetv2-*": 3, "shipped-*": 3},
    "otherdata": {"points-search-*": 1, "points-*": 5, "modelnet40-*": 3, "imagenette-*": 3, "imagenet-*": 3},
}
"""Chapter -> pattern of recipes -> seeds; of several patterns that match a recipe, the first one counts."""


def wanted(recipe: Recipe) -> tuple[str, int]:
    """Return the chapter that shows a recipe, and how many seeds it wants.

    Raises:
        KeyError: no chapter does.

    Example:
        >>> from cwn_lite.lab.recipes import get
        >>> wanted(get("points-bn"))
        ('otherdata', 5)
    """
    for chapter, patterns in WANTED.items():
        for pattern, seeds in patterns.items():
            if fnmatchcase(recipe.name, pattern):
                return chapter, seeds
    raise KeyError(recipe.name)


def progress(found: Iterable[Result]) -> str:
    """Return one line per chapter: how many of its cells (recipe and seed) have a result, and which comes next."""
    have: dict[str, set[int]] = {}
    for result in found:
        have.setdefault(result.recipe_sha, set()).add(result.seed)
    done, missing = dict.fromkeys(WANTED, 0), {chapter: list[str]() for chapter in WANTED}
    for recipe in RECIPES.values():
        chapter, seeds = wanted(recipe)
        for seed in range(seeds):
            if seed in have.get(recipe.sha, ()):
                done[chapter] += 1
            else:
                missing[chapter].append(f"{recipe.name} seed {seed}")
    width = max(map(len, WANTED))
    return "\n".join(
        f"{chapter:{width}}  {done[chapter]} of {done[chapter] + len(left)} cells"
        + (f"; the first that is missing: {left[0]}" if left else "")
        for chapter, left in missing.items()
    )
