"""From results to numbers with error bars, beside the paper's."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from ..errors import LabError
from ..recipes import METHODS
from ..recipes.paper import cells_of_table_1
from ..recipes.recipe import recipe_sha
from .stats import paired_difference, summary
from .store import Result

PAPER = files("cwn_lite.lab.results") / "paper"
"""The paper's tables, part of the package, installed or not; the README there says what each file holds."""

# Hash of a recipe -> its place in the paper's Table 1.
_TABLE_1 = {recipe.sha: place for place, recipe in cells_of_table_1().items()}
TITLES = {
    "ours": "CWO",
    "bn": "BN",
    "gn": "GN",
    "ws": "WS",
    "ws+bn": "WS+BN",
    "ws+gn": "WS+GN",
    "plain": "Plain",
    "wn": "WN",
    "cwn": "CWN",
}


@dataclass(frozen=True)
class Row:
    """All seeds of one recipe on one data set.

    Attributes:
        recipe: name of the recipe.
        method: one of ``METHODS``.
        data: display name of the data set, and the arithmetics of the seeds if they are several.
        seeds: seeds that ended well.
        errors: their test errors in per cent after the last epoch, in the order of ``seeds``.
        diverged: number of seeds that diverged.
        failed: number of seeds that failed.
        paper: the paper's number for this very setting, or ``None``.
    """

    recipe: str
    method: str
    data: str
    seeds: tuple[int, ...]
    errors: tuple[float, ...]
    diverged: int
    failed: int
    paper: float | None

    @property
    def n(self) -> int:
        """Number of seeds behind the mean."""
        return len(self.errors)

    @property
    def mean(self) -> float | None:
        """Mean test error, ``None`` where no seed ended well."""
        return summary(self.errors).mean if self.errors else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation over seeds, ``None`` below two."""
        return summary(self.errors).std if self.n > 1 else None


def rows(results: Iterable[Result], paper: dict[str, Any] | None = None) -> list[Row]:
    """Return one row per recipe, methods in the order of ``METHODS``.

    Args:
        results: what :func:`cwn_lite.lab.results.load` returned.
        paper: content of the paper's Table 1; ``None`` takes what the package has of it.

    Raises:
        LabError: results of one recipe name differ in recipe hash or in data: they are not seeds of one thing.
    """
    paper = paper_table() if paper is None else paper
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups[result.name].append(result)
    return sorted((_row(name, group, paper) for name, group in groups.items()), key=_order)


def table(results: Iterable[Result], paper: dict[str, Any] | None = None) -> str:
    """Return a Markdown table: n, mean ± standard deviation of the test error, the paper's number.

    Args:
        results: as for :func:`rows`.
        paper: as for :func:`rows`.

    Raises:
        LabError: as :func:`rows`.

    Example:
        >>> print(table([]))
        | method | recipe | data | n | test error (%) | diverged | paper (%) |
        | --- | --- | --- | ---: | ---: | ---: | ---: |
    """
    lines = [
        "| method | recipe | data | n | test error (%) | diverged | paper (%) |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows(results, paper):
        stopped = str(row.diverged) + (f" (and {row.failed} failed)" if row.failed else "")
        printed = "–" if row.paper is None else f"{row.paper:.2f}"
        cells = (TITLES[row.method], row.recipe, row.data, str(row.n), error_text(row), stopped, printed)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def error_text(row: Row) -> str:
    """Return the test error of a row as ``mean ± std``, ``mean`` for one seed, a dash for none."""
    if row.mean is None:
        return "–"
    return f"{row.mean:.2f}" if row.std is None else f"{row.mean:.2f} ± {row.std:.2f}"


def paper_table(name: str = "table1") -> dict[str, Any]:
    """Return a table of the paper as data, or its ``settings``.

    Args:
        name: of a file in `PAPER`, without ``.json``.

    Raises:
        LabError: there is no such file, or it is damaged.

    Example:
        >>> paper_table("table1")["cifar10"]["standard"]["cnn"]["bn"]
        5.36
    """
    file = PAPER / f"{name}.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise LabError(f"{file}: no such file; it is part of the package, install that again") from error
    except (ValueError, RecursionError) as error:
        raise LabError(f"{file}: not the paper's table ({error}); restore it") from error
    if not isinstance(content, dict):
        raise LabError(f"{file}: not the paper's table; restore it")
    return content


def paper_error(recipe: dict[str, Any], paper: dict[str, Any]) -> float | None:
    """Return the number in Table 1 for a recipe that trains what the table reports, else ``None``."""
    number: Any = paper
    for key in _TABLE_1.get(recipe_sha(recipe), ("no such cell",)):
        number = number.get(key, {})
    return float(number) if number else None


def errors(runs: Iterable[Result]) -> dict[int, float]:
    """Return seed -> test error in per cent of the runs that ended well."""
    return {run.seed: run.test_error for run in runs if run.status == "done"}


def cell(runs: Sequence[Result]) -> str:
    """Return what a table says of all seeds of one recipe: ``mean ± std (n)``, how many diverged or failed.

    Of seeds in different arithmetic it says in which.

    Example:
        >>> cell([])
        'not run yet'
    """
    if not runs:
        return "not run yet"
    check_one_kind(runs)
    well = list(errors(runs).values())
    parts = []
    if well:
        found = summary(well)
        parts.append(f"{found.mean:.2f} ± {found.std:.2f} ({found.n})" if found.n > 1 else f"{found.mean:.2f} (1)")
    for status in ("diverged", "failed"):
        count = sum(run.status == status for run in runs)
        if count:
            parts.append(f"{count} of {len(runs)} {status}")
    return ", ".join(filter(None, [*parts, precisions(runs)]))


def difference(a: Sequence[Result], b: Sequence[Result], level: float = 0.95) -> str:
    """Return ``a − b`` in points of test error with its interval, paired by seed; empty below two common seeds.

    Args:
        a: runs of one recipe.
        b: runs of another one.
        level: coverage of the interval.
    """
    check_one_kind([*a, *b])
    mine, theirs = errors(a), errors(b)
    if len(mine.keys() & theirs.keys()) < 2:
        return ""
    found = paired_difference(mine, theirs, level)
    return f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]".replace("-", "−")


def check_one_kind(runs: Sequence[Result]) -> None:
    """Refuse runs on different data, and runs that were computed otherwise by more than rounding.

    A seed is a block: with another seed all runs may be of another precision, since differences are taken within it.

    Raises:
        LabError: two data sets; float32 and bfloat16 at one seed, or one recipe in a precision that another was not
            run in; batch norm over whole batches and over parts of them.
    """
    _check_same("data sets", runs, lambda run: f"{run.data['name']} ({run.data['sha256'][:8]})")
    for seed in {run.seed for run in runs}:
        _check_same("precisions at a seed", [run for run in runs if run.seed == seed], precision_of)
    by_recipe = {sha: [run for run in runs if run.recipe_sha == sha] for sha in {run.recipe_sha for run in runs}}
    if len({precisions(own, among=1) for own in by_recipe.values()}) > 1:
        _check_same("precisions", runs, precision_of)
    # With several processes each takes its batch statistics over its own part of the batch.
    batched = [run for run in runs if run.method in ("bn", "ws+bn")]
    _check_same("numbers of processes under batch norm", batched, lambda run: run.env.get("processes", 1))


def _check_same(what: str, runs: Sequence[Result], of: Callable[[Result], object]) -> None:
    found = {of(run) for run in runs}
    if len(found) > 1:
        names = ", ".join(sorted({run.name for run in runs}))
        raise LabError(f"{names}: results of {len(found)} {what} ({', '.join(sorted(map(str, found)))}) do not mix")


def precision_of(run: Result) -> str:
    """Return the arithmetic of a run, such as ``bfloat16 autocast``."""
    return str(run.env.get("precision"))


def precisions(runs: Iterable[Result], among: int = 2) -> str:
    """Return in words the arithmetics of runs, or nothing of fewer than ``among``."""
    found = sorted({precision_of(run).removesuffix(" autocast") for run in runs})
    return " and ".join(found) if len(found) >= among else ""


def _row(name: str, group: list[Result], paper: dict[str, Any]) -> Row:
    _check_same("recipe hashes", group, lambda run: run.recipe_sha[:8])
    check_one_kind(group)
    well = [result for result in group if result.status == "done"]
    return Row(
        name,
        group[0].method,
        ", ".join(filter(None, [group[0].data["name"], precisions(group)])),
        tuple(result.seed for result in well),
        tuple(result.test_error for result in well),
        sum(result.status == "diverged" for result in group),
        sum(result.status == "failed" for result in group),
        paper_error(group[0].recipe, paper),
    )


def _order(row: Row) -> tuple[str, int, str]:
    return row.recipe.partition("-")[0], list(METHODS).index(row.method), row.recipe
