"""What every chapter page gets beside its text: folded solutions, and its notebooks to download.

The site is static, so a reader who wants to run a chapter takes it along; takeaway.py writes the copies. With the
environment variable REPOSITORY_URL set to the book's home on GitHub, a link that opens one in Colab is added; without
it the pages name no other host.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

import student
from origin import Origin

# Tag of a cell -> what its folded input is called.
FOLDED = {"solution": "a solution", "grader": "the checks"}


def fold_cells(notebook: dict[str, Any]) -> dict[str, Any]:
    """Hide the input of solutions and graders behind a line that names them; the outputs stay.

    Slides are no concern of the page, and go: else a word on a slide would have a notebook executed anew.
    """
    for cell in notebook["cells"]:
        cell["metadata"].pop("slides", None)
        tags = student.tags(cell)
        for tag, name in FOLDED.items():
            if tag in tags and cell["cell_type"] == "code":
                cell["metadata"]["tags"] = list(dict.fromkeys([*tags, "hide-input", f"cwn-{tag}"]))  # each once
                cell["metadata"]["mystnb"] = {
                    "code_prompt_show": f"Show {name}",
                    "code_prompt_hide": f"Hide {name}",
                    **cell["metadata"].get("mystnb", {}),
                }
    return notebook


def read_chapter(app: Sphinx, docname: str, source: list[str]) -> None:
    """Fold a notebook's solutions as it is read; the file stays as it is."""
    if app.env.doc2path(docname).endswith(".ipynb"):
        source[0] = json.dumps(fold_cells(json.loads(source[0])))


def links(
    docname: str,
    root: str,
    origin: Origin,
    *,
    exercises: bool = True,
    solutions: bool = True,
    slides: bool = False,
) -> str:
    """Return the line of links below a chapter's title.

    Args:
        docname: such as `book/deriving`.
        root: the way from the page to the site's root, such as `../`.
        origin: the book's home.
        exercises: whether the page has any.
        solutions: whether it has theirs; the book for a graded course has none.
        slides: whether it has any.
    """
    name = Path(docname).name
    work, solved = f"notebooks/exercises/{name}.ipynb", f"notebooks/solved/{name}.ipynb"
    title = "Notebook to work in" if exercises else "This page as a notebook"
    entries = [(root + work, title, f' download="{name}.ipynb"')]
    if exercises and solutions:
        entries.append((root + solved, "with solutions", f' download="{name}-solved.ipynb"'))
    if slides:
        entries.append((f"{root}slides/{name}.html", "Slides", ""))
    entries.append((origin.colab(work), "Open in Colab", ""))
    entries.append((origin.source(f"{docname}.ipynb"), "Source", ""))
    items = "".join(f'<li><a href="{escape(url)}"{extra}>{text}</a></li>' for url, text, extra in entries if url)
    return f'<ul class="cwn-take" aria-label="This chapter as a notebook">{items}</ul>'


def add_links(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Put the links under the title of pages that are notebooks."""
    if doctree is None or not app.env.doc2path(page).endswith(".ipynb"):
        return
    root = "../" * page.count("/")
    notebook = json.loads(Path(app.env.doc2path(page)).read_text(encoding="utf8"))
    exercises, solutions = student.has(notebook, "exercise"), student.has(notebook, "solution")
    slides = any(cell["metadata"].get("slides") for cell in notebook["cells"])
    line = links(page, root, Origin.of(app), exercises=exercises, solutions=solutions, slides=slides)
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{line}", 1)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", read_chapter)
    app.connect("html-page-context", add_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
