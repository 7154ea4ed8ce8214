"""The process that runs one submission: the chapter's set-up, then each exercise's answer and its check.

The set-up and the checks are the book's; only the answers are the student's. No solution comes in here.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import io
import json
import linecache
import math
import sys
import traceback
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType
from typing import Any

from .fence import Fence, Limits, Unchanged, confine_to, enter, set_limits

# What chapters import. The compiler of PyTorch replaces some of its functions as it is loaded, so it comes first.
IMPORTED = ("torch._dynamo", "matplotlib.pyplot", "scipy.stats", "sklearn.datasets", "cwn_lite.figures", "cwn_lite.lab")
WATCHED = ("torch", "torch.nn.functional", "numpy", "cwn_lite")  # what checks call, where it is loaded
NO_MEMORY = ("not enough memory", "allocate memory", "bad_alloc")


@dataclass(frozen=True)
class Job:
    """One exercise: the sources of its answer, and of its check, which is left out where it was run before.

    names: what the answer is asked to define. Whatever else of the chapter it defines anew, the check does not see.
    """

    label: str
    answers: tuple[str, ...]
    check: str | None
    names: frozenset[str]


@dataclass(frozen=True)
class Outcome:
    """What became of an exercise: whether its check passed, one line for the student, and more where there is more."""

    label: str
    passed: bool
    line: str
    detail: str = ""
    reports: tuple[str, ...] = ()
    spent: bool = False  # memory: the process is of no more use


def work(setup: list[str], jobs: list[Job], limits: Limits, folder: Path, there: Connection) -> None:
    """Run in a folder; send `ready`, then the label of each exercise as it begins, and its outcome.

    What is sent is JSON, since whoever receives a pickle runs it.
    """
    enter(folder)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    try:
        for name in IMPORTED:
            importlib.import_module(name)
        _run(setup, "set-up", namespace)
    except Exception as error:
        send(there, f"the set-up fails: {type(error).__name__}: {error}")
        return
    before = dict(namespace)
    modules = [builtins, math, *(sys.modules[name] for name in WATCHED if name in sys.modules)]
    fence, unchanged = Fence(folder), Unchanged(modules)
    confine_to(folder)
    set_limits(limits, len(jobs))
    for name in [name for name in sys.modules if name.partition(".")[0] == "classroom"]:
        del sys.modules[name]  # so that no answer can reach the fence by importing it
    send(there, "ready")
    fence.close()
    for job in jobs:
        send(there, job.label)
        outcome = _judge(job, namespace, before, fence, unchanged, limits)
        send(there, asdict(outcome))
        if outcome.spent:
            return


def send(there: Connection, message: object) -> None:
    """Send a text or the fields of an outcome."""
    there.send_bytes(json.dumps(message).encode())


def _judge(
    job: Job,
    namespace: dict[str, Any],
    before: dict[str, Any],
    fence: Fence,
    unchanged: Unchanged,
    limits: Limits,
) -> Outcome:
    """Run one exercise; whatever the answer raises is a verdict."""
    fence.reports.clear()
    line = detail = ""
    spent = False
    try:
        _run(list(job.answers), f"answer {job.label}", namespace)
        namespace.update({name: value for name, value in before.items() if name not in job.names})
        if meddled := unchanged.changed():
            fence.reports.append(f"changed {', '.join(meddled)}")
        if job.check is not None:
            _run([job.check], f"check {job.label}", namespace)
    except BaseException as error:
        line, detail, spent = _explain(error, limits)
    if meddled := unchanged.changed():
        fence.reports.append(f"changed {', '.join(meddled)}, which the check relies on")
    reports = tuple(fence.reports)
    if reports:
        line = f"not graded: your code {reports[0]}"
    return Outcome(job.label, not line, line or "correct", detail, reports, spent)


def _run(sources: list[str], name: str, namespace: dict[str, Any]) -> None:
    for number, text in enumerate(sources, 1):
        place = f"<{name}, cell {number}>"
        linecache.cache[place] = (len(text), None, text.splitlines(keepends=True), place)
        code: CodeType = compile(text, place, "exec", dont_inherit=True)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            exec(code, namespace)


def _explain(error: BaseException, limits: Limits) -> tuple[str, str, bool]:
    """Return one line about an error, where it happened, and whether it was for want of memory."""
    said = _said(error)
    line = f"{type(error).__name__}: {said}".rstrip(": ")
    if isinstance(error, MemoryError) or any(words in said for words in NO_MEMORY):
        return f"stopped: it needs more than {limits.memory} MB of memory", "", True
    if isinstance(error, NotImplementedError):
        return "not solved yet", "", False
    places = [(frame.f_code.co_filename, number) for frame, number in traceback.walk_tb(error.__traceback__)]
    mine = [place for place in places if place[0].startswith("<answer")]
    checks = [place for place in places if place[0].startswith("<check")]
    if isinstance(error, SyntaxError) and not mine and not checks:
        return f"SyntaxError: {error.msg}", f"line {error.lineno}: {(error.text or '').strip()}", False
    if mine:
        file, number = mine[-1]
        return line, f"in your line {number}: {linecache.getline(file, number).strip()}", False
    statement = _statement(*checks[-1]) if checks else ""
    if isinstance(error, AssertionError):
        return said or f"this must hold: {' '.join(statement.split())}", statement, False
    return line, statement, False


def _said(error: BaseException) -> str:
    """Return an error's message, whose words may be computed by a student's class."""
    try:
        return str(error)
    except Exception:
        return ""


def _statement(file: str, number: int) -> str:
    """Return the statement of a check that a line stands in, of an assertion only what must hold."""
    lines = linecache.getlines(file)
    found = lines[number - 1].strip() if number <= len(lines) else ""
    for node in ast.walk(ast.parse("".join(lines))):
        match node:
            case ast.Assert() | ast.Expr() | ast.Assign() | ast.Return():
                if node.lineno <= number <= (node.end_lineno or 0):
                    found = ast.unparse(node.test if isinstance(node, ast.Assert) else node)
    return found
