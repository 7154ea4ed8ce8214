"""From a trainer that ended to the record of its run."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..measure import parameter_count, weights_sha256
from ..recipes.parts import CWO
from ..results import Result, provenance
from ..results.store import SCHEMA
from ..training import Trainer


@dataclass(frozen=True)
class Session:
    """One stretch of a run between a start and a stop, and those before it.

    Attributes:
        started: ISO time, UTC.
        clock: ``time.monotonic()`` at the start.
        source: commit, dirtiness and hash of the code.
        env: versions, device and precision.
        earlier: records of the sessions before, from the checkpoint.
    """

    started: str
    clock: float
    source: dict[str, Any]
    env: dict[str, Any]
    earlier: tuple[dict[str, Any], ...] = ()

    @classmethod
    def begin(cls, trainer: Trainer) -> Session:
        """Start the clock and look at the code, the machine and how the trainer uses it."""
        started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        env = provenance.environment(trainer.device)
        env |= {"compiled": trainer.compiled, "processes": trainer.world.size, "sharded": trainer.world.sharded}
        return cls(started, time.monotonic(), provenance.source(), env)

    def after(self, earlier: list[dict[str, Any]]) -> Session:
        """Return this session as the continuation of others."""
        return dataclasses.replace(self, earlier=tuple(earlier))

    def records(self, trainer: Trainer) -> list[dict[str, Any]]:
        """Return one record per session, this one up to now."""
        seconds = round(time.monotonic() - self.clock, 1)
        pace = {key: round(value, 1) for key, value in trainer.pace.items()}
        own = {"started": self.started, "wall_s": seconds, **pace, **self.source, "env": self.env}
        return [*self.earlier, own]


def _skipped(trainer: Trainer) -> dict[str, str]:
    if trainer.constraint is None:
        return {}
    method = trainer.recipe.method
    assert isinstance(method, CWO)
    skipped, classifier = dict(trainer.constraint.skipped), method.classifier
    own = "" if classifier == "free" else f"; {classifier} by the recipe"
    return {name: reason + (own if "classifier" in reason else "") for name, reason in skipped.items()}


def make(trainer: Trainer, session: Session, failure: str | None = None) -> Result:
    """Return the result of a run that is done, diverged, or failed with ``failure``."""
    sessions = session.records(trainer)
    reason = trainer.diverged
    if failure is not None:
        reason = {"epoch": trainer.epoch, "step": trainer.global_step, "reason": failure}
    well = reason is None
    numbers = ("train_loss", "train_error", "test_loss", "test_error")
    return Result(
        schema=SCHEMA,
        status="done" if well else "diverged" if failure is None else "failed",
        reason=reason,
        recipe=trainer.recipe.values(),
        recipe_sha=trainer.recipe.sha,
        seed=trainer.seed,
        **session.source,
        env=session.env,
        sessions=sessions,
        data=dict(trainer.task.record),
        started=sessions[0]["started"],
        wall_s=round(sum(record["wall_s"] for record in sessions), 1),
        epoch_s=trainer.epoch_s,
        parameters=parameter_count(trainer.model),
        constrained=list(trainer.constraint.names) if trainer.constraint else [],
        skipped=_skipped(trainer),
        curve=trainer.curve,
        final={key: trainer.curve[-1][key] for key in numbers} if well else None,
        weights_sha256=weights_sha256(trainer.model) if well else None,
    )
