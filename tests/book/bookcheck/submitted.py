"""A chapter with three exercises that need no library, and answers to it, good and bad."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from bookcheck.planting import code, markdown, notebook
from classroom import assignment, exercises

Notebook = dict[str, Any]


def statement(label: str, title: str) -> Notebook:
    return markdown(f"```{{exercise}} {title}\n:label: ex-planted-{label}\n\nDo it.\n```", "exercise")


def solution(name: str, body: str, kind: str) -> Notebook:
    source = f"def {name}(x):\n    ### BEGIN SOLUTION\n    return {body}\n    ### END SOLUTION"
    return code(source, "exercise", f"exercise-{kind}", "solution")


def grader(name: str, checks: str) -> Notebook:
    return code(
        f"def grade_{name}({name}):\n    {checks}\n    return 'correct'\n\n\nprint(grade_{name}({name}))", "grader"
    )


CHAPTER = exercises.of_notebook(
    notebook(
        markdown("# A planted chapter\n\nAbout 20 minutes."),
        code("import math\n\nimport torch\n\noffset = 1", "setup"),
        markdown("## Exercises"),
        statement("double", "Double it"),
        solution("double", "2 * x", "computational"),
        grader("double", "assert double(3) + offset == 7, 'not the double of three'"),
        statement("triple", "Triple it"),
        solution("triple", "double(x) + x", "derivation"),
        grader("triple", "assert triple(3) + offset == 10"),
        markdown("Because.", "solution"),
        statement("root", "Its root"),
        solution("root", "math.sqrt(x)", "open"),
        grader("root", "assert math.isclose(root(9), 3), 'not the root'"),
        code("### BEGIN SOLUTION\nassert root(4) == 2\n### END SOLUTION", "solution", "hide-input"),
        markdown("## Quiz"),
    ),
    "planted",
)
LABELS = [exercise.label for exercise in CHAPTER.exercises]


def submitted(chapter: exercises.Chapter, **bodies: str) -> Notebook:
    """The students' copy of a chapter, answered: label's last part -> source of the answer, or `solved` for all."""
    copy = deepcopy(assignment.assignment(chapter))
    place = {cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in copy["cells"] if "nbgrader" in cell["metadata"]}
    for exercise in chapter.exercises:
        for n, index in enumerate(exercise.answers):
            last = exercise.label.rpartition("-")[2]
            text = chapter.source(index) if bodies.get(last, bodies.get("rest")) == "solved" else bodies.get(last)
            if text is not None:
                place[assignment.answer_id(exercise, n)]["source"] = text
    return copy
