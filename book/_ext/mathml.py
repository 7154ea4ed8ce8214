"""Sphinx writes the book's formulas as MathML: no script, no request, and text for search and screen readers."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

import formulas

CLASSES = "math notranslate nohighlight"


def written(self: HTML5Translator, node: nodes.Element, *, display: bool) -> str:
    """Return a node's MathML; of a formula that cannot be read its TeX, and a warning, which `-W` makes an error."""
    try:
        return formulas.to_mathml(node.astext(), display=display)
    except formulas.FormulaError as error:
        logging.getLogger(__name__).warning(str(error), location=node)
        return f"<code>{self.encode(node.astext())}</code>"


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    self.body.append(self.starttag(node, "span", "", CLASS=CLASSES))
    self.body.append(f"{written(self, node, display=False)}</span>")
    raise nodes.SkipNode


def visit_display(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a displayed formula: its number, then a box that scrolls where the page is too narrow."""
    self.body.append(self.starttag(node, "div", "", CLASS=CLASSES))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(f'<div class="cwn-formula">{written(self, node, display=True)}</div></div>\n')
    raise nodes.SkipNode


def typeset_outputs(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Typeset what cells wrote as HTML: captions, quizzes."""
    if "body" not in context:
        return
    try:
        context["body"] = formulas.typeset(context["body"])
    except formulas.FormulaError as error:
        logging.getLogger(__name__).warning(str(error), location=page)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension; `html_math_renderer: mathml` chooses it."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))
    app.connect("html-page-context", typeset_outputs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
