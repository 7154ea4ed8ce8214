"""Run a submission in processes of its own, and stop what does not stop by itself."""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from .assignment import copy_data, data_of
from .child import IMPORTED, Job, Outcome, work
from .exercises import Chapter
from .fence import Limits
from .submission import defines

# A server that has imported what chapters import, and is forked for each submission.
KIND = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
PROCESSES: Any = multiprocessing.get_context(KIND)


LONGEST = 1_000_000  # bytes of one message


class SetupError(RuntimeError):
    """The chapter itself does not run here: nobody's answers can be graded."""


def run(chapter: Chapter, answers: Mapping[str, Sequence[str]], limits: Limits) -> list[Outcome]:
    """Grade the answers to a chapter's exercises, by label; those that are missing have not been solved.

    One process runs them in their order, since one may use what another defined. Where one does not end, or takes the
    process down, it fails, and a new process goes on with the rest.

    Raises:
        SetupError: the chapter's own cells fail or take too long.
    """
    PROCESSES.set_forkserver_preload(list(IMPORTED))
    outcomes: dict[str, Outcome] = {}
    given = [exercise for exercise in chapter.exercises if exercise.label in answers]
    while any(exercise.label not in outcomes for exercise in given):
        jobs = []
        for exercise in given:
            done = outcomes.get(exercise.label)
            if done is None or done.passed:  # what passed is run again: a later answer may need it
                check = chapter.source(exercise.checks) if done is None else None
                names = frozenset[str]().union(*(defines(chapter.stub(index)) for index in exercise.answers))
                jobs.append(Job(exercise.label, tuple(answers[exercise.label]), check, names))
        _run_once(chapter, jobs, outcomes, limits)
    missing = {e.label: Outcome(e.label, False, "no answer: its cell is missing") for e in chapter.exercises}
    return [(missing | outcomes)[exercise.label] for exercise in chapter.exercises]


def _run_once(chapter: Chapter, jobs: list[Job], outcomes: dict[str, Outcome], limits: Limits) -> None:
    """Run one process until it ends or is stopped; add at least one outcome."""
    with tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True) as folder:
        copy_data(data_of(chapter), Path(folder))
        setup = [chapter.source(index) for index in chapter.setup]
        here, there = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=work, args=(setup, jobs, limits, Path(folder), there), daemon=True)
        process.start()
        there.close()
        try:
            _listen(here, jobs, outcomes, limits)
        finally:
            process.kill()
            process.join()
            here.close()


def _listen(here: Connection, jobs: list[Job], outcomes: dict[str, Outcome], limits: Limits) -> None:
    first = _receive(here, limits.setup)
    if first != "ready":
        raise SetupError(f"the set-up takes more than {limits.setup:g} s" if first is _LATE else str(first))
    graded = {job.label for job in jobs if job.check is not None}
    for job in jobs:
        begin = time.monotonic()
        got = _receive(here, limits.seconds)
        if got == job.label:
            got = _receive(here, limits.seconds - (time.monotonic() - begin))
        outcome = _outcome(got, job)
        if outcome is not None:
            if job.label in graded or not outcome.passed:
                outcomes[job.label] = outcome
            if not outcome.spent:
                continue
        elif got is _LATE:
            line = f"stopped after {limits.seconds:g} seconds: it does not end, or is too slow"
            outcomes[job.label] = Outcome(job.label, False, line)
        else:
            outcomes[job.label] = Outcome(job.label, False, "it ended the process that graded it")
        return


_LATE = object()
_GONE = object()


def _receive(here: Connection, seconds: float) -> object:
    try:
        return json.loads(here.recv_bytes(LONGEST)) if here.poll(max(seconds, 0)) else _LATE
    except (EOFError, OSError, ValueError):
        return _GONE


def _outcome(got: object, job: Job) -> Outcome | None:
    """Return what a process says of an exercise, if it does."""
    try:
        outcome = Outcome(**{**got, "reports": tuple(got["reports"])}) if isinstance(got, dict) else None
    except (TypeError, KeyError):
        return None
    return outcome if outcome is not None and outcome.label == job.label else None
