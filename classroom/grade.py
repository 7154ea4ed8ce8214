"""Grade a folder of submissions, for every chapter, and write feedback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import BOOK, feedback, submission
from .exercises import Chapter, chapters
from .feedback import Graded
from .fence import Limits
from .run import run


def find(folder: Path, known: set[str]) -> Iterator[tuple[str, str | None, Path]]:
    """Yield student, chapter and file of each notebook; the chapter is None where neither name is one.

    nbgrader's layout is `STUDENT/CHAPTER/CHAPTER.ipynb`; `STUDENT/CHAPTER.ipynb` will do.
    """
    for path in sorted(folder.rglob("*.ipynb")):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts) or not path.is_file():
            continue
        student = inside.parts[0] if len(inside.parts) > 1 else "?"
        names = (path.stem, path.parent.name)
        yield student, next((name for name in names if name in known), None), path


def grade_one(student: str, chapter: Chapter, path: Path, limits: Limits) -> Graded:
    """Grade one notebook file."""
    found = submission.read(path, chapter)
    outcomes = run(chapter, found.answers, limits)
    return Graded(student, chapter, tuple(outcomes), tuple(found.remarks))


def grade(folder: Path, out: Path, limits: Limits, workers: int = 1, book: Path = BOOK) -> list[Graded]:
    """Grade all notebooks below a folder; write `out/STUDENT/CHAPTER.md` and `out/grades.csv`.

    Raises:
        RuntimeError: Python runs without assertions, which are what the checks consist of.
        ValueError: one student has two files of a chapter, or a file is nobody's or of no chapter.
    """
    if not __debug__:
        raise RuntimeError("python -O switches assertions off, and with them every check; start without -O")
    known = {chapter.name: chapter for chapter in chapters(book)}
    tasks: dict[tuple[str, str], Path] = {}
    for student, name, path in find(folder, set(known)):
        if name is None or student == "?":
            raise ValueError(f"{path} must lie in a student's folder and be named after a chapter")
        if (student, name) in tasks:
            raise ValueError(f"{student} has two files of {name}: {tasks[student, name]} and {path}")
        tasks[student, name] = path

    def work(task: tuple[tuple[str, str], Path]) -> Graded:
        (student, name), path = task
        graded = grade_one(student, known[name], path, limits)
        place = out / student / f"{name}.md"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(feedback.page(graded), encoding="utf8")
        flagged = f", flagged: {'; '.join(graded.reports)}" if graded.reports else ""
        print(f"{student} {name}: {graded.score}/{len(graded.outcomes)}{flagged}", file=sys.stderr)
        return graded

    out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(workers) as pool:
        grades = list(pool.map(work, tasks.items()))
    feedback.table(out / "grades.csv", grades)
    return grades
