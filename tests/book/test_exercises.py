"""Every chapter has its exercises, every solution passes its grader, and no stub does."""

import json
from pathlib import Path

import pytest
from bookcheck import grading
from bookcheck.exercises import check, exercises
from bookcheck.pages import chapters, from_notebook, load
from bookcheck.planting import CHAPTER, Notebook, code, markdown, notebook, replaced, without


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.name)
def test_book(path: Path) -> None:
    assert check(load(path)) == []


@pytest.mark.slow
@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.name)
def test_graders_of_the_book(path: Path) -> None:
    assert grading.check(path) == []


def test_planted_chapter() -> None:
    page = from_notebook(CHAPTER)
    assert check(page) == [] and len(exercises(page)) == 3
    assert grading.grade(CHAPTER) == []


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (without(11), "no exercise of the kind exercise-open"),
        (without(7), "no cell is tagged solution"),
        (without(8), "come together"),
        (without(10), "no cell is tagged solution"),
        (replaced(7, markdown("2x", "solution")), "solved by a code cell"),
        (replaced(6, markdown("Double it.", "exercise")), "tag one cell with one of"),
        (replaced(14, code("quiz()", "grader")), "outside of an exercise"),
        (notebook(markdown("# Empty")), "no exercise of the kind"),
    ],
)
def test_structure(broken: Notebook, problem: str) -> None:
    assert any(problem in found for found in check(from_notebook(broken)))


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (replaced(8, code("assert callable(double)", "grader")), "grader 1: the stub passes"),
        (replaced(8, code("assert double(3) == 7", "grader")), "grader 1: the solution fails: AssertionError"),
        (without(1), "grader 1: the solution fails: NameError"),
    ],
)
def test_graders(broken: Notebook, problem: str) -> None:
    assert grading.grade(broken)[0].startswith(problem)


def test_a_stub_finds_nothing_that_a_solution_left() -> None:
    answer = "### BEGIN SOLUTION\nlevel = 2\n### END SOLUTION"
    named = replaced(8, code("assert level + offset == 3", "grader"))
    named["cells"][7]["source"] = answer
    assert grading.grade(named) == []


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "chapter.ipynb"
    path.write_text(json.dumps(replaced(8, code("print(double)", "grader"))))
    assert grading.check(path) == ["grader 1: the stub passes"]
    path.write_text(json.dumps(replaced(1, code("import nowhere_to_be_found", "setup"))))
    assert "nowhere_to_be_found" in grading.check(path)[0]
