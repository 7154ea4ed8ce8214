"""A small chapter that keeps every rule, for tests to break one rule at a time."""

from copy import deepcopy
from typing import Any

Notebook = dict[str, Any]


def markdown(source: str, *tags: str) -> Notebook:
    return {"cell_type": "markdown", "id": "m", "metadata": {"tags": list(tags)}, "source": source}


def code(source: str, *tags: str, outputs: list[Notebook] | None = None, count: int | None = 1) -> Notebook:
    return {
        "cell_type": "code",
        "id": "c",
        "metadata": {"tags": list(tags)},
        "source": source,
        "outputs": outputs or [],
        "execution_count": count,
    }


def notebook(*cells: Notebook) -> Notebook:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    numbered = [{**deepcopy(cell), "id": f"cell-{number}"} for number, cell in enumerate(cells)]
    return {"cells": numbered, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


SOLUTION = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
ALT = "A curve that falls from left to right and then stays where it is."
CHAPTER = notebook(
    markdown("# A chapter\n\n```{admonition} Objectives\nAbout 20 minutes.\n```"),
    code("offset = 1", "setup"),
    markdown("## The question\n\nWhy?"),
    code(f"explorable('curve', alt='{ALT}')"),
    markdown("## What the paper says\n\nThis."),
    markdown("## Summary\n\n- That.\n\n## Exercises"),
    markdown("Double it.", "exercise", "exercise-computational"),
    code(SOLUTION, "solution"),
    code("assert double(3) + offset == 7", "grader"),
    markdown("Why?", "exercise", "exercise-derivation"),
    markdown("Because.", "solution"),
    markdown("What else?", "exercise", "exercise-open"),
    markdown("Everything.", "solution"),
    markdown("## Quiz"),
    code("quiz()"),
    markdown("## References\n\n{cite}`ikami2021`"),
)


def without(cell: int) -> Notebook:
    """The chapter without one of its cells."""
    return notebook(*(c for index, c in enumerate(CHAPTER["cells"]) if index != cell))


def replaced(cell: int, new: Notebook) -> Notebook:
    """The chapter with one of its cells exchanged."""
    return notebook(*(new if index == cell else c for index, c in enumerate(CHAPTER["cells"])))
