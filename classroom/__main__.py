"""The command line: `python -m classroom release|grade|quizzes`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .assignment import release
from .fence import Limits
from .grade import grade
from .quizzes import asked, bank


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    usual = Limits()
    top = argparse.ArgumentParser(prog="python -m classroom", description="Assignments and grades of this book.")
    verbs = top.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("release", help="write a course folder for nbgrader, after `make book`")
    one.add_argument("folder", type=Path)
    one = verbs.add_parser("grade", help="grade STUDENT/CHAPTER.ipynb or STUDENT/CHAPTER/CHAPTER.ipynb")
    one.add_argument("folder", type=Path)
    one.add_argument("--out", type=Path, default=Path("feedback"), help="for pages and grades.csv (feedback)")
    one.add_argument("--workers", type=int, default=1, help="submissions at a time (1)")
    for name, text in (
        ("seconds", "for one exercise"),
        ("memory", "megabytes beyond the chapter's set-up"),
        ("file", "megabytes of one file"),
        ("setup", "seconds for the chapter's own set-up"),
    ):
        value = getattr(usual, name)
        one.add_argument(f"--{name}", type=type(value), default=value, help=f"{text} ({value:g})")
    one = verbs.add_parser("quizzes", help="write the questions of all quizzes as QTI 1.2, after `make book`")
    one.add_argument("file", type=Path)
    return top


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says."""
    chosen = parser().parse_args(arguments)
    try:
        if chosen.verb == "release":
            print(f"{len(release(chosen.folder))} assignments in {chosen.folder}")
        elif chosen.verb == "quizzes":
            print(f"{bank(chosen.file, list(asked()))} questions in {chosen.file}")
        else:
            limits = Limits(chosen.seconds, chosen.memory, chosen.file, chosen.setup)
            grades = grade(chosen.folder, chosen.out, limits, chosen.workers)
            print(f"{len(grades)} submissions: {chosen.out / 'grades.csv'}")
    except (OSError, ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
