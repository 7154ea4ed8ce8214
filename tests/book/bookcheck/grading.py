"""Graders: each solution passes its own, and no student's stub does.

Runs the cells tagged `setup`, `solution` and `grader` of a notebook, as it is and stripped, in a process of its own,
because chapters set defaults of torch and matplotlib.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import student

from bookcheck.pages import BOOK, ROOT, from_notebook

TESTS = Path(__file__).resolve().parents[1]


def check(path: Path, folder: Path = BOOK, timeout: float = 120) -> list[str]:
    """Return the solutions that fail their grader and the stubs that pass."""
    search = os.pathsep.join(map(str, (TESTS, BOOK / "_ext", ROOT)))
    environment = os.environ | {"PYTHONPATH": search, "MPLBACKEND": "Agg"}
    command = [sys.executable, "-m", "bookcheck.grading", str(path.resolve())]
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout)
    if run.returncode != 0:
        return [f"{path.name} does not run: {run.stderr.strip().splitlines()[-1]}"]
    problems: list[str] = json.loads(run.stdout)
    return problems


def grade(notebook: dict[str, Any]) -> list[str]:
    """Return the problems of one notebook; runs its code in this process."""
    solved, stripped = run_graders(notebook), run_graders(student.strip(notebook))
    problems = [f"grader {number}: the solution fails: {failure}" for number, failure in solved.items() if failure]
    return problems + [f"grader {number}: the stub passes" for number, failure in stripped.items() if not failure]


def run_graders(notebook: dict[str, Any]) -> dict[int, str | None]:
    """Run the tagged cells in one namespace; return for each grader, by its number, how it failed, or None.

    Raises:
        Exception: whatever a set-up cell or a solution raises by itself; a stub may say that it is one.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    verdicts: dict[int, str | None] = {}
    for cell in from_notebook(notebook).code:
        if not cell.tags & {"setup", "solution", "grader"}:
            continue
        code = compile(cell.source, f"<cell {cell.index}>", "exec")
        with contextlib.redirect_stdout(io.StringIO()):
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


if __name__ == "__main__":
    print(json.dumps(grade(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
