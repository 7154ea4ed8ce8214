"""Every displayed equation has a label of its page and a test that names it; no test names one that is gone."""

from pathlib import Path

import pytest
from bookcheck.equations import check, equations, formula, labels_with_tests, stale
from bookcheck.pages import all_paths, from_markdown, load


@pytest.mark.parametrize("path", all_paths(), ids=lambda path: path.name)
def test_book(path: Path) -> None:
    assert check(load(path), labels_with_tests()) == []


def test_no_stale_markers() -> None:
    assert stale([load(path) for path in all_paths() if path.is_file()], labels_with_tests()) == []


TESTED = frozenset({"eq:planted:good"})


@pytest.mark.parametrize(
    "display",
    [
        "$$\nx = 1\n$$ (eq:planted:good)",
        "text $$ x = 1 $$ (eq:planted:good) text",
        "```{math}\n:label: eq:planted:good\nx = 1\n```",
        ":::{math}\n:label: eq:planted:good\n\nx = 1\n:::",
    ],
)
def test_good(display: str) -> None:
    assert check(from_markdown(display), TESTED) == []
    assert [equation.tex for equation in equations(from_markdown(display))] == ["x = 1"]


@pytest.mark.parametrize(
    ("display", "problem"),
    [
        ("$$ x = 1 $$", "without a label"),
        ("```{math}\nx = 1\n```", "without a label"),
        ("\\begin{align}\nx &= 1\n\\end{align}", "without a label"),
        ("\\[ x = 1 \\]", "without a label"),
        ("$$ x = 1 $$ (good)", "not of the form eq:planted:<name>"),
        ("$$ x = 1 $$ (eq:other:good)", "not of the form eq:planted:<name>"),
        ("$$ x = 1 $$ (eq:planted:untested)", "no test is marked"),
        ("$$ x = 1 $$ (eq:planted:good)\n\n$$ y = 1 $$ (eq:planted:good)", "used twice"),
    ],
)
def test_bad(display: str, problem: str) -> None:
    assert problem in check(from_markdown(display), TESTED)[0]


def test_code_is_no_equation() -> None:
    assert equations(from_markdown("`$$ x $$` and\n\n```\n$$ x $$\n```\n\ninline $x$, a price of $5 and $6")) == []


def test_stale_label() -> None:
    assert stale([from_markdown("$$ x $$ (eq:planted:good)")], TESTED | {"eq:planted:gone"}) == [
        "a test names eq:planted:gone, which no page displays"
    ]


def test_markers_are_read_from_decorators(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "import pytest\n"
        "@pytest.mark.equation('eq:a:one')\ndef test_one(): pass\n"
        "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.equation('eq:a:two'))])\n"
        "def test_two(x): pass\n"
        "@pytest.mark.equation('eq:a:three')\ndef helper(): pass\n"
        "# @pytest.mark.equation('eq:a:four')\n"
    )
    assert labels_with_tests(tmp_path) == {"eq:a:one", "eq:a:two"}


def test_formula_of_a_label() -> None:
    assert r"\sqrt{c}" in formula("eq:errata:lost-root")
    with pytest.raises(KeyError, match="eq:errata:nowhere"):
        formula("eq:errata:nowhere")
