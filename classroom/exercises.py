"""A chapter's exercises, by the tags of its cells: what is set up, what is to be answered, and what checks it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import student
from course import nothing_left

from . import BOOK

Notebook = dict[str, Any]

KINDS = ("computational", "derivation", "open")
STATEMENT = re.compile(r"\{exercise\}[ \t]*(?P<title>[^\n]*)\n:label:[ \t]*(?P<label>[\w-]+)")


@dataclass(frozen=True)
class Exercise:
    """One exercise; cells are named by their place in the chapter.

    answers: code cells to fill in. checks: the grader. written: what is answered in words.
    """

    label: str
    title: str
    kind: str
    answers: tuple[int, ...]
    checks: int
    written: tuple[int, ...]


@dataclass(frozen=True)
class Chapter:
    """A chapter as its exercises see it."""

    name: str
    notebook: Notebook
    exercises: tuple[Exercise, ...]

    def source(self, index: int) -> str:
        """Return the source of a cell, solved."""
        return source(self.notebook["cells"][index])

    def stub(self, index: int) -> str:
        """Return the source of a cell as a student gets it."""
        return student.strip_source(self.source(index))

    @property
    def title(self) -> str:
        """The chapter's heading."""
        return self.source(0).partition("\n")[0].removeprefix("# ")

    @property
    def setup(self) -> list[int]:
        """The cells that exercises build on."""
        return [i for i, cell in enumerate(self.notebook["cells"]) if _is_code(cell) and "setup" in student.tags(cell)]


def load(path: Path) -> Chapter:
    """Read a chapter of the book, solutions and all.

    Raises:
        ValueError: a statement has no title and label, or not exactly one grader.
    """
    return of_notebook(json.loads(path.read_text(encoding="utf8")), path.stem)


def of_notebook(notebook: Notebook, name: str) -> Chapter:
    """Make a chapter of a notebook that was read already."""
    return Chapter(name, notebook, tuple(_exercise(notebook, group) for group in _groups(notebook)))


def chapters(folder: Path = BOOK) -> list[Chapter]:
    """Return all chapters that have exercises."""
    return [chapter for path in sorted(folder.glob("*.ipynb")) if (chapter := load(path)).exercises]


def source(cell: Notebook) -> str:
    """Return the source of a cell as one text."""
    return "".join(cell["source"])


def _is_code(cell: Notebook) -> bool:
    return bool(cell["cell_type"] == "code")


def _groups(notebook: Notebook) -> Iterator[list[int]]:
    """Yield the cells of each exercise: from its statement to the next one, or to a heading."""
    group: list[int] = []
    for index, cell in enumerate(notebook["cells"]):
        begins = not _is_code(cell) and "exercise" in student.tags(cell)
        ends = not _is_code(cell) and re.match(r"#{1,2} ", source(cell))
        if (begins or ends) and group:
            yield group
            group = []
        if begins or group:
            group.append(index)
    if group:
        yield group


def _exercise(notebook: Notebook, group: list[int]) -> Exercise:
    cells = {index: notebook["cells"][index] for index in group}
    statement = STATEMENT.search(source(cells[group[0]]))
    solved = [index for index in group if "solution" in student.tags(cells[index])]
    checks = [index for index in group if "grader" in student.tags(cells[index])]
    tags = {tag for cell in cells.values() for tag in student.tags(cell)}
    kinds = [kind for kind in KINDS if f"exercise-{kind}" in tags]
    if statement is None or len(checks) != 1 or len(kinds) != 1:
        raise ValueError(f"cell {group[0]}: an exercise has a title and a label, one kind, and one grader")
    return Exercise(
        statement["label"],
        statement["title"],
        kinds[0],
        tuple(i for i in solved if _is_code(cells[i]) and not _only_checks(cells[i])),
        checks[0],
        tuple(i for i in solved if not _is_code(cells[i])),
    )


def _only_checks(cell: Notebook) -> bool:
    return nothing_left({**cell, "source": [student.strip_source(source(cell))]})
