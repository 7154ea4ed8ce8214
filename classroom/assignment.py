"""Chapters as assignments of nbgrader: the tags of cells become its metadata, and a course folder is written.

nbgrader itself is not needed to write the folder, nor to grade: `grade.py` does that without it.
"""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import student

from . import BOOK, ROOT
from .exercises import Chapter, Exercise, Notebook, chapters, source

SITE = ROOT / "_build" / "html"
SCHEMA_VERSION = 3
POINTS = 1  # for each check that runs, and for each answer in words
DATA = ("costs", "since", "constants.json")  # what chapters read beside themselves
IN_WORDS = "*Your answer in words: a derivation, or what you found.*"

CONFIG = f'''"""Settings of nbgrader for this course; `nbgrader quickstart` explains the folders."""

c = get_config()  # noqa: F821  # traitlets defines it

c.CourseDirectory.course_id = "networks-without-activation-normalization"
c.ClearSolutions.code_stub = {{"python": {student.STUB!r}}}
c.ClearSolutions.text_stub = {IN_WORDS!r}
c.ExecutePreprocessor.timeout = 120
'''


def answer_id(exercise: Exercise, place: int = 0) -> str:
    """Return the name by which the answer of an exercise is known in any copy of the notebook."""
    return f"{exercise.label}-answer" + (f"-{place + 1}" if place else "")


def metadata(grade_id: str, *, grade: bool = False, solution: bool = False, locked: bool = False) -> dict[str, Any]:
    """Return nbgrader's metadata of one cell.

    The three kinds in use: to be answered in code (solution), checked (grade, locked), answered in words (grade,
    solution). A cell that is locked only is put back before grading.
    """
    found: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "grade_id": grade_id, "task": False}
    found |= {"grade": grade, "solution": solution, "locked": locked}
    return found | ({"points": POINTS} if grade else {})


def roles(chapter: Chapter) -> dict[int, dict[str, Any]]:
    """Return the metadata of each cell that nbgrader has to know."""
    found = {index: metadata(f"setup-{n}", locked=True) for n, index in enumerate(chapter.setup)}
    for exercise in chapter.exercises:
        for n, index in enumerate(exercise.answers):
            found[index] = metadata(answer_id(exercise, n), solution=True)
        found[exercise.checks] = metadata(f"{exercise.label}-check", grade=True, locked=True)
        for n, index in enumerate(exercise.written):
            found[index] = metadata(f"{exercise.label}-words" + (f"-{n + 1}" if n else ""), grade=True, solution=True)
    return found


def assignment(chapter: Chapter, *, solved: bool = False, texts: Mapping[str, str] | None = None) -> Notebook:
    """Return a chapter as nbgrader's source (solved) or as what students get, without outputs.

    Args:
        chapter: of the book.
        solved: with the solutions.
        texts: identity of a cell -> its text where no site resolves references, as `plain_texts` reads it. Without
            it texts stay the book's own. Set-up, answers and checks always do.
    """
    known = roles(chapter)
    cells = []
    for index, cell in enumerate(chapter.notebook["cells"]):
        role = known.get(index)
        if role is None and "solution" in student.tags(cell):
            continue  # checks what the solution found
        if texts is not None and (role is None or cell["cell_type"] == "markdown"):
            cell = {**cell, "source": texts[cell["id"]].splitlines(keepends=True)}
        changed = {**cell, "metadata": {**cell["metadata"], **({"nbgrader": role} if role else {})}}
        if cell["cell_type"] == "code":
            changed |= {"outputs": [], "execution_count": None}
        if role and role["solution"] and not solved:
            text = chapter.stub(index) if cell["cell_type"] == "code" else IN_WORDS
            changed["source"] = text.splitlines(keepends=True)
        cells.append(changed)
    return {**chapter.notebook, "cells": cells}


def plain_texts(chapter: Chapter, site: Path = SITE) -> dict[str, str]:
    """Return identity of a cell -> its text with references resolved, from the solved copy that the build wrote.

    Raises:
        FileNotFoundError: there is no such copy, or it lacks a cell of the chapter. A text that changed since the build
            is not seen: `make book` builds what changed, and does nothing else.
    """
    path = site / "notebooks" / "solved" / f"{chapter.name}.ipynb"
    built = json.loads(path.read_text(encoding="utf8"))["cells"] if path.is_file() else []
    texts = {cell["id"]: source(cell) for cell in built}
    if any(cell["id"] not in texts for cell in chapter.notebook["cells"]):
        raise FileNotFoundError(f"{path} is not of {chapter.name}.ipynb as it is: run `make book` first")
    return texts


def data_of(chapter: Chapter) -> list[str]:
    """Return the names of the data that lie beside a chapter and that its code reads."""
    code = [chapter.source(i) for i, cell in enumerate(chapter.notebook["cells"]) if cell["cell_type"] == "code"]
    strings = {
        node.value.partition("/")[0]
        for node in ast.walk(ast.parse("\n".join(code)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return [name for name in DATA if name in strings]


def copy_data(names: Iterable[str], target: Path, book: Path = BOOK) -> None:
    """Copy data of the book into a folder."""
    for name in names:
        if (book / name).is_dir():
            shutil.copytree(book / name, target / name, ignore=shutil.ignore_patterns("*.ipynb", ".*"))
        elif (book / name).is_file():
            shutil.copy(book / name, target / name)


def release(folder: Path, book: Path = BOOK, site: Path = SITE) -> list[str]:
    """Write a course folder of nbgrader: `source/`, which is yours, `release/`, which is the students', settings.

    Args:
        folder: to write.
        book: with the chapters.
        site: that the build made of them.

    Returns:
        The names of the assignments, which are the chapters'.

    Raises:
        FileExistsError: the folder has something in it.
        FileNotFoundError: as :func:`plain_texts`; nothing is written then.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; name a new folder")
    found = chapters(book)
    texts = {chapter.name: plain_texts(chapter, site) for chapter in found}
    for chapter in found:
        for part, solved in (("source", True), ("release", False)):
            place = folder / part / chapter.name
            place.mkdir(parents=True)
            text = (
                json.dumps(assignment(chapter, solved=solved, texts=texts[chapter.name]), indent=1, ensure_ascii=False)
                + "\n"
            )
            (place / f"{chapter.name}.ipynb").write_text(text, encoding="utf8")
            copy_data(data_of(chapter), place, book)
    (folder / "nbgrader_config.py").write_text(CONFIG, encoding="utf8")
    return [chapter.name for chapter in found]
