"""Each chapter as two notebooks that run alone and read well anywhere: one to work in, one solved.

The build writes them to `notebooks/exercises/` and `notebooks/solved/` of the site. One source: the chapter's notebook.
"""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import json
import re
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

from packaging.requirements import Requirement
from sphinx.application import Sphinx

import alone
import solving
import student
from crossrefs import CrossReferences
from origin import Origin
from plain_markdown import in_strings, plain

Notebook = dict[str, Any]

ALWAYS = ("ipython", "matplotlib")
"""What every chapter needs of the extra `book`, through the library's figures; of the rest, what its code names."""
CALLED_FOR = {"ipywidgets": r"\bfigures\.live\("}
"""What the library needs for one function, and where a chapter calls it."""
EXERCISE = re.compile(r"^### Exercise[^:\n]*: (.+)$", re.MULTILINE)
LICENCES = "Text: [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/). Code: MIT."


def export(notebook: Notebook, references: CrossReferences, *, solved: bool) -> Notebook:
    """Return a chapter as a notebook of its own, without outputs.

    Args:
        notebook: as `json.load` reads it; not changed.
        references: of the chapter's page.
        solved: keep the solutions, else put stubs in their place.
    """
    source = notebook if solved else student.strip(notebook)
    cells, exercise = [first_cell(notebook, references.origin, solved=solved)], ""
    for cell in source["cells"]:
        text = "".join(cell["source"])
        cell = {**cell, "metadata": {key: value for key, value in cell["metadata"].items() if key != "slides"}}
        if cell["cell_type"] == "markdown":
            text = plain(text, references)
            exercise = "".join(EXERCISE.findall(text)[-1:]) or exercise
            cells.append({**cell, "source": _lines(text)})
        elif cell["cell_type"] == "code" and text.strip() != student.STUB:
            text = in_strings(text, references)
            if solved:
                text = student.without_marks(text)
            else:
                text = forgive(text, exercise, grader="grader" in student.tags(cell))
            cells.append(_code(text, cell, exercise))
    cells[1]["source"] = _lines(_signed("".join(cells[1]["source"]), references, solved=solved))
    if works := references.works():
        cells.append(_markdown("works", "### Works cited\n\n" + "\n".join(f"- {work}" for work in works)))
    return {**notebook, "cells": cells}


def copies(notebook: Notebook) -> tuple[str, ...]:
    """Return the kinds of copies that a notebook has: no solved one where its solutions were taken out before."""
    taken_out = student.has(notebook, "exercise") and not student.has(notebook, "solution")
    return ("exercises",) if taken_out else ("exercises", "solved")


def first_cell(notebook: Notebook, origin: Origin, *, solved: bool) -> Notebook:
    """Return the cell that finds or fetches the library and the book's data."""
    parts = [_body(alone)] if solved else [_body(alone), _body(solving)]
    values = map(json.dumps, (origin.repository, origin.commit, packages(notebook)))
    code = "\n\n\n".join([*parts, f"enter_book({', '.join(values)})"])
    return _code(f"# @title Set-up: run this first\n{code}", {"id": "alone", "metadata": {"tags": ["hide-input"]}}, "")


def packages(notebook: Notebook) -> list[str]:
    """Return the distributions that a chapter needs, the library's and its own."""
    code = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    names = set()
    for requirement in map(Requirement, importlib.metadata.requires("cwn_lite") or ()):
        name, marker = requirement.name, requirement.marker
        extra = next((extra for extra in ("", "lab", "book") if not marker or marker.evaluate({"extra": extra})), None)
        named = name in ALWAYS or re.search(CALLED_FOR.get(name, rf"\b{re.escape(name)}\b"), code)
        if extra in ("", "lab") or (extra == "book" and named):
            names.add(name)
    return sorted(names - {"cwn_lite"})


def forgive(code: str, exercise: str, *, grader: bool) -> str:
    r"""Return a cell that goes on where its exercise is not yet solved: a grader, or a stub outside of functions.

    Example:
        >>> print(forgive("def grade(f):\n    ...\n\nprint(grade(f))", "Find f", grader=True))
        def grade(f):
            ...
        <BLANKLINE>
        with solving("Find f"):
            print(grade(f))
    """
    name, lines = json.dumps(exercise, ensure_ascii=False), code.split("\n")
    if not grader:
        said = f'print("not yet solved:", {name})'
        return "\n".join(said if line == student.STUB else line for line in lines)
    start = next(node.lineno for node in ast.parse(code).body if isinstance(node, ast.Expr)) - 1
    return "\n".join([*lines[:start], f"with solving({name}):", textwrap.indent("\n".join(lines[start:]), "    ")])


def collapse(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a cell whose code Jupyter and Colab do not show unasked."""
    return {**metadata, "jupyter": {"source_hidden": True}, "cellView": "form"}


def write_notebooks(app: Sphinx, error: Exception | None) -> None:
    """Write both copies of every notebook into the site."""
    if error is not None or app.builder.format != "html":
        return
    origin = Origin.of(app)
    for docname in sorted(app.env.found_docs):
        path = Path(app.env.doc2path(docname))
        if path.suffix != ".ipynb":
            continue
        notebook = json.loads(path.read_text(encoding="utf8"))
        for folder in copies(notebook):
            made = export(notebook, CrossReferences(app, docname, origin), solved=folder == "solved")
            target = Path(app.outdir) / "notebooks" / folder / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf8")


def _code(text: str, cell: Notebook, exercise: str) -> Notebook:
    """A code cell; what the site hides is collapsed, but not a solution, which is what its copy is for."""
    tags, metadata = student.tags(cell), cell["metadata"]
    if "grader" in tags:
        text = f"# @title Check: {exercise}\n{text}"
    if "grader" in tags or ("hide-input" in tags and "solution" not in tags):
        metadata = collapse(metadata)
    head = {"cell_type": "code", "execution_count": None, "id": cell["id"], "metadata": metadata, "outputs": []}
    return {**head, "source": _lines(text)}


def _markdown(identifier: str, text: str) -> Notebook:
    return {"cell_type": "markdown", "id": identifier, "metadata": {}, "source": _lines(text)}


def _signed(text: str, references: CrossReferences, *, solved: bool) -> str:
    """The first text of a chapter, with where it is from under its title."""
    title, _, rest = text.partition("\n")
    home, copy = references.link("This chapter", "#"), "with solutions" if solved else "to work in"
    return f"{title}\n\n*{home}, as a notebook {copy}. {LICENCES}*\n{rest}"


def _body(module: ModuleType) -> str:
    """What a module holds behind its docstring."""
    source = inspect.getsource(module)
    return "\n".join(source.split("\n")[ast.parse(source).body[0].end_lineno :]).strip()


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("build-finished", write_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
