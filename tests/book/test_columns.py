"""Shown code is at most 76 columns wide."""

from pathlib import Path

import pytest
from bookcheck.columns import WIDTH, check
from bookcheck.pages import from_notebook, load, notebooks
from bookcheck.planting import Notebook, code, notebook

LONG = "x = 1  # " + "o" * (WIDTH - 8)


def shown(text: str) -> Notebook:
    """A cell in which `figures.source` printed a text."""
    data = {"text/markdown": f"```python\n{text}\n```", "text/plain": text}
    return code("source(f)", "hide-input", outputs=[{"output_type": "display_data", "metadata": {}, "data": data}])


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.name)
def test_book(path: Path) -> None:
    assert check(load(path)) == []


@pytest.mark.parametrize("cell", [code(LONG[:-1]), code(LONG, "setup"), code(LONG, "hide-input"), shown(LONG[:-1])])
def test_planted_cells(cell: Notebook) -> None:
    assert check(from_notebook(notebook(cell))) == []


@pytest.mark.parametrize("cell", [code(LONG), code(LONG, "solution"), code(LONG, "grader"), shown(LONG)])
def test_broken(cell: Notebook) -> None:
    assert check(from_notebook(notebook(cell))) == [f"cell 0: 77 columns, not 76: {LONG[:50]}"]
