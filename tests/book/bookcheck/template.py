"""The template that every chapter follows, so that a reader always knows where things are."""

import ast
import re

from bookcheck.pages import Page
from bookcheck.prose import without_code

OBJECTIVES = re.compile(r"^(?:`{3,}|:{3,})\{admonition\}[ \t]*Objectives", re.MULTILINE)
MINUTES = re.compile(r"\b\d+\s+minutes\b")
CLOSING = ("Summary", "Exercises", "Quiz", "References")


def check(page: Page) -> list[str]:
    """Return what a chapter lacks of: title, objectives, minutes, explorable, paper, summary ... references."""
    problems = []
    first = page.cells[0]
    if first.kind != "markdown" or not re.match(r"# \S", first.source):
        problems.append("the first cell does not start with the title")
    if not OBJECTIVES.search(first.source):
        problems.append("the first cell has no admonition Objectives")
    if not MINUTES.search(first.source):
        problems.append("the first cell does not say how many minutes the chapter takes")
    headings = _headings(page)
    places = dict(reversed(headings))  # the first place of each
    missing = [name for name in CLOSING if name not in places]
    problems += [f"no section ## {name}" for name in missing]
    if missing:
        return problems
    if [name for name, _ in headings if name in CLOSING] != list(CLOSING):
        problems.append(f"the chapter must end with {', '.join(CLOSING)}, in this order")
    before_summary = [name for name, _ in headings][: [name for name, _ in headings].index("Summary")]
    if not any("paper" in name.lower() for name in before_summary):
        problems.append("no section before the summary says what the paper claims")
    if not any(index < places["Summary"] for index in _calls(page, "explorable")):
        problems.append("no explorable before the summary")
    if not any(places["Quiz"] <= index <= places["References"] for index in _calls(page, "quiz")):
        problems.append("no call of figures.quiz in the section Quiz")
    if not any("{cite" in cell.source for cell in page.cells if cell.index >= places["References"]):
        problems.append("the section References cites nothing")
    return problems


def _headings(page: Page) -> list[tuple[str, int]]:
    """Second-level headings and the cells they stand in."""
    return [
        (heading.strip(), cell.index)
        for cell in page.markdown
        for heading in re.findall(r"^## (.+)$", without_code(cell.source), re.MULTILINE)
    ]


def _calls(page: Page, name: str) -> list[int]:
    """The code cells that call a function, whatever it is imported as."""
    return [
        cell.index
        for cell in page.code
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and name in (getattr(node.func, "attr", ""), getattr(node.func, "id", ""))
    ]
