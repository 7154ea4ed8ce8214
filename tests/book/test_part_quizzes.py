"""The last chapter of each part connects the part's chapters in a quiz."""

from pathlib import Path

import pytest
from bookcheck.pages import from_notebook, load
from bookcheck.parts import REVIEW, check, lasts
from bookcheck.planting import CHAPTER, Notebook, code, markdown, notebook

PART = ("before", "planted")
FOUR = "quiz(one, two, three, Question('Which?', ['See [the chapter](before.ipynb).']))"


def planted(*last: Notebook) -> Notebook:
    """The planted chapter with a quiz of its own and these cells before its references."""
    return notebook(*CHAPTER["cells"][:-2], code("quiz(own)"), *last, CHAPTER["cells"][-1])


@pytest.mark.parametrize("path", lasts(), ids=lambda path: path.name)
def test_book(path: Path) -> None:
    assert check(load(path), lasts()[path]) == []


def test_every_numbered_part_ends_with_a_chapter() -> None:
    assert len(lasts()) == 5
    assert all(path.stem in part for path, part in lasts().items())


def test_planted_chapter() -> None:
    assert check(from_notebook(planted(markdown(REVIEW), code(FOUR))), PART) == []


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (CHAPTER, "has no heading"),
        (planted(code(FOUR)), "has no heading"),
        (planted(markdown(REVIEW)), "0 quizzes"),
        (planted(markdown(REVIEW), code("quiz(one)"), code(FOUR)), "2 quizzes"),
        (planted(markdown(REVIEW), code("quiz(one, two, '[x](before.ipynb)')")), "3 questions"),
        (planted(markdown(REVIEW), code("quiz(1, 2, 3, 4, 5, 6, '[x](before.ipynb)')")), "7 questions"),
        (planted(markdown(REVIEW), code("quiz(1, 2, 3, '[x](planted.ipynb)')")), "links ['before']"),
        (notebook(*CHAPTER["cells"][:-2], markdown(REVIEW), code(FOUR), CHAPTER["cells"][-1]), "own quiz"),
        (notebook(*CHAPTER["cells"], markdown(REVIEW), code(FOUR)), "does not stand"),
    ],
)
def test_broken(broken: Notebook, problem: str) -> None:
    assert any(problem in found for found in check(from_notebook(broken), PART))
