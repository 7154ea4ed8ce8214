"""Links to chapters in a cell's HTML, such as a quiz: to a notebook in Jupyter, to a page on the site.

Sphinx resolves links in Markdown and leaves HTML as it is.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

LINK = re.compile(r'<a href="(\w+)\.ipynb">')


def to_pages(body: str) -> str:
    """Return a page whose links to notebooks beside it lead to their pages; downloads have attributes and stay."""
    return LINK.sub(r'<a href="\1.html">', body)


def link_pages(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Rewrite the links just before a page is written."""
    if "body" in context:
        context["body"] = to_pages(context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("html-page-context", link_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
