"""The command line: ``python -m cwn_lite.lab list|run|fill|table``."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import sys
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import torch

from . import data, recipes, results
from .cells import Options, run
from .cells.cell import FinishedError, default_runs, pick_device
from .cells.fill import Cell, Forecast, fill, missing
from .cells.profiling import profile
from .cells.together import together
from .data import Clouds, Dataset, Photographs
from .data.dataset import SHAPES
from .data.kinds import EMBEDDED
from .disk.lock import BusyError
from .disk.paths import check_folder, expand
from .errors import LabError
from .recipes.parts import Images
from .recipes.recipe import DATA
from .results import chapters, listing
from .results.deviations import deviations
from .results.tables import table
from .training.photographs import usual_workers
from .training.world import ToldError, follows, joined, processes


def main(argv: list[str] | None = None) -> int:
    """Run one verb; return the exit status: 0, or 2 with one line on stderr for a mistake."""
    # A daemon may have closed them; what is said is then lost, and nothing else.
    # What takes their place stays open as long as Python runs, without a `with`.
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):  # σ and γ, also where a pipe is of another opinion
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    given = sys.argv[1:] if argv is None else argv
    try:
        arguments = _parser().parse_args(given, argparse.Namespace(given=given))
        status = int(arguments.verb(arguments))
        sys.stdout.flush()  # here, where a full disk still ends in a word
        return status
    except ToldError:  # what the leader said once is enough
        pass
    except LabError as error:
        _complain(str(error))
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        _complain(f"{package} is not installed, and this needs it: pip install 'cwn_lite[lab]' brings it")
    except BrokenPipeError:  # the reader, `head` for instance, has enough
        _silence()
        return 128 + 13
    except OSError as error:
        # Whatever the lab reads and writes is named; what is full without a name is where the output goes.
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
        where = error.filename or ("standard output" if full else None)
        _complain(": ".join(str(part) for part in (where, error.strerror or error) if part))
        _silence()
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return 130
    if follows():
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(10)  # torchrun stops all once one has ended, the leader with what it has to say included
    return 2


def _complain(text: str) -> None:
    """Print an error as one line, whatever is in the names that it quotes."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    print(f"error in process {os.environ['RANK']}: {line}" if follows() else f"error: {line}", file=sys.stderr)


def _silence() -> None:
    """Drop what standard output still holds: writing it again when Python ends would fail again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _list(arguments: argparse.Namespace) -> int:
    check_folder(arguments.runs, "--runs")
    found = results.load(arguments.out)
    overview = listing.overview(found, arguments.runs, arguments.recipes)
    if not found:
        print(f"no results in {arguments.out}", file=sys.stderr)
    print(overview)
    if arguments.recipes == "*":
        print("", "What the chapters of the book have and miss:", chapters.progress(found), sep="\n")
    return 0


def _table(arguments: argparse.Namespace) -> int:
    chosen = {recipe.name for recipe in recipes.select(arguments.name)}
    found = [result for result in results.load(arguments.out) if result.name in chosen]
    if not found:
        raise LabError(f"no results of {arguments.name} in {arguments.out}; `run` or `fill` makes them")
    print(table(found), "Differs from the paper, or fills a gap in it:", sep="\n\n")
    for one in {result.name: result for result in found}.values():
        print(f"- {one.name}: {'; '.join(deviations(one.recipe, one.data['name']))}")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    recipe = recipes.get(arguments.recipe)
    if arguments.seed < 0:
        raise LabError(f"--seed {arguments.seed}: at least 0")
    kind = recipe.data.kind
    if kind in EMBEDDED and (given := _where(arguments, kind)):
        raise LabError(f"--data {given}: {recipe.name} trains on the {kind} that come with the library; leave it out")
    options = _options(arguments)
    if arguments.profile:
        print(profile(recipe, _load(arguments, recipe.data.kind), options))
        return 0
    with joined(options.device, shard=arguments.shard) as (world, device):
        options = replace(options, world=world, device=device)
        path = results.path_of(options.out, recipe.directory, arguments.seed)
        if results.is_taken(options.out, recipe.directory, arguments.seed):
            return _tell_finished(path)
        try:
            result = run(recipe, arguments.seed, _load(arguments, recipe.data.kind), options)
        except FinishedError:  # by another process, while this one loaded the data
            return _tell_finished(path)
        if not world.leads:
            return 0
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
    if not arguments.minutes > 0 or arguments.seeds < 1 or arguments.jobs < 1:
        given = f"--minutes {arguments.minutes} --seeds {arguments.seeds} --jobs {arguments.jobs}"
        raise LabError(f"{given}: all must be positive")
    if arguments.seeds > 1000 or arguments.jobs > 100:
        raise LabError(f"--seeds {arguments.seeds} --jobs {arguments.jobs}: at most 1000 seeds and 100 jobs")
    if processes()[1] > 1:
        raise LabError("fill under torchrun: fill several GPUs with one fill each, or share one run with `run`")
    if arguments.jobs > 1:
        return _fill_together(arguments.given, arguments)
    options = replace(_options(arguments), deadline=time.monotonic() + 60 * arguments.minutes)
    cells = missing(options, arguments.seeds, arguments.only)
    there = {*EMBEDDED, *(kind for kind in _kinds(cells) if _where(arguments, kind))}
    if lacking := sorted(_kinds(cells) - there):
        print(f"without --data the recipes on {', '.join(lacking)} cannot run", file=sys.stderr)
        cells = [cell for cell in cells if cell.recipe.data.kind in there]
    if arguments.policies is None and any(map(_wants_policies, cells)):
        print("without --policies the recipes on Fast AutoAugment cannot run", file=sys.stderr)
        cells = [cell for cell in cells if not _wants_policies(cell)]
    counts: Counter[str] = Counter()
    errors = 0
    if arguments.nice and hasattr(os, "nice"):
        os.nice(10)
    recorded: list[results.Result] = []
    try:
        recorded = results.load(options.out)
    except LabError as error:  # a damaged result is no reason not to make others
        print(f"going on, but {error}", file=sys.stderr)
    forecast, waiting = Forecast(recorded), list(cells)

    for cell, outcome in fill(cells, partial(_load, arguments), options):
        waiting = [other for other in waiting if other != cell]
        if isinstance(outcome, BusyError):
            counts["busy"] += 1
            _say(f"{cell.recipe.name} seed {cell.seed}: {outcome}")
        elif isinstance(outcome, LabError):
            errors += 1
            print(f"error: {outcome}", file=sys.stderr)
        elif outcome is None:
            counts["begun"] += 1
            _say(f"{cell.recipe.name} seed {cell.seed} stopped; the next fill goes on from its checkpoint")
        else:
            counts[outcome.status] += 1
            forecast.add(outcome)
            ahead = (
                f"{len(waiting)} to go, about {forecast.words(forecast.seconds(waiting))}" if waiting else "the last"
            )
            _say(f"{listing.outcome(outcome)} ({ahead})")
    left = len(missing(options, arguments.seeds, arguments.only))
    _say(", ".join([*(f"{number} {what}" for what, number in counts.items()), f"{left} cells left"]))
    if errors:
        return 2
    stopped_early = counts["begun"] and time.monotonic() < options.deadline
    return 130 if stopped_early else 0


def _kinds(cells: list[Cell]) -> set[str]:
    return {cell.recipe.data.kind for cell in cells}


def _where(arguments: argparse.Namespace, kind: str) -> Path | None:
    """Return the last path given for a kind of data, else for the kind that it is made from, else for all."""
    given = dict(arguments.data or [])
    made_from = SHAPES[kind].half_of if kind in SHAPES else None
    return given.get(kind, given.get(made_from, given.get(None)))


def _load(arguments: argparse.Namespace, kind: str) -> Dataset | Photographs | Clouds:
    return data.load(kind, _where(arguments, kind))


def _wants_policies(cell: Cell) -> bool:
    return isinstance(cell.recipe.data, Images) and cell.recipe.data.policy == "fastaa"


def _say(text: str) -> None:
    """Print a line in one piece: several fills may share a log, and `print` writes the end of a line on its own."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _fill_together(given: list[str], arguments: argparse.Namespace) -> int:
    """Start the same fill several times, for runs that leave most of a device idle; locks keep them apart."""
    command = [sys.executable, "-m", "cwn_lite.lab", *given, "--jobs", "1", "--quiet"]
    if arguments.threads is None:
        command += ["--threads", str(max(1, torch.get_num_threads() // arguments.jobs))]
    if arguments.workers is None:
        command += ["--workers", str(max(1, usual_workers() // arguments.jobs))]
    return next((abs(code) for code in together(command, arguments.jobs) if code), 0)  # a killed one's is negative


def _options(arguments: argparse.Namespace) -> Options:
    if arguments.threads is not None:
        if not 1 <= arguments.threads <= 1024:
            raise LabError(f"--threads {arguments.threads}: from 1 to 1024")
        torch.set_num_threads(arguments.threads)
    if not arguments.checkpoint_minutes >= 0:
        raise LabError(f"--checkpoint-minutes {arguments.checkpoint_minutes}: at least 0")
    if arguments.workers is not None and not 0 <= arguments.workers <= 256:
        raise LabError(f"--workers {arguments.workers}: from 0 to 256")
    device = pick_device(arguments.device)
    if arguments.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it starts
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = device.type == "cuda" and not arguments.deterministic
    return Options(
        out=arguments.out,
        runs=arguments.runs,
        device=device,
        policies=arguments.policies,
        workers=arguments.workers,
        quiet=arguments.quiet,
        checkpoint_s=60 * arguments.checkpoint_minutes,
        compile=arguments.compile == "on" or (arguments.compile == "auto" and device.type == "cuda"),
    )


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints look like all others of the lab."""

    def error(self, message: str) -> NoReturn:
        raise LabError(f"{message}; `{self.prog} --help` says what there is")


def _path(text: str) -> Path:
    try:
        return expand(text)
    except LabError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _data(text: str) -> tuple[str | None, Path]:
    """Read ``PATH`` or ``KIND=PATH``."""
    kind, equals, path = text.partition("=")
    return (kind, _path(path)) if equals and kind in DATA else (None, _path(text))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m cwn_lite.lab", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    every = verbs.add_parser("list", help="recipes, and which seeds have results")
    every.add_argument("recipes", nargs="?", default="*", help="family, pattern or name; all without it")
    _folders(every)
    every.set_defaults(verb=_list)
    one = verbs.add_parser("run", help="train one recipe with one seed, or go on where it stopped")
    one.add_argument("recipe")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--profile", action="store_true", help="train a few steps, say where the time goes, keep nothing")
    one.add_argument("--shard", action="store_true", help="under torchrun: each process keeps its rows of the weights")
    _training(one)
    one.set_defaults(verb=_run)
    many = verbs.add_parser("fill", help="train what is missing, the most wanted first, until the time is up")
    many.add_argument("--minutes", type=float, required=True, help="stop with a checkpoint after this time")
    many.add_argument("--seeds", type=int, default=3, help="seeds per recipe (3)")
    many.add_argument("--jobs", type=int, default=1, help="runs that share the device at a time (1)")
    many.add_argument("--nice", action="store_true", help="give way to other work on this machine")
    many.add_argument("--only", metavar="PATTERN", help="family, pattern or name of the recipes")
    _training(many)
    many.set_defaults(verb=_fill)
    rows = verbs.add_parser("table", help="n, mean ± std of the test error beside the paper's numbers")
    rows.add_argument("name", help="family, pattern or name of the recipes, for instance cnn16")
    _folders(rows)
    rows.set_defaults(verb=_table)
    return parser


def _folders(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=_path, default=results.default_root(), help="folder of results")
    parser.add_argument("--runs", type=_path, default=default_runs(), help="folder of checkpoints")


def _training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=_data, action="append", metavar="[KIND=]PATH",
        help="archive, extracted archive, image folder; with a kind before it, such as imagenette=FOLDER, for that one",
    )  # fmt: skip
    parser.add_argument("--policies", type=_path, help="Fast AutoAugment's archive.py, for the recipes that use it")
    _folders(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--compile", choices=("auto", "on", "off"), default="auto",
        help="torch.compile, with CUDA graphs on a GPU; auto: on a GPU",
    )  # fmt: skip
    parser.add_argument("--deterministic", action="store_true", help="the same bits at each run; slower on a GPU")
    parser.add_argument(
        "--threads",
        type=int,
        help="CPU threads, of which the recorded runs have one; another number ends as another seed would",
    )
    parser.add_argument("--workers", type=int, help="processes that decode photographs; one per CPU, up to 8, without")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--checkpoint-minutes", type=float, default=5.0, help="between checkpoints within an epoch")


if __name__ == "__main__":
    sys.exit(main())
