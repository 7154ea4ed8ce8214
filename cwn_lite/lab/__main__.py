"""The command line: ``python -m cwn_lite.lab list|run|fill|table``."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch

from . import data, listing, recipes, results
from .data import Dataset
from .errors import LabError
from .fill import fill, missing
from .run import FinishedError, Options, default_runs, pick_device, run
from .tables import table


def main(argv: list[str] | None = None) -> int:
    """Run one verb; return the exit status: 0, or 2 with one line on stderr for a mistake."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.verb(arguments))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return 130
    return 2


def _list(arguments: argparse.Namespace) -> int:
    print(listing.overview(results.load(arguments.out), arguments.runs, arguments.recipes))
    return 0


def _table(arguments: argparse.Namespace) -> int:
    chosen = {recipe.name for recipe in recipes.select(arguments.name)}
    found = [result for result in results.load(arguments.out) if result.name in chosen]
    if not found:
        raise LabError(f"no results of {arguments.name} in {arguments.out}; `run` or `fill` makes them")
    print(table(found))
    return 0


def _run(arguments: argparse.Namespace) -> int:
    recipe = recipes.get(arguments.recipe)
    if arguments.seed < 0:
        raise LabError(f"--seed {arguments.seed}: at least 0")
    options = _options(arguments)
    path = results.path_of(options.out, recipe.directory, arguments.seed)
    if path.exists():
        return _tell_finished(path)
    try:
        result = run(recipe, arguments.seed, data.load(recipe.data, arguments.data), options)
    except FinishedError:  # by another process, while this one loaded the data
        return _tell_finished(path)
    if result is None:
        print(f"{recipe.name} seed {arguments.seed} stopped; the same command goes on from its checkpoint")
        return 130
    if result.status == "failed":
        raise LabError(f"{listing.outcome(result)}; recorded in {path}")
    print(f"{listing.outcome(result)} -> {path}")
    return 0


def _tell_finished(path: Path) -> int:
    before = results.read(path)
    if before.status == "failed":
        raise LabError(f"{listing.outcome(before)}; move {path} away to try again")
    print(f"finished before: {listing.outcome(before)} -> {path}")
    return 0


def _fill(arguments: argparse.Namespace) -> int:
    if not arguments.minutes > 0 or arguments.seeds < 1:
        raise LabError(f"--minutes {arguments.minutes} --seeds {arguments.seeds}: both must be positive")
    options = replace(_options(arguments), deadline=time.monotonic() + 60 * arguments.minutes)
    cells = missing(options, arguments.seeds, arguments.only)
    if arguments.data is None and any(cell.recipe.data != "digits" for cell in cells):
        print("without --data only the recipes on embedded digits can run", file=sys.stderr)
        cells = [cell for cell in cells if cell.recipe.data == "digits"]
    counts: Counter[str] = Counter()

    def load(kind: str) -> Dataset:
        return data.load(kind, arguments.data)

    for cell, outcome in fill(cells, load, options):
        if isinstance(outcome, LabError):
            counts["busy"] += 1
            print(f"{cell.recipe.name} seed {cell.seed}: {outcome}")
        elif outcome is None:
            counts["begun"] += 1
            print(f"{cell.recipe.name} seed {cell.seed} stopped; the next fill goes on from its checkpoint")
        else:
            counts[outcome.status] += 1
            print(listing.outcome(outcome))
    left = len(missing(options, arguments.seeds, arguments.only))
    print(", ".join([*(f"{number} {what}" for what, number in counts.items()), f"{left} cells left"]))
    stopped_early = counts["begun"] and time.monotonic() < options.deadline
    return 130 if stopped_early else 0


def _options(arguments: argparse.Namespace) -> Options:
    if arguments.threads is not None:
        if arguments.threads < 1:
            raise LabError(f"--threads {arguments.threads}: at least 1")
        torch.set_num_threads(arguments.threads)
    if not arguments.checkpoint_minutes >= 0:
        raise LabError(f"--checkpoint-minutes {arguments.checkpoint_minutes}: at least 0")
    return Options(
        out=arguments.out,
        runs=arguments.runs,
        device=pick_device(arguments.device),
        quiet=arguments.quiet,
        checkpoint_s=60 * arguments.checkpoint_minutes,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cwn_lite.lab", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    every = verbs.add_parser("list", help="recipes, and which seeds have results")
    every.add_argument("recipes", nargs="?", default="*", help="family, pattern or name; all without it")
    _folders(every)
    every.set_defaults(verb=_list)
    one = verbs.add_parser("run", help="train one recipe with one seed, or go on where it stopped")
    one.add_argument("recipe")
    one.add_argument("--seed", type=int, default=0)
    _training(one)
    one.set_defaults(verb=_run)
    many = verbs.add_parser("fill", help="train what is missing, the most wanted first, until the time is up")
    many.add_argument("--minutes", type=float, required=True, help="stop with a checkpoint after this time")
    many.add_argument("--seeds", type=int, default=3, help="seeds per recipe (3)")
    many.add_argument("--only", metavar="PATTERN", help="family, pattern or name of the recipes")
    _training(many)
    many.set_defaults(verb=_fill)
    rows = verbs.add_parser("table", help="n, mean ± std of the test error beside the paper's numbers")
    rows.add_argument("name", help="family, pattern or name of the recipes, for instance cnn16")
    _folders(rows)
    rows.set_defaults(verb=_table)
    return parser


def _folders(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=results.default_root(), help="folder of results")
    parser.add_argument("--runs", type=Path, default=default_runs(), help="folder of checkpoints")


def _training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, help="archive, extracted archive or image folder")
    _folders(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, help="CPU threads; the count changes the last digits")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--checkpoint-minutes", type=float, default=5.0, help="between checkpoints within an epoch")


if __name__ == "__main__":
    sys.exit(main())
