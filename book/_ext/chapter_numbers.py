"""The number of a chapter, wherever a page links to it: before its title, or in the hint of other words.

The numbers are Sphinx's, from `numbered` in `_toc.yml`; they stand before titles and in the side bar by themselves.
"""

from __future__ import annotations

import posixpath

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def chapter_number(env: BuildEnvironment, docname: str) -> str:
    """Return the number of a chapter as it is written, nothing for a page that has none."""
    return ".".join(map(str, env.toc_secnumbers.get(docname, {}).get("") or ()))


def number_links(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Number the links of a page that lead to a chapter as a whole."""
    for reference in doctree.findall(nodes.reference):
        page, _, anchor = reference.get("refuri", "").partition("#")
        if not reference.get("internal") or not page.endswith(".html") or anchor:
            continue
        target = posixpath.normpath(posixpath.join(posixpath.dirname(docname), page.removesuffix(".html")))
        number = chapter_number(app.env, target)
        if not number:
            continue
        title = app.env.titles[target].astext()
        if reference.astext() == title:
            reference.insert(0, nodes.inline("", f"{number}. ", classes=["section-number"]))
        else:
            reference["reftitle"] = f"Chapter {number}: {title}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("doctree-resolved", number_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
