"""A chapter's slides, read from the chapter: what its cells choose, and all the rest as speaker notes.

A cell chooses in its metadata, `"slides": [{"title": …, "points": [...], "show": …}]`. Formulas, figures, code and
questions are never written again: `show` names one thing of the cell,

- `eq:page:name`: its displayed formula of that label,
- `output`: the figure, table or text that it printed; `output 2`: the first two columns of its table,
- `code`, or `code name`: its code (a Markdown cell's first block of code), or one function of it,
- `question 2`: that question of its quiz; right and wrong answers go into the notes.

Where a Markdown cell has several slides, `from` says with which words the line begins at which a slide's text starts.
The first slide, with the title, and the last, with the exercises, come by themselves.
"""

from __future__ import annotations

import ast
import math
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import student
from plain_markdown import References, plain

Notebook = dict[str, Any]

KEY = "slides"
KEYS = {"title", "points", "show", "from"}
MOST_LINES = 14
"""Of code on a slide."""
PER_SLIDE = 40
"""Words that looking at a slide is worth, when the chapter's minutes are shared out."""
WORDS = 200
"""That a minute holds, where a chapter promises no minutes."""
PROMISE = re.compile(r"About \d+ minutes; (\d+) without the exercises")
_FORMULA = re.compile(r"\$\$(?P<tex>.+?)\$\$[ \t]*\((?P<label>eq:[^()\s]+)\)", re.DOTALL)
_FENCED = re.compile(r"^```(?:python|ipython3)\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_UNSAID = re.compile(r"</?(?:details|summary)[^>]*>")
_EXERCISE = re.compile(r"^`{3,}\{exercise\} *(?P<title>.*)$", re.MULTILINE)
_KIND = re.compile(r"^\*(Computational|Derivation|Open)\b", re.MULTILINE)
_TABLE = re.compile(r"(?:^\|.*\n?){2,}", re.MULTILINE)
_QUESTION = re.compile(r"^\d+\. (?P<prompt>.*)\n(?P<choices>(?:   \([a-f]\) .*\n?)+)", re.MULTILINE)
_END = re.compile(r"^## (?:Exercises|References)[ \t]*$", re.MULTILINE)
"""Where a chapter ends to teach; what comes behind is for nobody's notes."""
_SILENT = {"exercise", "solution", "grader", "setup"}


@dataclass(frozen=True)
class Shown:
    """What stands beside the points: its kind, its source, and what belongs to it."""

    kind: str  # formula, html, markdown, text, code, question, exercises
    source: Any
    label: str = ""


@dataclass(frozen=True)
class Slide:
    """One slide; `notes` is Markdown, `starts` the minute of the lecture."""

    title: str
    points: tuple[str, ...] = ()
    shown: Shown | None = None
    notes: str = ""
    starts: int = 0


@dataclass
class _Open:
    """A slide whose notes still grow."""

    slide: Slide
    notes: list[str] = field(default_factory=list)


def slides(notebook: Notebook, references: References) -> list[Slide]:
    """Return a chapter's slides.

    Args:
        notebook: with the outputs of its cells; stored ones have no figures, and their words stand in for them.
        references: how the notes name other places of the book.

    Raises:
        ValueError: a slide chooses what its cell does not have.
    """
    first, *others = notebook["cells"]
    title, _, objectives = _source(first).partition("\n")
    made = [_Open(Slide(title.removeprefix("# ").strip()), [plain(objectives.strip(), references)])]
    taught = True
    for index, cell in enumerate(others, 1):
        entries = cell["metadata"].get(KEY, [])
        try:
            made += _read(cell, entries, made[-1], references, taught=taught)
        except ValueError as error:
            raise ValueError(f"cell {index}, slides: {error}") from error
        taught = taught and not _END.search(_source(cell))
    done = [replace(one.slide, notes="\n\n".join(filter(None, map(str.strip, one.notes)))) for one in made]
    if exercises := list(_exercises(notebook)):
        texts = [plain(_source(cell), references) for cell in others if _asks(cell)]
        done.append(Slide("Exercises to set", (), Shown("exercises", exercises), "\n\n".join(texts)))
    return _timed(done, _minutes(first, done))


def _read(cell: Notebook, entries: list[Any], last: _Open, references: References, *, taught: bool) -> list[_Open]:
    """Return the slides that a cell opens; what it says before them goes to the one before."""
    if entries and {"exercise", "solution", "grader"} & set(student.tags(cell)):
        raise ValueError("an exercise, a solution or a check is on no slide")
    texts = _texts(cell, entries)
    if taught or entries:
        last.notes.append(plain(texts[0], references))
    opened = []
    for entry, own in zip(entries, texts[1:], strict=True):
        shown = _shown(cell, entry.get("show", ""), references)
        title = entry.get("title", "Ask the room" if shown and shown.kind == "question" else "")
        if set(entry) - KEYS or not title:
            raise ValueError(f"{entry!r} needs a title and has no other keys than {', '.join(sorted(KEYS))}")
        text = _answers(shown.source) if shown and shown.kind == "question" else own
        opened.append(_Open(Slide(title, tuple(entry.get("points", ())), shown), [plain(text, references)]))
    return opened


def _texts(cell: Notebook, entries: list[Any]) -> list[str]:
    """What a cell says before its slides, then for each of them."""
    if cell["cell_type"] != "markdown":
        said = "" if _SILENT & set(student.tags(cell)) and not entries else _said(cell)
        return ["", *[""] * (len(entries) - 1), said] if entries else [said]
    text = "" if {"exercise", "solution"} & set(student.tags(cell)) else _END.split(_source(cell))[0]
    starts = []
    for number, entry in enumerate(entries):
        words = entry.get("from")
        if words is None and number:
            raise ValueError(f"the slide {entry.get('title')!r} needs `from`, to say where its text begins")
        places = [m.start() for m in re.finditer(rf"^{re.escape(words)}", text, re.MULTILINE)] if words else [0]
        if len(places) != 1:
            raise ValueError(f"{len(places)} lines begin with {words!r}, not one")
        starts += places
    if starts != sorted(starts):
        raise ValueError("the slides stand in another order than their texts")
    ends = [*starts, len(text)]
    return [text[: ends[0]], *(text[a:b] for a, b in zip(starts, ends[1:], strict=True))]


def _shown(cell: Notebook, show: str, references: References) -> Shown | None:
    """Find what a slide shows."""
    kind, _, name = show.partition(" ")
    if not show:
        return None
    if kind.startswith("eq:"):
        found = {match["label"]: match["tex"].strip() for match in _FORMULA.finditer(_source(cell))}
        if show not in found:
            raise ValueError(f"the cell has no formula {show}, but {', '.join(found) or 'none'}")
        return Shown("formula", found[show], references.tag(show))
    if kind == "code":
        return Shown("code", _code(cell, name))
    if kind == "question" and name.isdigit():
        questions = _questions(cell)
        if not 1 <= int(name) <= len(questions):
            raise ValueError(f"the cell has {len(questions)} questions, so none is number {name}")
        return Shown("question", questions[int(name) - 1])
    if kind == "output" and (name.isdigit() or not name):
        return _output(cell, references, int(name or 0))
    raise ValueError(f"`show` is {show!r}; it may be eq:LABEL, output, output COLUMNS, code, code NAME or question N")


def _output(cell: Notebook, references: References, columns: int) -> Shown:
    """The first figure of a cell, else its first table, else its text."""
    outputs = [(output, output.get("data", {})) for output in cell.get("outputs", [])]
    for _, data in outputs:
        if "<figure" in (page := _text(data.get("text/html"))):
            return Shown("html", page, _text(data.get("text/plain")))
    for _, data in outputs:
        if table := _TABLE.search(_text(data.get("text/markdown"))):
            rows = [_columns(row, columns) for row in table[0].splitlines()]
            return Shown("markdown", plain("\n".join(rows), references))
    for output, data in outputs:
        if text := _text(data.get("text/markdown")):
            return Shown("markdown", plain(text, references))
        if text := _text(output.get("text")) or _text(data.get("text/plain")):
            return Shown("text", text.rstrip())
    raise ValueError("the cell printed nothing")


def _columns(row: str, count: int) -> str:
    """The first columns of a row of a table; all, if none are counted."""
    return "|".join(re.split(r"(?<!\\)\|", row)[: count + 1]) + "|" if count else row


def _code(cell: Notebook, name: str) -> str:
    printed = "\n".join(_text(output.get("data", {}).get("text/markdown")) for output in cell.get("outputs", []))
    fenced = _FENCED.search(_source(cell) if cell["cell_type"] == "markdown" else printed)
    source = fenced[1] if fenced else _source(cell)
    if name:
        tree, lines = ast.parse(source), source.splitlines()
        kinds = (ast.FunctionDef, ast.ClassDef)
        nodes = [node for node in ast.walk(tree) if isinstance(node, kinds) and node.name == name]
        if len(nodes) != 1:
            raise ValueError(f"{len(nodes)} functions of the cell are called {name}, not one")
        above = nodes[0].decorator_list
        start = above[0].lineno if above else nodes[0].lineno
        source = textwrap.dedent("\n".join(lines[start - 1 : nodes[0].end_lineno]))
    if cell["cell_type"] == "markdown" and not fenced:
        raise ValueError("the text has no block of code")
    if (count := len(source.strip("\n").splitlines())) > MOST_LINES:
        raise ValueError(f"{count} lines of code are more than the {MOST_LINES} that a slide holds; show one function")
    return source.strip("\n")


def _questions(cell: Notebook) -> list[Any]:
    """The questions of a quiz as its output's metadata have them; as stored, they have lost their answers."""
    for output in cell.get("outputs", []):
        if known := output.get("metadata", {}).get("cwn_quiz"):
            return list(known)
        if text := _text(output.get("data", {}).get("text/plain")):
            return [
                {
                    "prompt": match["prompt"],
                    "choices": [{"text": line[7:]} for line in match["choices"].splitlines()],
                }
                for match in _QUESTION.finditer(text)
            ]
    return []


def _answers(question: Any) -> str:
    """The answers to a question, for the speaker."""
    lines = []
    for letter, choice in zip("abcdef", question["choices"], strict=False):
        if "holds" in choice:
            verdict = "right" if choice["holds"] else "not this one"
            lines.append(f"- **({letter}): {verdict}.** {choice['feedback']}")
    return "\n".join(lines) or "The answer is in the chapter's quiz."


def _exercises(notebook: Notebook) -> Iterator[tuple[str, str]]:
    """Yield title and kind of each exercise."""
    for cell in notebook["cells"]:
        if _asks(cell) and (title := _EXERCISE.search(_source(cell))):
            kind = _KIND.search(_source(cell))
            yield title["title"].strip(), kind[1].lower() if kind else ""


def _asks(cell: Notebook) -> bool:
    return cell["cell_type"] == "markdown" and "exercise" in student.tags(cell)


def _said(cell: Notebook) -> str:
    """What a code cell printed for readers; code and drawings are looked at, not said."""
    said = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "text/markdown" in data:
            said.append(_UNSAID.sub("", _FENCED.sub("", _text(data["text/markdown"]))).strip())
        elif "<figure" in _text(data.get("text/html")) or (data.get("text/plain") and "text/html" not in data):
            said.append(f"*To be seen:* {_text(data['text/plain'])}" if "figures." in _source(cell) else "")
    return "\n\n".join(filter(None, said))


def _minutes(first: Notebook, made: list[Slide]) -> int:
    """What the chapter promises to take without its exercises; what its words take, where it promises nothing."""
    promised = PROMISE.search(_source(first))
    return int(promised[1]) if promised else math.ceil(sum(map(_weight, made)) / WORDS)


def _weight(slide: Slide) -> int:
    exercises = slide.shown is not None and slide.shown.kind == "exercises"
    return PER_SLIDE + (0 if exercises else len(slide.notes.split()))


def _timed(made: list[Slide], minutes: int) -> list[Slide]:
    """Share the minutes among the slides, by what there is to say; the title takes none to speak of."""
    weights = [0, *map(_weight, made[1:])]
    whole = sum(weights) or 1
    return [replace(one, starts=round(minutes * sum(weights[:at]) / whole)) for at, one in enumerate(made)]


def minutes(notebook: Notebook, made: list[Slide]) -> int:
    """Return how many minutes a chapter's slides take."""
    return _minutes(notebook["cells"][0], made)


def _source(cell: Notebook) -> str:
    return _text(cell["source"])


def _text(lines: str | list[str] | None) -> str:
    return "".join(lines or "")
