"""The book's pages as cells, whatever file they come from."""

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
BOOK = ROOT / "book"
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


@dataclass(frozen=True)
class Cell:
    """One cell; a Markdown file is a page of one Markdown cell."""

    index: int
    kind: str  # "markdown" or "code"
    source: str
    tags: frozenset[str] = frozenset()
    outputs: tuple[dict[str, Any], ...] = ()
    executed: bool = True


@dataclass(frozen=True)
class Page:
    """One page of the book."""

    path: Path
    cells: tuple[Cell, ...]
    notebook: dict[str, Any] | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The page's name in labels: `eq:<name>:...`."""
        return self.path.stem

    @property
    def markdown(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "markdown"]

    @property
    def code(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "code"]


def load(path: Path) -> Page:
    """Read a Markdown file or a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return Page(path, (Cell(0, "markdown", FRONT_MATTER.sub("", text)),))
    notebook = json.loads(text)
    return from_notebook(notebook, path)


def from_notebook(notebook: dict[str, Any], path: Path = Path("planted.ipynb")) -> Page:
    """Make a page of a notebook that was read already."""
    cells = tuple(
        Cell(
            index,
            cell["cell_type"],
            "".join(cell["source"]),
            frozenset(cell.get("metadata", {}).get("tags", ())),
            tuple(cell.get("outputs", ())),
            cell.get("execution_count") is not None,
        )
        for index, cell in enumerate(notebook["cells"])
    )
    return Page(path, cells, notebook)


def from_markdown(text: str, name: str = "planted") -> Page:
    """Make a page of a text, as the planted cases do."""
    return Page(Path(f"{name}.md"), (Cell(0, "markdown", text),))


@cache
def in_contents() -> tuple[Path, ...]:
    """Every file that the table of contents lists, present or not."""
    listed = re.findall(r"(?:file|root):\s*(\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return tuple(_source(ROOT / name) for name in listed)


@cache
def all_paths() -> tuple[Path, ...]:
    """Every page that is listed or lies in `book/`, without READMEs."""
    found = {
        path
        for suffix in ("md", "ipynb")
        for path in BOOK.rglob(f"*.{suffix}")
        if path.name != "README.md" and not any(part.startswith((".", "_")) for part in path.relative_to(BOOK).parts)
    }
    return tuple(sorted(found | set(in_contents())))


def notebooks() -> tuple[Path, ...]:
    """Every notebook."""
    return tuple(path for path in all_paths() if path.suffix == ".ipynb")


ONE_PAGE = {"book/verdict"}
"""A notebook that sums up what the others teach: without objectives, exercises and the like."""


def chapters() -> tuple[Path, ...]:
    """The notebooks that teach: all but `ONE_PAGE` and those in the table of contents' part Reference."""
    reference = (ROOT / "_toc.yml").read_text(encoding="utf-8").partition("caption: Reference")[2]
    listed = set(re.findall(r"file:\s*(\S+)", reference)) | ONE_PAGE
    return tuple(path for path in notebooks() if str(path.relative_to(ROOT).with_suffix("")) not in listed)


def _source(stem: Path) -> Path:
    """The file behind a name of the table of contents; a missing one keeps the name and fails where it is read."""
    for candidate in (stem, stem.with_suffix(".md"), stem.with_suffix(".ipynb")):
        if candidate.is_file():
            return candidate
    return stem.with_suffix(".ipynb")
