"""What a reader needs first: the order in which ``fill`` takes recipes."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from ..recipes import Recipe
from ..recipes.paper import FIVE

# Each entry is one table or part of one; within it all methods get a first seed before any gets a second. A short
# schedule comes before the full one, which a short lease would not finish; the two have names and rows of their own.
_SMALL_CNN_FIVE = tuple(f"cnn-{method}-e30" for method in FIVE)
_CNN_FIVE = tuple(f"cnn-{method}-e200" for method in FIVE)
GPU: tuple[tuple[str, ...], ...] = (
    ("cnn-bn-e30", "cnn-ours-e30", "angular-cnn-bn-lr0.015", "angular-cnn-ours-lr0.015"),
    _SMALL_CNN_FIVE,
    ("angular-cnn-*",),
    _CNN_FIVE,
    ("cnn-*-e30", "cnn-*-e200"),
    ("ablate-cnn-*",),
    ("residual-cifar-*",),
    ("tune-cnn-*",),
    ("mobilenetv2-*", "shipped-*"),
    ("resnet110-*-e30",),
    ("resnet110-*-e200",),
    ("batch-cnn-*",),
    ("wrn28x10-*-e30",),
    ("wrn28x10-*-e200",),
    ("batch-wrn28x10-*",),
    ("ablate-wrn28x10-*",),
    ("modelnet40-*",),
    ("imagenet-resnet50-*",),
)
CPU: tuple[tuple[str, ...], ...] = (
    (
        "digits-*",
        "ablate-digits-*",
        "batch-digits-*",
        "residual-digits-*",
        "tune-digits-*",
        "tuned-digits-*",
        "grid-*",
        "late-*",
    ),
    ("cnn16-*",),
    ("ablate-cnn16-*",),
    ("batch-cnn16-*",),
    ("grid16-*",),
    ("grid20-*",),
    ("resnet20-*",),
    ("points-*",),
    ("imagenette-*",),
    ("angular-cnn16-*", "angular-resnet*", "pulled-*", "held-*"),
    ("versus-*",),
    ("search-*",),
    ("noise-*",),
)


def order(recipes: Iterable[Recipe], device: str, *, named: bool) -> list[list[Recipe]]:
    """Return recipes in groups, the most wanted group first.

    Args:
        recipes: what to choose from.
        device: ``cpu`` or ``cuda``. Results in float32 on a CPU and in bfloat16 on a GPU should not share a row, so
            each device has recipes of its own.
        named: whether somebody asked for these very recipes; then those of the other device follow, none is left out.
    """
    tables = (CPU, GPU) if device == "cpu" else (GPU, CPU)
    left = list(recipes)
    groups: list[list[Recipe]] = []
    for patterns in [*tables[0], *(tables[1] if named else ())]:
        groups.append([r for r in left if any(fnmatchcase(r.name, pattern) for pattern in patterns)])
        left = [r for r in left if r not in groups[-1]]
    return [group for group in [*groups, left if named else []] if group]
