"""Graders: each solution passes its own, and no student's stub does.

Runs the cells tagged `setup`, `solution` and `grader` of a notebook, as it is and stripped, in a process of its own.
"""

import contextlib
import io
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import student

from bookcheck.apart import apart
from bookcheck.pages import BOOK, Cell, from_notebook


def check(path: Path, folder: Path = BOOK, timeout: float = 120) -> list[str]:
    """Return the solutions that fail their grader and the stubs that pass."""
    return apart(grade, path, folder, timeout)


def grade(notebook: dict[str, Any]) -> list[str]:
    """Return the problems of one notebook; runs its code in this process."""
    solved, stripped = tagged(notebook), tagged(student.strip(notebook))
    # What both begin with runs once: some chapters train there.
    pairs = zip(solved, stripped, strict=True)
    begun = sum(1 for _ in takewhile(lambda pair: "setup" in pair[0].tags and pair[0].source == pair[1].source, pairs))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    run_graders(solved[:begun], namespace)
    before = dict(namespace)
    failures = run_graders(solved[begun:], namespace)
    namespace.clear()  # the same one again, which is where functions of the set-up look names up
    namespace.update(before)
    stubs = run_graders(stripped[begun:], namespace)
    problems = [f"grader {number}: the solution fails: {failure}" for number, failure in failures.items() if failure]
    return problems + [f"grader {number}: the stub passes" for number, failure in stubs.items() if not failure]


def tagged(notebook: dict[str, Any]) -> list[Cell]:
    """Return the cells to run."""
    return [cell for cell in from_notebook(notebook).code if cell.tags & {"setup", "solution", "grader"}]


def run_graders(cells: Sequence[Cell], namespace: dict[str, Any]) -> dict[int, str | None]:
    """Run cells in a namespace; return for each grader, by its number, how it failed, or None.

    Raises:
        Exception: whatever a set-up cell or a solution raises by itself; a stub may say that it is one.
    """
    verdicts: dict[int, str | None] = {}
    for cell in cells:
        code = compile(cell.source, f"<cell {cell.index}>", "exec")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            if "grader" in cell.tags:
                number = len(verdicts) + 1
                try:
                    exec(code, namespace)
                    verdicts[number] = None
                except Exception as error:  # any failure is a verdict
                    verdicts[number] = f"{type(error).__name__}: {error}"
            else:
                with contextlib.suppress(*([NotImplementedError] if "solution" in cell.tags else [])):
                    exec(code, namespace)
    return verdicts
