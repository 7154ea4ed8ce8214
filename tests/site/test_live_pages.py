"""Figures with sliders on the site: still ones. No page holds a widget, its state, or a script from elsewhere."""

from __future__ import annotations

import html
import json
import re
import warnings
from pathlib import Path
from typing import Any

import browse
import pytest
import takeaway
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

CALL = "figures.live("
DEMO = """
import matplotlib.pyplot as plt
from cwn_lite import figures
def draw(x):
    fig, ax = plt.subplots()
    ax.plot([0, x])
    return fig, "It rises."
figures.live(draw, alt="A line that rises or falls.", x=figures.Dial("slope", (0, 1), 1))
"""
OFFER = "In the notebook this figure is live: sliders change the slope, and the code runs again."
WIDGET = re.compile(r"jupyter\.widget|jupyter-widgets|html-manager|require(?:\.min)?\.js|cdnjs|jsdelivr|unpkg")


def chapter(source: str) -> dict[str, Any]:
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
    title = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# Page"}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": [title, cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def built(folder: Path, *extensions: str) -> str:
    """Build a book of one page, which is executed, and return the page."""
    (folder / "index.ipynb").write_text(json.dumps(chapter(DEMO)), encoding="utf8")
    settings = {
        "extensions": ["myst_nb", *extensions],
        "source_suffix": {".rst": "restructuredtext"},  # else MyST-NB adds its own to the default of all builds
        "nb_execution_mode": "force",
        "nb_execution_raise_on_error": True,
        "html_theme": "basic",
    }
    with docutils_namespace(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of extensions, on what Sphinx will change
        Sphinx(folder, None, folder / "out", folder / "trees", "html", settings, status=None, warning=None).build()
    return (folder / "out" / "index.html").read_text(encoding="utf8")


@pytest.mark.slow
def test_the_build_says_that_it_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CWN_LITE_STILL", "")  # and as it was before, afterwards
    page = built(tmp_path, "printed")
    assert OFFER in page and "<svg" in page
    assert not WIDGET.search(page)


@pytest.mark.slow
def test_a_build_that_does_not_would_ask_other_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CWN_LITE_STILL", raising=False)
    assert WIDGET.search(built(tmp_path)), "the rule below could not fail"


@pytest.mark.parametrize("name", browse.pages())
def test_no_page_of_the_book_holds_a_widget(name: str) -> None:
    path, source = browse.HTML / f"{name[:-5]}.html", (browse.ROOT / name).with_suffix(".ipynb")
    if not path.is_file():
        pytest.skip("the book is not built: run `make book`")
    page = path.read_text(encoding="utf8")
    assert not WIDGET.search(page)
    cells = json.loads(source.read_text(encoding="utf8"))["cells"] if source.is_file() else []
    calls = sum(CALL in "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert html.unescape(page).count("this figure is live: sliders change the") == calls


def test_a_copy_to_take_away_gets_what_the_sliders_need() -> None:
    assert "ipywidgets" in takeaway.packages(chapter(DEMO))
    assert "ipywidgets" not in takeaway.packages(chapter("figures.show(fig)"))


def demos(path: Path) -> list[str]:
    """The cells of a notebook with a live figure."""
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    return [text for text in ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code") if CALL in text]


WITH_SLIDERS = [path for path in sorted((browse.ROOT / "book").glob("*.ipynb")) if demos(path)]


@pytest.mark.parametrize("path", WITH_SLIDERS, ids=lambda path: path.stem)
def test_copies_keep_the_sliders(path: Path) -> None:
    for kind in ("exercises", "solved"):
        copy = browse.HTML / "notebooks" / kind / path.name
        if not copy.is_file():
            pytest.skip("the book is not built: run `make book`")
        assert demos(copy) == demos(path)
        first = json.loads(copy.read_text(encoding="utf8"))["cells"][0]
        assert '"ipywidgets"' in "".join(first["source"])
