"""nbgrader itself takes a released assignment and grades four submissions as they deserve; without it, a skip."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from classroom import BOOK, ROOT, assignment, exercises

pytest.importorskip("nbgrader", reason="nbgrader is not installed: pip install nbgrader, as the weekly run does")

CHAPTER = exercises.load(BOOK / "deriving.ipynb")
SECONDS = 20
"""After which nbgrader gives a cell up."""


def nbgrader(course: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "nbgrader", *arguments]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it calls alembic by its name
    own = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path}
    done = subprocess.run(command, cwd=course, env=own, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]


def answered(released: dict[str, Any], answers: dict[str, str]) -> str:
    """The released notebook with some of its answers filled in, as a student hands it in."""
    cells = []
    for cell in released["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cells.append({**cell, "source": answers.get(name, "".join(cell["source"]))})
    return json.dumps({**released, "cells": cells})


def test_four_submissions(tmp_path: Path) -> None:
    name, course = CHAPTER.name, tmp_path / "course"
    solved = assignment.assignment(CHAPTER, solved=True)
    (course / "source" / name).mkdir(parents=True)
    (course / "source" / name / f"{name}.ipynb").write_text(json.dumps(solved), encoding="utf8")
    config = assignment.CONFIG.replace("timeout = 120", f"timeout = {SECONDS}")
    (course / "nbgrader_config.py").write_text(config, encoding="utf8")
    nbgrader(course, "generate_assignment", name)

    released = json.loads((course / "release" / name / f"{name}.ipynb").read_text(encoding="utf8"))
    right = {
        cell["metadata"]["nbgrader"]["grade_id"]: exercises.source(cell)
        for cell in solved["cells"]
        if cell["cell_type"] == "code" and cell["metadata"].get("nbgrader", {}).get("solution")
    }
    first = next(iter(right))
    submissions = {
        "solved": right,
        "loop": right | {first: "while True:\n    pass"},
        "partial": {first: right[first]},
        "stub": {},
    }
    for student, answers in submissions.items():
        place = course / "submitted" / student / name
        place.mkdir(parents=True)
        (place / f"{name}.ipynb").write_text(answered(released, answers), encoding="utf8")
    nbgrader(course, "autograde", name)
    nbgrader(course, "export")
    with (course / "grades.csv").open(encoding="utf8") as file:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    n = len(CHAPTER.exercises)
    assert scores == {"solved": n, "loop": n - 1, "partial": 1, "stub": 0}
