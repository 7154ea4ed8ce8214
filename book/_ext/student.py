"""A chapter as a notebook to work in: the solutions taken out, everything else as it is.

One source: the chapter holds each exercise with its solution and its grader, and this makes the student's copy.
"""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

Notebook = dict[str, Any]

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = 'raise NotImplementedError("your turn")'
_BLOCK = re.compile(rf"^([ \t]*){BEGIN}[ \t]*\n(?:.*\n)*?[ \t]*{END}[ \t]*$", re.MULTILINE)


def strip(notebook: Notebook) -> Notebook:
    """Return a copy of a notebook without solutions and without outputs.

    In code cells tagged `solution`, the lines from `### BEGIN SOLUTION` to `### END SOLUTION` become one line that
    raises NotImplementedError; Markdown cells tagged `solution` go.

    Args:
        notebook: as `json.load` reads it; not changed.

    Raises:
        ValueError: a code cell is tagged `solution` and marks no solution, or marks one without being tagged.
    """
    student = deepcopy(notebook)
    student["cells"] = [_strip_cell(i, cell) for i, cell in enumerate(student["cells"]) if not _is_answer(cell)]
    return student


def strip_source(source: str) -> str:
    r"""Replace each marked solution by a stub with the same indentation.

    Example:
        >>> print(strip_source("def f(x):\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION"))
        def f(x):
            raise NotImplementedError("your turn")
    """
    return _BLOCK.sub(rf"\1{STUB}", source)


def without_marks(source: str) -> str:
    """Return a solution without the lines that mark it."""
    return "\n".join(line for line in source.split("\n") if line.strip() not in (BEGIN, END))


def tags(cell: Notebook) -> list[str]:
    """Return the tags of a cell."""
    return list(cell.get("metadata", {}).get("tags", []))


def has(notebook: Notebook, tag: str) -> bool:
    """Return whether any cell of a notebook has a tag."""
    return any(tag in tags(cell) for cell in notebook["cells"])


def _is_answer(cell: Notebook) -> bool:
    return cell["cell_type"] == "markdown" and "solution" in tags(cell)


def _strip_cell(index: int, cell: Notebook) -> Notebook:
    if cell["cell_type"] != "code":
        return cell
    source = "".join(cell["source"])
    stripped = strip_source(source)
    if ("solution" in tags(cell)) != (stripped != source) or BEGIN in stripped or END in stripped:
        raise ValueError(f"cell {index}: the tag `solution` and the lines {BEGIN!r} .. {END!r} must come together")
    return {
        **cell,
        "source": stripped.splitlines(keepends=True),
        "outputs": [],
        "execution_count": None,
    }
