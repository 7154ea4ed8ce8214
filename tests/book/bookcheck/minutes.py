"""The minutes that a chapter promises, held to what there is to read."""

import re
from itertools import pairwise

from bookcheck.pages import Cell, Page
from bookcheck.prose import without_code

PROMISE = re.compile(r"About (\d+) minutes; (\d+) without the exercises")
FIGURE = re.compile(r"\bfigures\.(?:show|explorable|live)\(")
WORDS = 200  # a minute, of prose
LINES = 15  # a minute, of code that the page shows
PER_EQUATION = 0.5  # minutes to follow a displayed equation
PER_LOOK = 1  # minute for a figure or a table
PER_EXERCISE = 10
WITHIN = 1 / 3
HIDDEN = {"hide-input", "setup", "grader"}
WORKED = {"exercise", "exercise-computational", "exercise-derivation", "exercise-open", "solution"}


def check(page: Page) -> list[str]:
    """Return where a chapter's promise is further from the count than a third."""
    promised = PROMISE.search(page.cells[0].source)
    if not promised:
        return ["the first cell does not say: About … minutes; … without the exercises"]
    read = reading_time(page)
    whole = read + PER_EXERCISE * sum("exercise" in cell.tags for cell in page.markdown)
    return [
        f"{said} minutes {what} are promised, and the page has about {counted:.0f}"
        for said, counted, what in ((int(promised[1]), whole, "in all"), (int(promised[2]), read, "of reading"))
        if abs(counted / said - 1) > WITHIN
    ]


def reading_time(page: Page) -> float:
    """Return minutes for prose, written or printed, shown code, displayed equations, tables and figures."""
    text = [without_code(cell.source) for cell in page.markdown if not cell.tags & WORKED]
    text += [line for cell in page.code for line in _printed(cell) if not line.startswith("|")]  # rows of tables
    words = sum(len(part.split()) for part in text)
    equations = sum(part.count("$$") // 2 for part in text)
    looks = sum(len(FIGURE.findall(cell.source)) + _tables(cell) for cell in page.code)
    lines = sum(len(cell.source.splitlines()) for cell in page.code if not cell.tags & (HIDDEN | WORKED))
    return words / WORDS + lines / LINES + equations * PER_EQUATION + looks * PER_LOOK


def _printed(cell: Cell) -> list[str]:
    return [line for out in cell.outputs for line in "".join(out.get("data", {}).get("text/markdown", "")).splitlines()]


def _tables(cell: Cell) -> int:
    lines = ["", *_printed(cell)]
    return sum(line.startswith("|") and not before.startswith("|") for before, line in pairwise(lines))
