"""A student's notebook: which of its cells answer which exercise. The rest is the book's own and not taken from it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .assignment import answer_id
from .exercises import Chapter, Notebook, source

LARGEST = 30_000_000  # bytes of a notebook that is read


@dataclass
class Submission:
    """What a student wrote: for each exercise, by its label, the sources to run; and what was odd."""

    answers: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def read(path: Path, chapter: Chapter) -> Submission:
    """Read a notebook file; one that cannot be read answers nothing and says why."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST // 1_000_000} MB: clear its outputs")
        notebook = json.loads(path.read_text(encoding="utf8"))
        return of_notebook(notebook, chapter)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Submission(remarks=[f"the notebook cannot be read: {type(error).__name__}: {error}"])


def of_notebook(notebook: Notebook, chapter: Chapter) -> Submission:
    """Find the answers in a student's copy of a chapter.

    An answer is known by nbgrader's name for it or, where that is lost, by what its stub defines: the last cell that
    defines all of it. Of cells that a student added, imports, functions, classes and plain values come along.
    """
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    sources = [source(cell) for cell in cells]
    ids = [str(cell.get("metadata", {}).get("nbgrader", {}).get("grade_id", "")) for cell in cells]
    found = Submission()
    places: dict[tuple[str, int], int] = {}
    for exercise in chapter.exercises:
        for n, index in enumerate(exercise.answers):
            wanted = answer_id(exercise, n)
            named = [i for i, own in enumerate(ids) if own == wanted]
            if not named:
                defined = defines(chapter.stub(index))
                named = [i for i, text in enumerate(sources) if defined and defined <= defines(text)]
            if len(named) > 1:
                found.remarks.append(f"{exercise.title}: answered in {len(named)} cells, of which the last counts")
            if named:
                places[exercise.label, n] = named[-1]
    books = {_bare(source(cell)) for cell in chapter.notebook["cells"]}
    taken = set(places.values())
    begin = 0
    for exercise in chapter.exercises:
        own = sorted(place for (label, _), place in places.items() if label == exercise.label)
        if not own:
            found.remarks.append(f"{exercise.title}: its cell is missing")
            continue
        added = [i for i in range(begin, own[-1]) if i not in taken and not ids[i] and _bare(sources[i]) not in books]
        helpers = [text for i in added if (text := definitions(sources[i]))]
        found.answers[exercise.label] = helpers + [without_magics(sources[i]) for i in own]
        begin = max(begin, own[-1])
    return found


def defines(text: str) -> set[str]:
    """Return the names that a cell defines at its top level."""
    names: set[str] = set()
    for node in _statements(text):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def definitions(text: str) -> str:
    """Return what of a cell defines without computing: imports, functions, classes, values without a call."""
    kept = []
    for node in _statements(text):
        calls = any(isinstance(inner, ast.Call) for inner in ast.walk(node))
        plain = isinstance(node, ast.Assign | ast.AnnAssign) and not calls
        if plain or isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
            kept.append(ast.unparse(node))
    return "\n".join(kept)


def without_magics(text: str) -> str:
    """Return a cell's text with the lines taken out that only IPython understands, if it is no Python otherwise."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        kept = ["" if line.lstrip().startswith(("%", "!")) else line for line in text.split("\n")]
        return "\n".join(kept)
    return text


def _statements(text: str) -> Iterator[ast.stmt]:
    try:
        yield from ast.parse(without_magics(text)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return


def _bare(text: str) -> str:
    return "".join(text.split())
