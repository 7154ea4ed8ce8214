"""Every symbol of a displayed formula is named in a sentence by then, and stands on the notation page."""

from pathlib import Path

import pytest
from bookcheck.pages import BOOK, all_paths, chapters, from_notebook, load
from bookcheck.planting import markdown
from bookcheck.symbols import check, symbols, unlisted

NOTATION = BOOK / "notation.md"


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.name)
def test_book(path: Path) -> None:
    page = load(path)
    assert check(page) == []
    assert unlisted(page, load(NOTATION)) == set()


@pytest.mark.parametrize(
    ("tex", "found"),
    [
        (r"\tilde w_i = \sqrt{c} \, x", {"tilde w", "w", "i", "c", "x"}),
        (r"\operatorname{E}[\gamma] \in \mathbb R^{n}", {"gamma", "n"}),
        (r"\mathbf 1^\top \mathcal{M}", {"bf 1", "cal M"}),
        (r"V_{\mathrm{bn}} = 8 A", {"V", "A"}),
        (r"\hat{g} \, \varepsilon", {"hat g", "g", "varepsilon"}),
        (r"\begin{aligned} a &= \frac{1}{2} \end{aligned}", {"a"}),
    ],
)
def test_what_a_symbol_is(tex: str, found: set[str]) -> None:
    assert symbols(tex) == found


@pytest.mark.parametrize(
    ("texts", "missing"),
    [
        (["A row $w$ has\n\n$$\n\\lVert w \\rVert^2 = c .\n$$ (eq:planted:norm)"], ["c"]),
        (["$$\nx = 1\n$$ (eq:planted:x)", "Here $x$ is a number."], ["x"]),  # too late
        (["A row $w$.", "$$\n\\tilde w = w\n$$ (eq:planted:w)"], ["tilde w"]),  # another symbol
        (["$$\nx = y\n$$ (eq:planted:x)\n\nwhere $y$ is the output of $x$."], []),  # in the sentence that it is part of
    ],
)
def test_planted(texts: list[str], missing: list[str]) -> None:
    problems = check(from_notebook({"cells": [markdown(text) for text in texts]}))
    assert [problem.rpartition("names ")[2] for problem in problems] == missing


def test_a_symbol_that_the_notation_page_lacks_is_found() -> None:
    planted = from_notebook({"cells": [markdown("$$\n\\iota = \\ell\n$$ (eq:planted:iota)")]})
    assert NOTATION in all_paths()
    assert "iota" in unlisted(planted, load(NOTATION))
