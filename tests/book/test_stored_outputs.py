"""Stored outputs are text, the same on every machine, and all there."""

from pathlib import Path
from typing import Any

import pytest
from bookcheck.pages import from_notebook, load, notebooks
from bookcheck.planting import CHAPTER, code, notebook
from bookcheck.stored import check


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.name)
def test_book(path: Path) -> None:
    assert check(load(path)) == []


def test_planted_chapter() -> None:
    assert check(from_notebook(CHAPTER)) == []


def shown(**data: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {kind.replace("_", "/"): text for kind, text in data.items()}}


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (shown(image_png="iVBOR"), "stored image/png"),
        (shown(**{"image_svg+xml": "<svg/>"}, text_plain="alt"), "stored image/svg+xml"),
        (shown(text_html="<b>x</b>"), "stored text/html"),
        (shown(text_plain="<Generator at 0x7f00aabbcc>"), "address 0x7f00aabbcc"),
        ({"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []}, "stored error ValueError"),
        ({"output_type": "stream", "name": "stdout", "text": ["saved ", "/home/user/x.json"]}, "path /home/user"),
        ({"output_type": "stream", "name": "stdout", "text": "C:\\Users"}, "absolute path"),
        ({"output_type": "stream", "name": "stderr", "text": "a warning"}, "stderr"),
    ],
)
def test_bad(output: dict[str, Any], problem: str) -> None:
    assert problem in check(from_notebook(notebook(code("x", outputs=[output]))))[0]


@pytest.mark.parametrize(
    "text", ["0x12", "a ratio 3/4, and/or", "https://example.org/a/b", "book/results/x.json", "$a/b/c$"]
)
def test_good(text: str) -> None:
    assert check(from_notebook(notebook(code("x", outputs=[shown(text_markdown=text)])))) == []


def test_every_cell_was_run() -> None:
    assert "not executed" in check(from_notebook(notebook(code("x = 1", count=None))))[0]
    assert check(from_notebook(notebook(code(" \n", count=None)))) == []
