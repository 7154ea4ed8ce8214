"""A training step of each recipe of README's table over that of the plain network: `python -m benchmarks.recipe_step`.

A step is forward, loss, backward, the optimizer's step and, for CWO, the projection, as the lab takes it. "plain" is
the same network with a bias behind each convolution and SGD.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from benchmarks import timing
from benchmarks.networks import one_step
from cwn_lite.lab.data.dataset import SHAPES
from cwn_lite.lab.nets.methods import build
from cwn_lite.lab.recipes import Recipe, get
from cwn_lite.lab.recipes.parts import Images
from cwn_lite.lab.results.finals import SUMMARY, SUMMARY_NETWORKS, summary_recipe

REFERENCE = "plain"


def recipe_of(network: str, row: str) -> Recipe:
    """Return the recipe of a row, and for ``plain`` batch norm's with SGD, without batch norm.

    Args:
        network: a key of ``SUMMARY_NETWORKS``.
        row: a key of ``SUMMARY`` or ``plain``.
    """
    if row == REFERENCE:
        return get(summary_recipe(network, "batch norm, SGD")).but(method="plain")
    return get(summary_recipe(network, row))


def step(recipe: Recipe, batch: int, device: torch.device) -> Callable[[], None]:
    """Return a training step on random images, bfloat16 autocast on CUDA and float32 on a CPU.

    Args:
        recipe: of images.
        batch: images per step.
        device: where to.
    """
    model, optimizer, _ = build(recipe, 0, device)
    for group in optimizer.param_groups:
        group["lr"] = 0.0  # every operation runs, and weights stay: arithmetic on infinities has a speed of its own
    assert isinstance(recipe.data, Images)
    shape = SHAPES[recipe.data.kind]
    x = torch.randn(batch, shape.channels, shape.side, shape.side, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    y = torch.randint(shape.classes, (batch,), device=device)

    return one_step(model, optimizer, x, y)


def main() -> None:
    """Time the steps and print, and with ``--out`` write, what came out."""
    parser = timing.parser(__doc__, rounds=5)
    parser.add_argument("--networks", nargs="+", choices=list(SUMMARY_NETWORKS), default=list(SUMMARY_NETWORKS))
    parser.add_argument("--batch", type=int, default=128)
    given = parser.parse_args()

    def candidates(network: str, device: torch.device) -> dict[str, timing.Candidate]:
        rows = (REFERENCE, *SUMMARY)
        return {row: partial(step, recipe_of(network, row), given.batch, device) for row in rows}

    timing.measure("recipe_step", given, given.networks, candidates, REFERENCE)


if __name__ == "__main__":
    main()
