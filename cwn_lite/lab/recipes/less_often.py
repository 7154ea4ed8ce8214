"""The dear parts of an orthogonalized step, done in each so many steps only: what that costs in accuracy."""

from __future__ import annotations

from collections.abc import Iterator

from . import angular
from .recipe import Recipe

PULL_EVERY = 8
"""In each how many steps the pull is taken, where that is not what is asked."""

_CNN = f"angular-cnn16-ours-lr{angular.RATES[1]:g}"
# Recipe that pulls at each step -> how it is called here, and each how many steps instead.
PULLED: dict[str, tuple[str, tuple[int, ...]]] = {
    _CNN: ("cnn16", (PULL_EVERY,)),
    f"angular-resnet20-ours-lr{angular.RATES[1]:g}": ("resnet20", (PULL_EVERY,)),
    f"angular-resnet18-ours-lr{angular.RATES[1]:g}": ("resnet18", (4, PULL_EVERY)),
}
# Recipe that orthogonalizes at each step -> likewise.
HELD: dict[str, tuple[str, tuple[int, ...]]] = {
    _CNN: ("cnn16", (2, 4, 8)),
}


def less_often() -> Iterator[Recipe]:
    """Yield recipes that differ from recommended ones in nothing but how often a step pulls, or orthogonalizes."""
    known = {recipe.name: recipe for recipe in angular.finals()}
    for base, (name, counts) in PULLED.items():
        for every in counts:
            yield known[base].but(name=f"pulled-{name}-every{every}", coherence_decay_every=every)
    for base, (name, counts) in HELD.items():
        for every in counts:
            pull = {"coherence_decay_every": PULL_EVERY}
            yield known[base].but(name=f"held-{name}-every{every}", orthogonalize_every=every, **pull)
