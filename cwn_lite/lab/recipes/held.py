"""What orthogonalizes a direction, held for some steps: what that costs in accuracy."""

from __future__ import annotations

from collections.abc import Iterator

from . import angular, photographs
from .recipe import Recipe

# Recipe that orthogonalizes at each step -> how it is called here, and each how many steps instead.
HELD: dict[str, tuple[str, tuple[int, ...]]] = {
    f"angular-cnn16-ours-lr{angular.RATES[1]:g}": ("cnn16", (2, 4, 8)),
    "imagenette-resnet18-ours-angular": ("imagenette-resnet18", (4,)),
}


def held() -> Iterator[Recipe]:
    """Yield recipes that differ from recommended ones in nothing but the steps that orthogonalize."""
    known = {recipe.name: recipe for recipe in (*angular.finals(), *photographs.table_6())}
    for base, (name, counts) in HELD.items():
        for every in counts:
            yield known[base].but(name=f"held-{name}-every{every}", orthogonalize_every=every)
