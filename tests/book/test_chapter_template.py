"""Every chapter follows the template."""

from pathlib import Path

import pytest
from bookcheck.pages import all_paths, chapters, from_notebook, in_contents, load
from bookcheck.planting import ALT, CHAPTER, Notebook, code, markdown, replaced, without
from bookcheck.template import check


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.name)
def test_book(path: Path) -> None:
    assert check(load(path)) == []


def test_planted_chapter() -> None:
    assert check(from_notebook(CHAPTER)) == []
    one_cell = without(4)
    one_cell["cells"][4] = markdown("## What the paper says\n\nThis.\n\n## Summary\n\n- That.\n\n## Exercises")
    assert check(from_notebook(one_cell)) == []


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (replaced(0, markdown("# A chapter\n\n```{admonition} Objectives\n```")), "minutes"),
        (replaced(0, markdown("# A chapter\n\nAbout 20 minutes.")), "Objectives"),
        (replaced(0, markdown("A chapter\n\n```{admonition} Objectives\n20 minutes\n```")), "title"),
        (without(3), "no explorable"),
        (replaced(4, markdown("## Results")), "paper"),
        (without(5), "no section ## Summary"),
        (without(13), "no section ## Quiz"),
        (without(14), "figures.quiz"),
        (without(15), "no section ## References"),
        (replaced(15, markdown("## References\n\nNone.")), "cites nothing"),
        (replaced(5, markdown("## Exercises\n\n## Summary")), "in this order"),
        (replaced(14, code(f"explorable('late', alt='{ALT}')")), "figures.quiz"),
    ],
)
def test_broken(broken: Notebook, problem: str) -> None:
    assert any(problem in found for found in check(from_notebook(broken)))


@pytest.mark.parametrize("path", in_contents(), ids=lambda path: path.name)
def test_every_page_of_the_contents_exists(path: Path) -> None:
    assert path.is_file(), f"_toc.yml lists {path.name}, which is missing"


def test_pages_are_found() -> None:
    names = {path.name for path in all_paths()}
    assert {"index.md", "errata.md", "notation.md", "references.md"} <= names
    assert not any(path.name == "README.md" for path in all_paths())
