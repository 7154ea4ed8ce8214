"""The book without its solutions, for courses that grade: `make book SOLUTIONS=0`.

A copy of what the build reads is written first, with the solutions taken out. The build sees nothing else, so no page,
download, index or search can hold what it does not have. Afterwards the built site is searched for what was taken out.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import student

ROOT = Path(__file__).parents[2]
READ = ("_config.yml", "_toc.yml", "CHANGELOG.md", "book")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*", "_build")

BLOCK = re.compile(rf"^[ \t]*{student.BEGIN}[ \t]*\n(.*?)^[ \t]*{student.END}[ \t]*$", re.MULTILINE | re.DOTALL)
NOTES = re.compile(r"^% BEGIN SOLUTION[ \t]*\n(.*?)^% END SOLUTION[ \t]*\n?", re.MULTILINE | re.DOTALL)
MARKUP = re.compile(r"\$[^$\n]*\$|`[^`\n]*`|\[[^\]\n]*\]\([^)\n]*\)|[*{}]+")  # a page shows other text for these
SHORTEST = 18  # letters and digits; a shorter piece stands on many pages by chance

Notebook = dict[str, Any]


def for_students(notebook: Notebook) -> Notebook:
    """Return a copy of a chapter without solutions, which can be executed as a whole.

    Stubs and graders raise, so they are marked to be skipped; a solution that leaves no stub to fill in goes.
    """
    stripped = student.strip(notebook)
    cells = []
    for cell in stripped["cells"]:
        tags = student.tags(cell)
        if cell["cell_type"] != "code" or not {"solution", "grader"} & set(tags):
            cells.append(cell)
        elif "grader" in tags or not nothing_left(cell):
            kept = [tag for tag in tags if tag != "solution"]
            cells.append({**cell, "metadata": {**cell["metadata"], "tags": [*kept, "skip-execution"]}})
    return {**stripped, "cells": cells}


def nothing_left(cell: Notebook) -> bool:
    """Return whether a stripped solution is a stub and nothing else: a check of the answer, not a question."""
    lines = (line.strip() for line in "".join(cell["source"]).splitlines())
    return all(line in ("", student.STUB) or line.startswith("#") for line in lines)


def without_notes(page: str) -> str:
    """Return a Markdown page without what stands between the comments `% BEGIN SOLUTION` and `% END SOLUTION`."""
    cut = NOTES.sub("", page)
    if "% BEGIN SOLUTION" in cut or "% END SOLUTION" in cut:
        raise ValueError("the comments % BEGIN SOLUTION and % END SOLUTION must come in pairs, each on its own line")
    return cut


def write(target: Path, root: Path = ROOT) -> None:
    """Write what the build reads into a folder, which must not exist yet, without any solution."""
    target.mkdir(parents=True)
    for name in READ:
        if (root / name).is_dir():
            shutil.copytree(root / name, target / name, ignore=LEFT_OUT)
        else:
            shutil.copy(root / name, target / name)
    for path in sorted(target.rglob("*.ipynb")):
        notebook = for_students(json.loads(path.read_text(encoding="utf8")))
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf8")
    for path in sorted(target.rglob("*.md")):
        path.write_text(without_notes(path.read_text(encoding="utf8")), encoding="utf8")


# ---- Looking for what was taken out ----


def bare(text: str) -> str:
    """Return the letters and digits of a text: what is left of it in any markup and with any line breaks."""
    return "".join(filter(str.isalnum, text)).lower()


def pieces(text: str) -> set[str]:
    """Return the parts of a text, in letters and digits, that are long enough to be recognized."""
    lines = text.splitlines()
    found = {bare(part) for line in lines for part in (line, *MARKUP.split(line))}
    return {piece for piece in found if len(piece) >= SHORTEST}


def split(notebook: Notebook) -> tuple[str, str]:
    """Return the text of a chapter's solutions, and all other text of its cells."""
    secret, public = [], []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if "solution" not in student.tags(cell):
            public.append(source)
        elif cell["cell_type"] == "markdown":
            secret.append(source)
        else:
            secret += BLOCK.findall(source)
            public.append(BLOCK.sub("", source))
    return "\n".join(secret), "\n".join(public)


def secrets(root: Path = ROOT) -> set[str]:
    """Return the pieces of the solutions that stand nowhere else in the book or the library."""
    hidden: set[str] = set()
    public = [path.read_text(encoding="utf8") for path in sorted((root / "cwn_lite").rglob("*.py"))]
    for path in sorted((root / "book").rglob("*.ipynb")):
        secret, rest = split(json.loads(path.read_text(encoding="utf8")))
        hidden |= pieces(secret)
        public.append(rest)
    for path in sorted((root / "book").rglob("*.md")):
        page = path.read_text(encoding="utf8")
        hidden |= pieces("\n".join(NOTES.findall(page)))
        public.append(NOTES.sub("", page))
    known = bare("\n".join(public))
    return {piece for piece in hidden if piece not in known}


def leaks(paths: Iterable[Path], hidden: set[str]) -> Iterator[tuple[Path, str]]:
    """Yield the files that hold a piece of a solution, with the first such piece."""
    for path in paths:
        text = path.read_text(encoding="utf8", errors="ignore")
        if path.suffix == ".html":
            text = html.unescape(re.sub(r"<[^>]*>", "", text))
        elif path.suffix in (".ipynb", ".json"):
            text = text.replace("\\n", " ")
        held = bare(text)
        found = next((piece for piece in sorted(hidden) if piece in held), None)
        if found is not None:
            yield path, found


def main(arguments: Sequence[str]) -> int:
    """Write the copy, or search a site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("write", "check"))
    parser.add_argument("folder", type=Path)
    chosen = parser.parse_args(arguments)
    if chosen.verb == "write":
        write(chosen.folder)
        return 0
    files = [path for path in sorted(chosen.folder.rglob("*")) if path.is_file()]
    found = list(leaks(files, secrets()))
    for path, piece in found:
        print(f"{path} holds a piece of a solution: {piece}", file=sys.stderr)
    if not any(path.suffix == ".html" for path in files):
        print(f"{chosen.folder} holds no page", file=sys.stderr)
        return 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
