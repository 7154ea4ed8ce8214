"""Each part of the book ends with questions that connect its chapters."""

import ast
import re
from functools import cache
from pathlib import Path

from bookcheck.pages import ROOT, Page, load

REVIEW = "### The part in review"
LINK = re.compile(r"\]\((\w+)\.ipynb\)")


def check(page: Page, part: tuple[str, ...]) -> list[str]:
    """Return what the last chapter of a part lacks of the part's quiz.

    Args:
        page: the chapter.
        part: names of all chapters of its part.
    """
    places = {line: cell.index for cell in page.markdown for line in cell.source.splitlines()}
    if REVIEW not in places:
        return [f"{page.name} ends a part and has no heading {REVIEW}"]
    start, end = places.get("## Quiz", len(page.cells)), places.get("## References", -1)
    if not start < places[REVIEW] < end:
        return [f"{REVIEW} does not stand behind the chapter's own quiz"]
    own = [cell for cell in page.code if start < cell.index < places[REVIEW] and _questions(cell.source)]
    review = [cell for cell in page.code if places[REVIEW] < cell.index < end and _questions(cell.source)]
    problems = [] if own else ["the chapter's own quiz does not stand before the part's"]
    if len(review) != 1:
        return [*problems, f"{len(review)} quizzes below {REVIEW}, not one"]
    questions = _questions(review[0].source)
    if not 4 <= len(questions) <= 6:
        problems.append(f"the part's quiz has {len(questions)} questions, not four to six")
    source = review[0].source
    linked = set(LINK.findall(source))
    missing = set(part) - linked - {page.name}
    if missing:
        problems.append(f"no feedback of the part's quiz links {sorted(missing)}")
    return problems


@cache
def lasts() -> dict[Path, tuple[str, ...]]:
    """The last chapter with a quiz of each numbered part, and the names of the part's chapters up to it."""
    parts = re.split(r"- caption:", (ROOT / "_toc.yml").read_text(encoding="utf-8"))[1:]
    found = {}
    for part in parts:
        paths = [ROOT / f"{name}.ipynb" for name in re.findall(r"file:\s*(\S+)", part) if "numbered" in part]
        with_quiz = [path for path in paths if any("## Quiz" in cell.source for cell in load(path).markdown)]
        if with_quiz:
            found[with_quiz[-1]] = tuple(path.stem for path in paths)
    return found


def _questions(source: str) -> list[ast.expr]:
    """The questions of the quizzes that a cell shows."""
    return [
        question
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and "quiz" in (getattr(node.func, "attr", ""), getattr(node.func, "id", ""))
        for question in node.args
    ]
