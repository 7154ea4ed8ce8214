"""Keep the pages' scripts clean: no inline script twice, none of the live-kernel client.

Jupyter Book 1.x always loads sphinx-thebe, which writes its inline constants twice (a page error: "already
declared") and would fetch a client from another host when clicked. The book runs without a kernel.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def unique_scripts(scripts: list[Any]) -> list[Any]:
    """Drop thebe's scripts and every inline script whose text was seen before; keep the order."""
    seen: set[str] = set()
    kept = []
    for script in scripts:
        body = (getattr(script, "attributes", None) or {}).get("body")
        if "thebe" in str(getattr(script, "filename", "")) or "thebe" in (body or "").lower():
            continue
        if body is not None and body in seen:
            continue
        if body is not None:
            seen.add(body)
        kept.append(script)
    return kept


def clean_page(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Clean the list of scripts just before a page is written."""
    context["script_files"] = unique_scripts(context["script_files"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("html-page-context", clean_page, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
