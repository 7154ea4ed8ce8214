"""What every chapter page gets beside its text: folded solutions, and its notebooks to download.

The site is static, so a reader who wants to run a chapter takes it along: `student/<chapter>.ipynb` without the
solutions, or the chapter itself. With the environment variable REPOSITORY_URL set to the book's home on GitHub,
a link that opens it in Colab is added; without it the pages name no other host.
"""

from __future__ import annotations

import json
import os
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

import student

# Tag of a cell -> what its folded input is called.
FOLDED = {"solution": "a solution", "grader": "the checks"}


def fold_cells(notebook: dict[str, Any]) -> dict[str, Any]:
    """Hide the input of solutions and graders behind a line that names them; the outputs stay."""
    for cell in notebook["cells"]:
        tags = student.tags(cell)
        for tag, name in FOLDED.items():
            if tag in tags and cell["cell_type"] == "code":
                cell["metadata"]["tags"] = [*tags, "hide-input", f"cwn-{tag}"]
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


def has_solutions(notebook: dict[str, Any]) -> bool:
    """Return whether there is anything to strip from a student's copy."""
    return any("solution" in cell["metadata"].get("tags", []) for cell in notebook["cells"])


def links(docname: str, root: str, repository: str, *, exercises: bool = True) -> str:
    """Return the line of links below a chapter's title.

    Args:
        docname: such as `book/deriving`.
        root: the way from the page to the site's root, such as `../`.
        repository: the book's home, or empty.
        exercises: whether the page has any, and so a copy without their solutions.
    """
    name = Path(docname).name
    whole = f"{root}_sources/{docname}.ipynb"
    entries = [(whole, "This page as a notebook", f' download="{name}.ipynb"')]
    if exercises:
        entries = [
            (f"{root}student/{name}.ipynb", "Notebook to work in", f' download="{name}.ipynb"'),
            (whole, "with solutions", f' download="{name}-solved.ipynb"'),
        ]
    if repository:
        entries.append((f"{repository}/blob/main/{docname}.ipynb", "Source", ""))
    if repository.startswith("https://github.com/"):
        place = repository.removeprefix("https://github.com/")
        colab = f"https://colab.research.google.com/github/{place}/blob/main/{docname}.ipynb"
        entries.append((colab, "Open in Colab", ""))
    items = "".join(f'<li><a href="{escape(url)}"{extra}>{text}</a></li>' for url, text, extra in entries)
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
    repository = os.environ.get("REPOSITORY_URL", "").rstrip("/").removesuffix(".git")
    root = "../" * page.count("/")
    notebook = json.loads(Path(app.env.doc2path(page)).read_text(encoding="utf8"))
    line = links(page, root, repository, exercises=has_solutions(notebook))
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{line}", 1)


def write_student_notebooks(app: Sphinx, error: Exception | None) -> None:
    """Write the student's copy of every chapter into the site."""
    if error is not None or app.builder.format != "html":
        return
    for docname in sorted(app.env.found_docs):
        path = Path(app.env.doc2path(docname))
        notebook = json.loads(path.read_text(encoding="utf8")) if path.suffix == ".ipynb" else None
        if notebook is not None and has_solutions(notebook):
            target = Path(app.outdir) / "student" / path.name
            target.parent.mkdir(exist_ok=True)
            stripped = student.strip(notebook)
            target.write_text(
                json.dumps(stripped, indent=1, ensure_ascii=False) + "\n",
                encoding="utf8",
            )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", read_chapter)
    app.connect("html-page-context", add_links)
    app.connect("build-finished", write_student_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
