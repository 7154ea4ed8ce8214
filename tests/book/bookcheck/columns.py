"""Code that a page shows fits its column: nothing is cut off, and nothing has to be scrolled."""

from bookcheck.pages import Cell, Page

WIDTH = 76
UNSEEN = {"hide-input", "setup", "remove-input", "remove-cell"}


def check(page: Page) -> list[str]:
    """Return lines of shown cells, and of the library's code that a cell shows, that are too long."""
    shown = [(cell, cell.source) for cell in page.code if not cell.tags & UNSEEN]
    shown += [(cell, text) for cell in page.code for text in _sources(cell)]
    return [
        f"cell {cell.index}: {len(line)} columns, not {WIDTH}: {line.strip()[:50]}"
        for cell, text in shown
        for line in text.splitlines()
        if len(line) > WIDTH
    ]


def _sources(cell: Cell) -> list[str]:
    """What `figures.source` printed in a cell."""
    data = [out.get("data", {}) for out in cell.outputs]
    return ["".join(d["text/plain"]) for d in data if "".join(d.get("text/markdown", "")).startswith("```python")]
