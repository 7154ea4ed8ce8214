"""Fill the book's tables: the cells that are missing, the most wanted first, until the time is up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import recipes, results
from .data import Dataset
from .lock import BusyError
from .recipe import Recipe
from .results import Result
from .run import FinishedError, Options, cell_folder, run

# Longer schedules take a CPU days.
CPU_EPOCHS = 50


@dataclass(frozen=True)
class Cell:
    """One recipe with one seed."""

    recipe: Recipe
    seed: int


def missing(options: Options, seeds: int, only: str | None = None) -> list[Cell]:
    """Return the cells without a result, in order of priority.

    What was begun comes first. Then family after family as they stand in ``recipes``, and within a family seed
    after seed over all methods: a table cut short has a number for each method rather than three for one.

    Args:
        options: where results and checkpoints are; on a CPU, long recipes are left out unless named.
        seeds: seeds 0 to ``seeds - 1`` are wanted.
        only: family, pattern or name of the recipes.

    Raises:
        LabError: ``only`` matches nothing.
    """
    chosen = recipes.select(only) if only else list(recipes.RECIPES.values())
    if only is None and options.device.type == "cpu":
        chosen = [recipe for recipe in chosen if recipe.epochs <= CPU_EPOCHS]
    families = list(dict.fromkeys(recipe.name.partition("-")[0] for recipe in chosen))
    cells = [
        Cell(recipe, seed)
        for family in families
        for seed in range(seeds)
        for recipe in chosen
        if recipe.name.partition("-")[0] == family
    ]
    wanted = [c for c in cells if not results.path_of(options.out, c.recipe.directory, c.seed).exists()]
    return sorted(wanted, key=lambda cell: not _begun(options.runs, cell))


def fill(
    cells: list[Cell], load: Callable[[str], Dataset], options: Options
) -> Iterator[tuple[Cell, Result | BusyError | None]]:
    """Run cells one after the other; yield each with its result.

    A cell that another process works on is yielded with the ``BusyError``, one that another process finished in
    the meantime is passed over. A cell that the deadline or a signal stopped is yielded with ``None``, and is the last.

    Args:
        cells: what :func:`missing` returned.
        load: maps the kind of a data set to the data set; called once per kind.
        options: where, how and until when.
    """
    loaded: dict[str, Dataset] = {}
    for cell in cells:
        if time.monotonic() > options.deadline:
            return
        kind = cell.recipe.data
        if kind not in loaded:
            loaded[kind] = load(kind)
        try:
            outcome: Result | BusyError | None = run(cell.recipe, cell.seed, loaded[kind], options)
        except FinishedError:
            continue
        except BusyError as error:
            outcome = error
        yield cell, outcome
        if outcome is None:
            return


def _begun(runs: Path, cell: Cell) -> bool:
    return (cell_folder(runs, cell.recipe, cell.seed) / "checkpoint").exists()
