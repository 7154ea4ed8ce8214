"""The slides of every chapter, and planted ones that break a rule."""

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import chapters as pages_of_chapters
import course
import deck
import deck_page
import pytest
import refresh
import slides
from bookcheck.equations import formula
from bookcheck.numbers import constants
from bookcheck.pages import ROOT, chapters, from_notebook, load
from bookcheck.planting import CHAPTER, Notebook
from bookcheck.slides import check
from plain_markdown import Words

LECTURED = (*chapters(), ROOT / "book" / "verdict.ipynb")
each = pytest.mark.parametrize("path", LECTURED, ids=lambda path: path.name)
POINT = {"title": "One thing", "points": ["So it is."]}
FORMULA = "## Derivation\n\nSo\n\n$$\na = b .\n$$ (eq:planted:one)\n\n### Then\n\nAnd so on."


def read(path: Path) -> Notebook:
    return dict(json.loads(path.read_text(encoding="utf8")))


@each
def test_book(path: Path) -> None:
    assert check(load(path), frozenset(constants())) == []


@each
def test_formulas_are_those_of_the_page(path: Path) -> None:
    made = deck.slides(read(path), Words())
    labels = re.findall(r'"show": "(eq:[^"]+)"', path.read_text(encoding="utf8"))
    shown = [slide.shown.source for slide in made if slide.shown and slide.shown.kind == "formula"]
    assert shown == [formula(label) for label in labels]


@each
def test_a_deck_holds_no_solution_and_nothing_from_elsewhere(path: Path, hidden: set[str], tmp_path: Path) -> None:
    whole = read(path)
    outputs = {cell["id"]: cell.get("outputs", []) for cell in whole["cells"]}
    students = course.for_students(whole)
    for cell in students["cells"]:
        if cell["cell_type"] == "code" and "solution" not in cell["metadata"].get("tags", []):
            cell["outputs"] = outputs[cell["id"]]  # as the build without solutions prints them
    made = deck.slides(students, Words())
    target = tmp_path / "deck.html"
    target.write_text(deck_page.page(made, book="", number="1", question="", minutes=1, font=False), encoding="utf8")
    assert list(course.leaks([target], hidden)) == []
    asked = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?((?!#|data:)[^"\'\s>)]+)', target.read_text(encoding="utf8"))
    assert [link for link in asked if not link.startswith("http")] == []
    assert not re.search(r"<(?:img|link|iframe|script)[^>]+(?:src|href)=\"(?!data:)", target.read_text(encoding="utf8"))


@pytest.fixture(scope="module")
def hidden() -> set[str]:
    return course.secrets()


def test_all_chapters_of_the_contents_have_slides() -> None:
    numbered = (ROOT / "_toc.yml").read_text(encoding="utf8").partition("caption: Reference")[0]
    assert {path.stem for path in LECTURED} == set(re.findall(r"file: book/(\w+)", numbered))


# ---- Planted ----


def planted(**changes: Any) -> Notebook:
    """A chapter of eight slides; `changes` are of the second one."""
    notebook = deepcopy(CHAPTER)
    cells = notebook["cells"]
    cells[2]["source"] = "## The question\n\nWhy?\n\n" + FORMULA
    cells[2]["metadata"]["slides"] = [{**POINT, "show": "eq:planted:one", **changes}, {**POINT, "from": "### Then"}]
    cells[3]["outputs"] = [{"output_type": "display_data", "data": {"text/markdown": "Seen."}}]
    cells[3]["metadata"]["slides"] = [{**POINT, "show": "output"}]
    cells[4]["metadata"]["slides"] = [{**POINT, "title": "What the paper says"}]
    cells[5]["metadata"]["slides"] = [POINT]
    cells[6]["source"] = "```{exercise} Double it\n*Computational.* Do.\n```"
    cells[14]["outputs"] = [{"output_type": "display_data", "data": {"text/plain": "1. So?\n   (a) Yes.\n   (b) No."}}]
    cells[14]["metadata"]["slides"] = [{"show": "question 1"}]
    return notebook


def test_a_planted_deck() -> None:
    notebook = planted()
    made = deck.slides(notebook, Words())
    assert [slide.title for slide in made[4:]] == [
        "What the paper says",
        "One thing",
        "Ask the room",
        "Exercises to set",
    ]
    assert made[1].notes.strip() == "## The question\n\nWhy?\n\n## Derivation\n\nSo\n\n$$\na = b . \\tag{}\n$$"
    assert made[2].notes == "### Then\n\nAnd so on."
    assert "That." in made[5].notes and "## Exercises" not in made[5].notes
    assert "Everything." not in str(made) and "Because." not in str(made), "solutions do not"
    assert made[-1].shown == deck.Shown("exercises", [("Double it", "computational")])
    assert [slide.starts for slide in made] == sorted(slide.starts for slide in made)
    assert check(from_notebook(notebook)) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"title": ""}, "needs a title"),
        ({"colour": "red"}, "no other keys"),
        ({"show": "eq:planted:two"}, "no formula eq:planted:two, but eq:planted:one"),
        ({"show": "picture"}, "`show` is 'picture'"),
        ({"show": "code"}, "no block of code"),
        ({"show": "output"}, "printed nothing"),
        ({"show": "question 1"}, "0 questions"),
        ({"from": "Nowhere"}, "0 lines begin with 'Nowhere'"),
        ({"points": ["word " * 50]}, "52 words are more than 45"),
        ({"points": ["It errs on 4.25 % of them."]}, "typed number 4.25%"),
        ({"points": ["As {cite}`ikami2021` say."]}, "the role {cite}"),
        ({"points": ["{paper}`4.26 <table4.cifar10.constant.0.4>`"]}, "the page says 4.26"),
        ({"points": list("abcdef")}, "6 points"),
    ],
)
def test_broken(changes: dict[str, Any], problem: str) -> None:
    (found,) = check(from_notebook(planted(**changes)))
    assert problem in found


def test_too_few_slides_and_no_question_and_no_paper_are_seen() -> None:
    found = check(from_notebook(CHAPTER))
    assert len(found) == 3 and "1 slides are not 8 to 14" in found[0]


@pytest.mark.parametrize("cell", [6, 7, 8, 10])
def test_what_solves_is_on_no_slide(cell: int) -> None:
    notebook = planted()
    notebook["cells"][cell]["metadata"]["slides"] = [POINT]
    assert "is on no slide" in check(from_notebook(notebook))[0]


def test_long_code_is_refused_and_one_function_taken() -> None:
    source = "\n".join([*(f"x{i} = {i}" for i in range(20)), "", "", "@cache", "def f(x):", "    return x"])
    cell = {"cell_type": "code", "source": source, "metadata": {"tags": []}, "outputs": []}
    with pytest.raises(ValueError, match="25 lines of code"):
        deck._code(cell, "")
    assert deck._code(cell, "f") == "@cache\ndef f(x):\n    return x"
    with pytest.raises(ValueError, match="0 functions of the cell are called g"):
        deck._code(cell, "g")


def test_answers_come_from_the_built_quiz() -> None:
    choices = [
        {"text": "Yes.", "holds": False, "feedback": "No."},
        {"text": "No.", "holds": True, "feedback": "Right."},
    ]
    assert deck._answers({"prompt": "?", "choices": choices}).splitlines() == [
        "- **(a): not this one.** No.",
        "- **(b): right.** Right.",
    ]


def test_a_quote_of_the_paper_stands_as_its_number() -> None:
    made = deck.slides(planted(points=["Down to {paper}`4.25 <table4.cifar10.constant.0.4>` %."]), Words())
    text = deck_page.page(made, book="", number="1", question="", minutes=1, font=False)
    assert "<li>Down to 4.25 %.</li>" in text and "{paper}" not in text


def test_links_between_chapters_are_words_in_a_file_that_is_alone() -> None:
    choices = [{"text": "In [*it*](signals.ipynb).", "holds": True, "feedback": "See [there](signals.ipynb)."}]
    notebook = planted()
    notebook["cells"][14]["outputs"][0]["metadata"] = {"cwn_quiz": [{"prompt": "So?", "choices": choices}]}
    made = deck.slides(notebook, Words())
    page = deck_page.page(made, book="", number="1", question="", minutes=1, font=False)
    assert "In <em>it</em>." in page and "See there." in page and ".ipynb" not in page


def test_a_table_can_be_cut() -> None:
    table = "| a | $\\|x\\|$ | c |\n|---|---|---|\n| 1 | 2 | 3 |\n\nThen.\n\n| other |\n|---|\n"
    cell = {"outputs": [{"data": {"text/markdown": table}}]}
    assert deck._output(cell, Words(), 2).source == "| a | $\\|x\\|$ |\n|---|---|\n| 1 | 2 |"
    assert "other" not in deck._output(cell, Words(), 0).source


def test_slides_move_no_notebook_and_outlast_a_refresh() -> None:
    notebook = planted()
    folded = pages_of_chapters.fold_cells(deepcopy(notebook))
    assert not slides.has_slides(folded), "the cache of executed notebooks is asked without them"
    assert slides.has_slides(refresh.text_only(notebook))


def test_the_decks_are_listed_where_the_course_is_planned() -> None:
    assert f"\n{slides.MARK}\n" in (ROOT / "book" / "teaching.md").read_text(encoding="utf8")
