"""Exercises: three kinds in each chapter, each with what it needs. Whether the graders grade, see grading.py."""

import re
from dataclasses import dataclass

from bookcheck.pages import Cell, Page

KINDS = ("exercise-computational", "exercise-derivation", "exercise-open")


@dataclass(frozen=True)
class Exercise:
    """A statement and the cells that follow it, up to the next statement or heading."""

    cells: tuple[Cell, ...]

    @property
    def index(self) -> int:
        return self.cells[0].index

    @property
    def kinds(self) -> set[str]:
        return {tag for cell in self.cells for tag in cell.tags} & set(KINDS)

    def tagged(self, tag: str, kind: str | None = None) -> list[Cell]:
        return [cell for cell in self.cells if tag in cell.tags and kind in (None, cell.kind)]


def exercises(page: Page) -> list[Exercise]:
    """Return the exercises of a chapter; each starts with a Markdown cell tagged `exercise`."""
    groups: list[list[Cell]] = []
    inside = False
    for cell in page.cells:
        if cell.kind == "markdown" and "exercise" in cell.tags:
            groups.append([])
            inside = True
        elif cell.kind == "markdown" and re.match(r"#{1,2} ", cell.source):
            inside = False
        if inside:
            groups[-1].append(cell)
    return [Exercise(tuple(group)) for group in groups]


def check(page: Page) -> list[str]:
    """Return what is missing: kinds, solutions, graders, or tags outside of an exercise."""
    found = exercises(page)
    problems = [
        f"no exercise of the kind {kind}" for kind in KINDS if not any(kind in exercise.kinds for exercise in found)
    ]
    for exercise in found:
        where = f"exercise in cell {exercise.index}"
        if len(exercise.kinds) != 1:
            problems.append(f"{where}: tag one cell with one of {', '.join(KINDS)}")
        if not exercise.tagged("solution"):
            problems.append(f"{where}: no cell is tagged solution")
        if "exercise-computational" in exercise.kinds and not exercise.tagged("solution", "code"):
            problems.append(f"{where}: a computational exercise is solved by a code cell")
        if bool(exercise.tagged("solution", "code")) != bool(exercise.tagged("grader")):
            problems.append(f"{where}: a code solution and a grader come together")
    inside = {cell.index for exercise in found for cell in exercise.cells}
    problems += [
        f"cell {cell.index}: tagged {tag} outside of an exercise"
        for cell in page.cells
        for tag in ("solution", "grader")
        if tag in cell.tags and cell.index not in inside
    ]
    return problems
