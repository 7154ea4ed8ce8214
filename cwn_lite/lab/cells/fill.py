"""Fill the book's tables: the cells that are missing, the most wanted first, until the time is up."""

from __future__ import annotations

import math
import statistics
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from .. import recipes, results
from ..data import Clouds, Dataset, Photographs
from ..disk.lock import BusyError
from ..errors import LabError
from ..recipes import Recipe
from ..results import Result
from .cell import FinishedError, Options, cell_folder, run
from .priority import order


@dataclass(frozen=True)
class Cell:
    """One recipe with one seed."""

    recipe: Recipe
    seed: int


class Forecast:
    """How long cells will take: as long as other seeds of the recipe did, else as the mean of those trained here.

    Recorded times are of other machines, or of other days on this one: they are multiplied by how much longer the
    cells trained here took than the records had said.

    Args:
        recorded: earlier results.

    Example:
        >>> Forecast([]).seconds([]), Forecast.words(4000)
        (0.0, '1 h 7 min')
    """

    def __init__(self, recorded: Iterable[Result]) -> None:
        self._walls: dict[str, list[float]] = defaultdict(list)
        self._here: dict[str, list[float]] = defaultdict(list)
        self._taken, self._expected = 0.0, 0.0
        for result in recorded:
            self._walls[_directory(result)].append(result.wall_s)

    def add(self, result: Result) -> None:
        """Take in a result that was made now."""
        known = self._walls.get(_directory(result))
        if known and result.status == "done":  # one that diverged early says nothing of the pace
            self._taken += result.wall_s
            self._expected += statistics.fmean(known)
        self._here[_directory(result)].append(result.wall_s)

    def seconds(self, cells: Sequence[Cell]) -> float | None:
        """Return the seconds that ``cells`` will take one after the other, ``None`` where nothing tells."""
        pace = self._taken / self._expected if self._expected else 1.0
        trained = [wall for walls in self._here.values() for wall in walls]
        total = 0.0
        for cell in cells:
            if own := self._here.get(cell.recipe.directory):
                total += statistics.fmean(own)
            elif known := self._walls.get(cell.recipe.directory):
                total += pace * statistics.fmean(known)
            elif trained:
                total += statistics.fmean(trained)
            else:
                return None
        return total

    @staticmethod
    def words(seconds: float | None) -> str:
        """Return a time for reading."""
        if seconds is None:
            return "an unknown time"
        minutes = math.ceil(seconds / 60)
        return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def missing(options: Options, seeds: int, only: str | None = None) -> list[Cell]:
    """Return the cells without a result, in order of priority.

    What was begun comes first. Then group after group as in :mod:`cwn_lite.lab.priority`, and within a group seed
    after seed over all methods: a table cut short has a number for each method rather than three for one.

    Args:
        options: where results and checkpoints are; each kind of device has recipes of its own.
        seeds: seeds 0 to ``seeds - 1`` are wanted.
        only: family, pattern or name of the recipes; these are wanted on any device.

    Raises:
        LabError: ``only`` matches nothing.
    """
    chosen = recipes.select(only) if only is not None else list(recipes.RECIPES.values())
    groups = order(chosen, options.device.type, named=only is not None)
    cells = [Cell(recipe, seed) for group in groups for seed in range(seeds) for recipe in group]
    wanted = [c for c in cells if not results.is_taken(options.out, c.recipe.directory, c.seed)]
    return sorted(wanted, key=lambda cell: not _begun(options.runs, cell))


def fill(
    cells: list[Cell], load: Callable[[str], Dataset | Photographs | Clouds], options: Options
) -> Iterator[tuple[Cell, Result | LabError | None]]:
    """Run cells one after the other; yield each with its result.

    A cell that another process works on is tried again at the end, and then yielded with the ``BusyError``; one that
    another process finished in the meantime is passed over. A cell that cannot be run, because of its checkpoint or
    of the memory for instance, is yielded with that error. So is the first whose data set cannot be loaded, and the
    others of this data set are passed over. A cell that the deadline or a signal stopped is yielded with ``None``,
    and is the last.

    Args:
        cells: what :func:`missing` returned.
        load: maps the kind of a data set to the data set; called once per kind.
        options: where, how and until when.
    """
    loaded: dict[str, Dataset | Photographs | Clouds | None] = {}
    queue, busy = deque(cells), set[Cell]()
    while queue:
        cell = queue.popleft()
        if time.monotonic() > options.deadline:
            return
        kind = cell.recipe.data.kind
        if kind not in loaded:
            try:
                loaded[kind] = load(kind)
            except LabError as error:
                loaded[kind] = None
                yield cell, LabError(f"{error}; going on without {kind}")
        data = loaded[kind]
        if data is None:
            continue
        try:
            outcome: Result | LabError | None = run(cell.recipe, cell.seed, data, options)
        except FinishedError:
            continue
        except BusyError as error:
            if cell not in busy:
                busy.add(cell)
                queue.append(cell)
                continue
            outcome = error
        except LabError as error:
            # A new error, without the traceback: its frames hold the network, and with it a GPU's memory.
            outcome = LabError(str(error))
        if isinstance(outcome, LabError) and options.device.type == "cuda":
            torch.cuda.empty_cache()
        yield cell, outcome
        if outcome is None:
            return


def _directory(result: Result) -> str:
    return f"{result.name}-{result.recipe_sha[:8]}"


def _begun(runs: Path, cell: Cell) -> bool:
    return (cell_folder(runs, cell.recipe, cell.seed) / "checkpoint").exists()
