"""What a grading says: a page for each submission, and a table of all."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .child import Outcome
from .exercises import Chapter

COLUMNS = ("student", "chapter", "score", "max_score", "to_read", "flagged", "remarks")


@dataclass(frozen=True)
class Graded:
    """One submission, graded."""

    student: str
    chapter: Chapter
    outcomes: tuple[Outcome, ...]
    remarks: tuple[str, ...] = ()

    @property
    def score(self) -> int:
        """Checks that passed."""
        return sum(outcome.passed for outcome in self.outcomes)

    @property
    def reports(self) -> list[str]:
        """What the code tried that it may not, with the exercise."""
        titles = {exercise.label: exercise.title for exercise in self.chapter.exercises}
        return [f"{titles[outcome.label]}: {report}" for outcome in self.outcomes for report in outcome.reports]


def page(graded: Graded) -> str:
    """Return the feedback on one submission as Markdown."""
    chapter = graded.chapter
    lines = [f"# {chapter.title}", "", f"{graded.score} of {len(chapter.exercises)} checks passed.", ""]
    lines += [f"- Note: {one_line(remark)}" for remark in graded.remarks] + [""] * bool(graded.remarks)
    for exercise, outcome in zip(chapter.exercises, graded.outcomes, strict=True):
        lines += [f"## {exercise.title} ({exercise.kind}): {'passed' if outcome.passed else 'not yet'}", ""]
        if not outcome.passed:
            lines += [f"- {one_line(outcome.line)}"]
            if outcome.detail and one_line(outcome.detail) not in one_line(outcome.line):
                lines += ["", *fenced(outcome.detail)]
            lines += [""]
        if exercise.written:
            lines += ["- The answer in words is read by your teacher.", ""]
    return "\n".join(lines).rstrip() + "\n"


def one_line(text: str, most: int = 300) -> str:
    """Return a text from a student's code as plain text on one line: no markup of a page, no second line."""
    short = " ".join("".join(char if char.isprintable() else " " for char in text).split())[:most]
    return re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", short)


def fenced(text: str, most: int = 1000) -> list[str]:
    """Return a text as a code block that its own backticks cannot end."""
    shown = "".join(char if char.isprintable() or char == "\n" else " " for char in text[:most])
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", shown))])
    return [fence + "text", *shown.splitlines(), fence]


def cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def table(path: Path, grades: Iterable[Graded]) -> None:
    """Write the table of all submissions; `to_read` counts the answers in words, which nobody has graded."""
    with path.open("w", encoding="utf8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for graded in grades:
            exercises = graded.chapter.exercises
            words = sum(len(exercise.written) for exercise in exercises)
            row = (graded.student, graded.chapter.name, graded.score, len(exercises), words)
            notes = ("; ".join(graded.reports), "; ".join(graded.remarks))
            writer.writerow(map(cell, map(str, (*row, *notes))))
