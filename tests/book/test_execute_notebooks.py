"""Notebooks that the build would execute one by one are executed beside each other, and only when it has to be."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from bookcheck.pages import ROOT
from bookcheck.planting import code, notebook
from chapters import fold_cells
from jupyter_cache import get_cache

HERE = "from pathlib import Path\nprint(Path.cwd().name, Path('beside.txt').read_text())"


def execute(cache: Path, *notebooks: Path) -> str:
    """Run the command; return what it said."""
    command = [sys.executable, ROOT / "book" / "_ext" / "execute.py", "--cache", cache, *notebooks]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.slow
def test_the_cache_is_what_the_build_looks_for(tmp_path: Path) -> None:
    book, cached = tmp_path / "book", tmp_path / "cache"
    book.mkdir()
    (book / "beside.txt").write_text("found")
    paths = {name: book / f"{name}.ipynb" for name in ("good", "bad")}
    paths["good"].write_text(json.dumps(notebook(code(HERE, "grader", count=None))))
    paths["bad"].write_text(json.dumps(notebook(code("1 / 0", count=None))))

    said = execute(cached, *paths.values())
    assert "good.ipynb: executed" in said and "bad.ipynb: failed" in said
    # As the build asks, which has folded the cells by then.
    asked = (json.dumps(fold_cells(json.loads(path.read_text()))) for path in paths.values())
    good, bad = (nbformat.reads(text, as_version=4) for text in asked)
    _, merged = get_cache(cached).merge_match_into_notebook(good)
    assert merged.cells[0].outputs[0].text == "book found\n"
    with pytest.raises(KeyError):  # the build executes it and shows the error
        get_cache(cached).match_cache_notebook(bad)

    assert execute(cached, paths["good"]) == ""
