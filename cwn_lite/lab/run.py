"""Recipe and seed in, one result file out."""

from __future__ import annotations

import dataclasses
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from . import checkpoint, interrupt, lock, provenance, results
from .data import Dataset
from .errors import LabError
from .files import check_writable
from .recipe import Recipe
from .results import Result
from .train import Trainer, parameter_count


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run, none of which decides the result on a CPU but ``device`` and torch's thread count.

    Attributes:
        out: folder of results.
        runs: folder of checkpoints and locks.
        device: ``cpu`` or ``cuda``.
        quiet: no progress bar.
        checkpoint_s: seconds between checkpoints within an epoch; each epoch ends with one anyway.
        deadline: ``time.monotonic()`` after which the run stops with a checkpoint.
    """

    out: Path
    runs: Path
    device: torch.device
    quiet: bool = False
    checkpoint_s: float = 300.0
    deadline: float = float("inf")


def default_runs() -> Path:
    """Return the folder of checkpoints: ``runs`` of the checkout, else ``./runs``."""
    root = provenance.checkout()
    return root / "runs" if root else Path("runs")


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


def run(recipe: Recipe, seed: int, data: Dataset, options: Options) -> Result | None:
    """Train a cell to its end, from its checkpoint if there is one, and write the result.

    Args:
        recipe: what to train.
        seed: of everything random.
        data: the data set that the recipe names.
        options: where and how.

    Returns:
        The result, also of a run that diverged; ``None`` if the deadline or a signal came first. A checkpoint
        then holds the state, and the same call goes on from there to the same result.

    Raises:
        LabError: another process works on this cell, the checkpoint is unusable, or the result exists.
    """
    cell = options.runs / recipe.directory / f"seed-{seed}"
    state_path = cell / "checkpoint"
    check_writable(options.out / recipe.directory)
    check_writable(options.runs)
    (options.runs / ".gitignore").write_text("*\n")
    with lock.hold(cell / "lock"), interrupt.requests() as stop_asked:
        if results.path_of(options.out, recipe.directory, seed).exists():
            raise LabError(f"{recipe.name} seed {seed} has a result already; results are never overwritten")
        begun = _Session.begin(options.device)
        identity = {"recipe_sha": recipe.sha, "seed": seed, "data": data.sha256}
        trainer = Trainer(recipe, seed, data, options.device)
        if state_path.exists():
            state = checkpoint.load(state_path, identity)
            trainer.load_state_dict(state["trainer"])
            begun = begun.after(state["sessions"])

        def save() -> None:
            checkpoint.save(state_path, {"trainer": trainer.state_dict(), "sessions": begun.records()}, identity)

        finished = _train(trainer, options, f"{recipe.name} seed {seed}", save, stop_asked)
        if not finished:
            return None
        result = _result(trainer, data, begun)
        results.write(result, options.out)
        state_path.unlink(missing_ok=True)
        return result


def _train(trainer: Trainer, options: Options, title: str, save: Any, stop_asked: Any) -> bool:
    """Step until the run is done, saving on the way; return whether it is."""
    total = trainer.recipe.epochs * trainer.steps_per_epoch
    bar = tqdm(
        total=total,
        initial=trainer.global_step,
        desc=title,
        unit="step",
        disable=options.quiet,
        dynamic_ncols=True,
        mininterval=0.5 if sys.stderr.isatty() else 30.0,
    )
    saved = time.monotonic()
    with bar:
        while not trainer.done:
            trainer.step()
            bar.update()
            now = time.monotonic()
            if bar.n % 20 == 0 and not options.quiet:
                loss, error = trainer.progress()
                bar.set_postfix_str(f"epoch {trainer.epoch + 1}: loss {loss:.3f}, error {error:.1f} %", refresh=False)
            leave = not trainer.done and (now > options.deadline or stop_asked())
            if trainer.batch == 0 or leave or now - saved >= options.checkpoint_s:
                save()
                saved = now
            if leave:
                return False
    return True


@dataclass(frozen=True)
class _Session:
    """One stretch of a run between a start and a stop, and those before it."""

    started: str
    clock: float
    source: dict[str, Any]
    env: dict[str, Any]
    earlier: tuple[dict[str, Any], ...] = ()

    @classmethod
    def begin(cls, device: torch.device) -> _Session:
        started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return cls(started, time.monotonic(), provenance.source(), provenance.environment(device))

    def after(self, earlier: list[dict[str, Any]]) -> _Session:
        return dataclasses.replace(self, earlier=tuple(earlier))

    def records(self) -> list[dict[str, Any]]:
        seconds = round(time.monotonic() - self.clock, 1)
        return [*self.earlier, {"started": self.started, "wall_s": seconds, **self.source, "env": self.env}]


def _result(trainer: Trainer, data: Dataset, session: _Session) -> Result:
    """Put together the record of a run that ended."""
    sessions = session.records()
    constraint = trainer.constraint
    last = trainer.curve[-1] if trainer.curve else None
    ended_well = trainer.diverged is None
    return Result(
        schema=results.SCHEMA,
        status="done" if ended_well else "diverged",
        reason=trainer.diverged,
        recipe=dataclasses.asdict(trainer.recipe),
        recipe_sha=trainer.recipe.sha,
        seed=trainer.seed,
        **session.source,
        env=session.env,
        # What began the run is only worth telling apart from what ended it if there was more than one session.
        sessions=sessions,
        data=dict(data.record),
        started=sessions[0]["started"],
        wall_s=round(sum(record["wall_s"] for record in sessions), 1),
        epoch_s=trainer.epoch_s,
        parameters=parameter_count(trainer.model),
        constrained=list(constraint.names) if constraint else [],
        skipped=dict(constraint.skipped) if constraint else {},
        curve=trainer.curve,
        final={key: last[key] for key in ("train_loss", "train_error", "test_loss", "test_error")}
        if last and ended_well
        else None,
        weights_sha256=trainer.weights_sha256() if ended_well else None,
    )
