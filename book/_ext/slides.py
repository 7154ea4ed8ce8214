"""Slides of every chapter: the build writes a deck to `slides/`, and lists the decks where a page says `% SLIDES`."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
from jupyter_cache import get_cache
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

import deck
import deck_page
import outward
from chapter_numbers import chapter_number
from chapters import fold_cells
from crossrefs import CrossReferences
from origin import Origin

FOLDER = "slides"
MARK = "% SLIDES"

Notebook = dict[str, Any]


def has_slides(notebook: Notebook) -> bool:
    """Return whether a notebook chooses any."""
    return any(cell["metadata"].get(deck.KEY) for cell in notebook["cells"])


def executed(notebook: Notebook, cache: Path) -> Notebook:
    """Return a notebook with the outputs of the build, from its cache.

    Raises:
        ExtensionError: the build has not executed it.
    """
    folded = nbformat.reads(json.dumps(fold_cells(deepcopy(notebook))), as_version=4)
    try:
        _, run = get_cache(cache).merge_match_into_notebook(folded)
    except KeyError as error:
        raise ExtensionError("slides: the cache of executed notebooks lacks a chapter") from error
    cells = [
        {**own, "outputs": ran["outputs"]} if own["cell_type"] == "code" else own
        for own, ran in zip(notebook["cells"], run.cells, strict=True)
    ]
    return {**notebook, "cells": cells}


def table(names: list[tuple[str, int]]) -> str:
    """Return the list of decks as Markdown.

    Args:
        names: of the chapters, with the number of their slides.

    Example:
        >>> print(table([("start", 9)]))
        | chapter | slides |
        | --- | ---: |
        | [](start.ipynb) | <a href="../slides/start.html" aria-label="9 slides, start">9</a> |
    """
    rows = [
        f'| []({name}.ipynb) | <a href="../{FOLDER}/{name}.html" aria-label="{count} slides, {name}">{count}</a> |'
        for name, count in names
    ]
    return "\n".join(["| chapter | slides |", "| --- | ---: |", *rows])


def list_decks(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the list in the place of its mark."""
    if f"\n{MARK}\n" not in source[0]:
        return
    folder, named = Path(app.env.doc2path(docname)).parent, []
    known = [Path(page).name for page in outward.known(app)]  # in the order of the front page
    for path in (folder / f"{name}.ipynb" for name in known):
        if path.is_file() and has_slides(notebook := json.loads(path.read_text(encoding="utf8"))):
            chosen = sum(len(cell["metadata"].get(deck.KEY, [])) for cell in notebook["cells"])
            exercises = any("exercise" in cell["metadata"].get("tags", []) for cell in notebook["cells"])
            named.append((path.stem, 1 + chosen + exercises))
    source[0] = source[0].replace(MARK, table(named), 1)


def write_decks(app: Sphinx, error: Exception | None) -> None:
    """Write the slides of each notebook that has any."""
    if error is not None or app.builder.format != "html":
        return
    out, said = Path(app.outdir), outward.known(app)
    for docname in sorted(app.env.found_docs):
        path = Path(app.env.doc2path(docname))
        if path.suffix != ".ipynb" or not has_slides(notebook := json.loads(path.read_text(encoding="utf8"))):
            continue
        notebook = executed(notebook, out.parent / ".jupyter_cache")
        made = deck.slides(notebook, CrossReferences(app, docname, Origin.of(app)))
        target = out / FOLDER / f"{path.stem}.html"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(
            deck_page.page(
                made,
                book=app.config.html_title,
                number=chapter_number(app.env, docname),
                question=said.get(docname, ""),
                minutes=deck.minutes(notebook, made),
            ),
            encoding="utf8",
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension; it works after all that change the pages, of which decks are none."""
    app.connect("source-read", list_decks)
    app.connect("build-finished", write_decks, priority=990)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
