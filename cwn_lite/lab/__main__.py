"""The command line: ``python -m cwn_lite.lab list|run|fill|table``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from . import data, recipes, results
from .errors import LabError
from .run import Options, default_runs, pick_device, run


def main(argv: list[str] | None = None) -> int:
    """Run one verb; return the exit status: 0, or 2 with one line on stderr for a mistake."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.verb(arguments))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
    return 2


def _run(arguments: argparse.Namespace) -> int:
    recipe = recipes.get(arguments.recipe)
    options = _options(arguments)
    path = results.path_of(options.out, recipe.directory, arguments.seed)
    if path.exists():
        print(f"finished before: {_outcome(results.read(path))} -> {path}")
        return 0
    dataset = data.load(recipe.data, arguments.data)
    result = run(recipe, arguments.seed, dataset, options)
    if result is None:
        print(f"{recipe.name} seed {arguments.seed} stopped; the same command goes on from its checkpoint")
        return 130
    print(f"{_outcome(result)} -> {path}")
    return 0


def _outcome(result: results.Result) -> str:
    head = f"{result.name} seed {result.seed}, {result.data['name']}"
    if result.reason:
        return f"{head}: {result.status} in epoch {result.reason['epoch']}, {result.reason['reason']}"
    return f"{head}: test error {result.test_error:.2f} % after {len(result.curve)} epochs"


def _options(arguments: argparse.Namespace) -> Options:
    if arguments.threads is not None:
        if arguments.threads < 1:
            raise LabError(f"--threads {arguments.threads}: at least 1")
        torch.set_num_threads(arguments.threads)
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
    one = verbs.add_parser("run", help="train one recipe with one seed, or go on where it stopped")
    one.add_argument("recipe")
    one.add_argument("--seed", type=int, default=0)
    _training(one)
    one.set_defaults(verb=_run)
    return parser


def _training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, help="archive, extracted archive or image folder")
    parser.add_argument("--out", type=Path, default=results.default_root(), help="folder of results")
    parser.add_argument("--runs", type=Path, default=default_runs(), help="folder of checkpoints")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, help="CPU threads; the count changes the last digits")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--checkpoint-minutes", type=float, default=5.0, help="between checkpoints within an epoch")


if __name__ == "__main__":
    sys.exit(main())
