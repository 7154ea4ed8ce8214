"""Minutes are honest: a chapter takes about as long as its first cell says."""

import re
from pathlib import Path

import pytest
from bookcheck.minutes import PROMISE, WITHIN, WORDS, check, reading_time
from bookcheck.pages import BOOK, chapters, from_notebook, load
from bookcheck.planting import Notebook, code, markdown


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.name)
def test_book(path: Path) -> None:
    assert check(load(path)) == []


def test_the_front_page_has_the_same_minutes() -> None:
    rows = re.findall(
        r"^\| \[\]\((\w+\.ipynb)\) \|.*\| (\d+) \|$", (BOOK / "index.md").read_text(encoding="utf8"), re.MULTILINE
    )
    promised = {path.name: PROMISE.search(load(path).cells[0].source) for path in chapters()}
    assert {name: minutes for name, minutes in rows if name in promised} == {n: m and m[1] for n, m in promised.items()}


def planted(promise: str, words: int) -> Notebook:
    return {"cells": [markdown(promise), markdown("word " * words), markdown("An exercise.", "exercise")]}


def test_what_is_counted() -> None:
    page = from_notebook({"cells": [markdown("word " * WORDS), markdown("$$\na = b\n$$ (eq:x:y)")]})
    assert reading_time(page) == pytest.approx(1.5, abs=0.05)
    table = {"output_type": "display_data", "data": {"text/markdown": "Two:\n\n| a |\n|---|\n| 1 |"}}
    shown = from_notebook({"cells": [code("figures.show(fig)\nx = 1", "hide-input", outputs=[table])]})
    assert reading_time(shown) == pytest.approx(2, abs=0.05)  # a figure and a table; hidden code is not read
    assert reading_time(from_notebook({"cells": [code("x = 1\n" * 30)]})) == 2


def test_a_promise_within_a_third_is_kept() -> None:
    for minutes in (20, 26):
        assert (
            check(from_notebook(planted(f"About {minutes + 10} minutes; {minutes} without the exercises.", 20 * WORDS)))
            == []
        )


@pytest.mark.parametrize(
    ("promise", "problem"),
    [
        ("About 30 minutes; 14 without the exercises.", "14 minutes of reading"),
        ("About 60 minutes; 20 without the exercises.", "60 minutes in all"),
        ("About 30 minutes.", "does not say"),
    ],
)
def test_broken(promise: str, problem: str) -> None:
    assert 0 < WITHIN < 1
    assert any(problem in found for found in check(from_notebook(planted(promise, 20 * WORDS))))
