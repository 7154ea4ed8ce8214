"""Recipe and seed in, one result file out."""

from __future__ import annotations

import contextlib
import re
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from .. import results
from ..data import Clouds, Dataset, Photographs
from ..disk import checkpoint, lock
from ..disk.files import check_writable, keep_out_of_git, sweep, write_atomically
from ..errors import LabError
from ..recipes import Recipe
from ..results import Result, provenance
from ..results.typed import mistyped
from ..training import Trainer, World
from ..training.trainer import CHECK_EVERY
from ..training.world import ToldError
from . import interrupt, record

# Not any mention of CUDA: tensors on two devices are the program's fault.
_OF_THE_MACHINE = re.compile(
    r"CUDA (?:error|driver|out of memory)|CU(?:BLAS|FFT|DNN|SPARSE)_STATUS|cuDNN error|NCCL error|can't allocate memory"
    r"|DataLoader worker .*(?:killed by signal|exited unexpectedly)"
)


# Methods that compute something else where another number of processes shares the batch.
OF_THE_BATCH = ("bn", "ws+bn")


class MachineError(LabError):
    """The machine failed, and not the program: nothing is recorded, and the cell can be tried again."""


class FinishedError(LabError):
    """The cell has a result already."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run; on a CPU nothing here but torch's thread count touches the numbers.

    It changes rounding, and in the end the result as another seed would.

    Attributes:
        out: folder of results.
        runs: folder of checkpoints and locks.
        device: ``cpu`` or ``cuda``.
        quiet: no progress bar.
        checkpoint_s: seconds between checkpoints within an epoch; each epoch ends with one anyway.
        deadline: ``time.monotonic()`` after which the run stops with a checkpoint.
        compile: compile the network before the clock runs; sums are rounded otherwise.
        world: the processes that share each run.
        policies: the file of Fast AutoAugment's policies, for the recipes that want them.
        workers: processes that decode photographs; ``None`` is one per CPU, up to 8.
    """

    out: Path
    runs: Path
    device: torch.device
    quiet: bool = False
    checkpoint_s: float = 300.0
    deadline: float = float("inf")
    compile: bool = False
    world: World = field(default_factory=World)
    policies: Path | None = None
    workers: int | None = None


def default_runs() -> Path:
    """Return the folder of checkpoints: ``runs`` of the checkout, else ``./runs``."""
    root = provenance.checkout()
    return root / "runs" if root else Path("runs")


def cell_folder(runs: Path, recipe: Recipe, seed: int) -> Path:
    """Return where checkpoint and lock of a cell live."""
    return runs / recipe.directory / f"seed-{seed}"


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of that name; ``auto`` is CUDA where there is one.

    Raises:
        LabError: no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise LabError(f"--device {name}: choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise LabError("--device cuda: torch sees no CUDA device here; use --device cpu")
    return torch.device(name)


def run(recipe: Recipe, seed: int, data: Dataset | Photographs | Clouds, options: Options) -> Result | None:
    """Train a cell to its end, from its checkpoint if there is one, and write the result.

    Args:
        recipe: what to train.
        seed: of everything random.
        data: the data set that the recipe names.
        options: where and how.

    Returns:
        The result, also of a run that diverged or failed; ``None`` if the deadline or a signal came first. A
        checkpoint then holds the state, and the same call goes on from there to the same result.

    Raises:
        BusyError: another process works on this cell.
        MachineError: memory ran out, a device failed or another process of the run did; a checkpoint stays.
        FinishedError: the result exists.
        LabError: the checkpoint is unusable, or other seeds of the recipe were trained on other data.
    """
    cell = cell_folder(options.runs, recipe, seed)
    saved_state = cell / "checkpoint"
    with contextlib.ExitStack() as held, interrupt.requests() as stop_asked:
        _claim(held, recipe, seed, data, options)
        identity = {"recipe_sha": recipe.sha, "seed": seed, "data": data.identity, "device": options.device.type}
        if recipe.method.kind in OF_THE_BATCH:
            identity["processes"] = options.world.size
        trainer = Trainer(recipe, seed, data, options.device, options.world, options.policies, options.workers)
        held.callback(trainer.task.close)
        saved = _saved(saved_state, identity, options.world)
        earlier = [] if saved is None else _resume(trainer, saved_state, saved)
        if options.compile:
            trainer.compile()
        session = record.Session.begin(trainer).after(earlier)

        def save() -> None:
            state = {"trainer": trainer.state_dict(), "sessions": session.records(trainer)}
            if options.world.leads:
                checkpoint.save(saved_state, state, identity)

        failure = None
        try:
            if not _train(trainer, options, save, stop_asked):
                return None
        except (OSError, LabError):
            raise  # a full disk or a damaged photograph, for instance: nothing that the recipe is to blame for
        except Exception as error:
            failure = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            # Where processes share a run, the fault may be another one's; torchrun ends them all.
            if options.world.size > 1 or _machines_fault(error):
                if stop_asked():  # the signal that asks reached the workers first
                    return None
                raise MachineError(f"{recipe.name} seed {seed} stopped: {failure}; nothing is recorded") from error
            trace = traceback.format_exc().encode("utf-8", "backslashreplace")
            write_atomically(cell / "traceback.txt", trace, overwrite=True)
        result = record.make(trainer, session, failure)
        if options.world.leads:
            results.write(result, options.out)
            saved_state.unlink(missing_ok=True)
        return result


def _saved(path: Path, identity: dict[str, Any], world: World) -> dict[str, Any] | None:
    """Return the state of the leader's checkpoint, ``None`` if it has none: processes may have disks of their own."""
    state = None
    if world.leads:
        try:
            state = checkpoint.load(path, identity) if path.exists() else None
        except (LabError, OSError) as error:
            world.tell(str(error))
            raise
    refusal = world.tell(None)
    if refusal is not None:
        raise ToldError(refusal)
    shared: dict[str, Any] | None = world.share(state)
    return shared


def _resume(trainer: Trainer, path: Path, state: dict[str, Any]) -> list[dict[str, Any]]:
    """Put a trainer where its checkpoint was taken; return the records of the sessions up to there."""
    try:
        trainer.load_state_dict(state["trainer"])
        sessions: list[dict[str, Any]] = state["sessions"]
        problems = [mistyped(session, {"started": str, "wall_s": float}, "session") for session in sessions]
        if any(problems):
            raise TypeError(next(filter(None, problems)))
    except Exception as error:
        if _machines_fault(error):
            raise
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise LabError(f"{path}: not of this version ({reason}); move it away to begin this run anew") from error
    return sessions


def _machines_fault(error: Exception) -> bool:
    """Return whether another machine, or the same one later, may train this cell."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and _OF_THE_MACHINE.search(str(error)) is not None


def _claim(
    held: contextlib.ExitStack, recipe: Recipe, seed: int, data: Dataset | Photographs | Clouds, options: Options
) -> None:
    """Let the leader check the folders and take the lock; what stops it stops all processes."""
    if options.world.leads:
        try:
            check_writable(options.out / recipe.directory)
            results.check_data(options.out, recipe, seed, data.name, data.sha256)
            keep_out_of_git(options.runs)
            held.enter_context(lock.hold(cell_folder(options.runs, recipe, seed) / "lock"))
            sweep(cell_folder(options.runs, recipe, seed))
            check_writable(cell_folder(options.runs, recipe, seed))  # not before: who holds the lock sweeps the probe
            if results.is_taken(options.out, recipe.directory, seed):
                raise FinishedError(
                    f"{recipe.name} seed {seed} has a result already, and results are never overwritten"
                )
        except (LabError, OSError) as error:
            options.world.tell(str(error))
            raise
    refusal = options.world.tell(None)
    if refusal is not None:
        raise ToldError(refusal)


def _train(trainer: Trainer, options: Options, save: Callable[[], None], stop_asked: Callable[[], bool]) -> bool:
    """Step until the run is done, saving on the way; return whether it is."""
    saved = time.monotonic()
    with _progress_bar(trainer, options) as bar:
        while not trainer.done:
            trainer.step()
            bar.update()
            if bar.n % 20 == 0 and not options.quiet:
                loss, error = trainer.progress()
                text = f"epoch {trainer.epoch + 1}: loss {loss:.3f}, error {error:.1f} %"
                bar.set_postfix_str(text, refresh=False)
            now = time.monotonic()
            leave = not trainer.done and (now > options.deadline or stop_asked())
            due = now - saved >= options.checkpoint_s
            if options.world.size > 1:  # asking the others makes a GPU wait: not at each step
                ask = trainer.batch % CHECK_EVERY[trainer.device.type] == 0
                leave = ask and options.world.any(leave, trainer.device)
                due = ask and options.world.any(due, trainer.device)
            if trainer.batch == 0 or leave or due:
                save()
                saved = now
            if leave:
                return False
    return True


def _progress_bar(trainer: Trainer, options: Options) -> tqdm:
    seen = sys.stderr is not None  # a daemon may have closed it
    return tqdm(
        total=trainer.recipe.training.epochs * trainer.steps_per_epoch,
        initial=trainer.global_step,
        desc=f"{trainer.recipe.name} seed {trainer.seed}",
        unit="step",
        disable=options.quiet or not options.world.leads or not seen,
        dynamic_ncols=True,
        mininterval=0.5 if seen and sys.stderr.isatty() else 30.0,  # a log file gets a line now and then
    )
