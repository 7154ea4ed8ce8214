"""Tables that a phone can show: each cell also holds its column's heading, shown where rows stack.

The roles keep a table a table for a screen reader when its rows become blocks. Done on the written pages, because
Sphinx's writer has no place for either.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

TABLE = re.compile(r"<table class=\"([^\"]*)\">(.*?)</table>", re.DOTALL)
HEADING = re.compile(r"<th\b([^>]*)>(.*?)</th>", re.DOTALL)
ROW = re.compile(r"<tr\b([^>]*)>(.*?)</tr>", re.DOTALL)
CELL = re.compile(r"<td\b([^>]*)>", re.DOTALL)
LEAST_COLUMNS = 3
"""Narrower tables fit as they are."""


def stack(html: str) -> str:
    """Return a page whose tables of three columns and more can be shown row by row."""
    return TABLE.sub(_stack_table, html)


def _stack_table(match: re.Match[str]) -> str:
    classes, inner = match.groups()
    head, found, body = inner.partition("</thead>")
    headings = [re.sub(r"</?p>", "", text).strip() for _, text in HEADING.findall(head)]
    if not found or len(headings) < LEAST_COLUMNS or head.count("<tr") != 1 or "colspan" in inner:
        return match[0]
    head = HEADING.sub(r'<th\1 role="columnheader">\2</th>', head)
    body = ROW.sub(lambda row: f"<tr{row[1]}>{_label(row[2], headings)}</tr>", body)
    whole = f"{head}{found}{body}"
    for tag, role in (("thead", "rowgroup"), ("tbody", "rowgroup"), ("tr", "row")):
        whole = re.sub(rf"<{tag}\b", f'<{tag} role="{role}"', whole)
    return f'<table class="{classes} cwn-stack" role="table">{whole}</table>'


def _label(row: str, headings: list[str]) -> str:
    names = iter(headings)

    def labelled(cell: re.Match[str]) -> str:
        return f'<td{cell[1]} role="cell"><span class="cwn-label" aria-hidden="true">{next(names)}</span>'

    return CELL.sub(labelled, row) if len(CELL.findall(row)) == len(headings) else row


def stack_pages(app: Sphinx, error: Exception | None) -> None:
    """Rewrite every page."""
    if error is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        html = page.read_text(encoding="utf8")
        stacked = stack(html)
        if stacked != html:
            page.write_text(stacked, encoding="utf8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("build-finished", stack_pages, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
