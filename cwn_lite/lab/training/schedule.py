"""The learning rate of each step."""

from __future__ import annotations

import math

from ..recipes import Recipe


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Return a cosine from ``recipe.lr`` to 0, after a linear warm-up where the recipe has one.

    Args:
        recipe: its ``lr``, ``epochs`` and ``warmup_epochs``.
        step: number of the step, from 0.
        steps_per_epoch: steps of one epoch.

    Example:
        >>> recipe = Recipe(name="a", method="bn", epochs=3, warmup_epochs=1)
        >>> [round(learning_rate(recipe, step, 2), 3) for step in range(6)]
        [0.05, 0.1, 0.1, 0.085, 0.05, 0.015]

    Reference: Loshchilov and Hutter, SGDR, ICLR 2017; Ikami et al., WACV 2021, section 4.1.1.
    """
    warmup, total = recipe.warmup_epochs * steps_per_epoch, recipe.epochs * steps_per_epoch
    if step < warmup:
        return recipe.lr * (step + 1) / warmup
    return recipe.lr * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
