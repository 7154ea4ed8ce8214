"""What the build printed, beside what the notebooks store: the build runs on the processor's own kernels."""

import json
from collections.abc import Iterable
from difflib import ndiff
from typing import Any

from refresh import text_only

from bookcheck.pages import ROOT

# The build's cache of executed notebooks: their code cells, as they came from the kernel.
EXECUTED = ROOT / "_build" / ".jupyter_cache" / "executed"

Notebook = dict[str, Any]


def executed() -> list[Notebook]:
    """Return what builds have executed, under no name: a notebook is known by its code."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(EXECUTED.glob("*/base.ipynb"))]


def differences(stored: Notebook, built: Iterable[Notebook]) -> list[str]:
    """Return the cells whose output in the build is not the text that is stored, with both texts line by line.

    What `make refresh` would not store (drawings, stderr) is not compared, as in nbval's runs of the notebooks.
    """
    same = [text_only(other) for other in built if _sources(other) == _sources(stored)]
    if not same:
        return ["the build has not executed these cells: run `make book`"]
    return [
        f"cell {stored['cells'].index(mine)} prints another text in the build (+) than is stored (-):\n" + difference
        for other in same
        for mine, theirs in zip(_code(stored), _code(other), strict=True)
        if (difference := _difference(_printed(mine), _printed(theirs)))
    ]


def _code(notebook: Notebook) -> list[Notebook]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _sources(notebook: Notebook) -> list[str]:
    return [_text(cell["source"]) for cell in _code(notebook)]


def _text(lines: str | list[str]) -> str:
    return "".join(lines)


def _printed(cell: Notebook) -> list[str]:
    """Lines of what a cell leaves: its streams, each in one piece, then each display with its kinds."""
    streams: dict[str, str] = {}
    shown: list[str] = []
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            streams[output["name"]] = streams.get(output["name"], "") + _text(output["text"])
        elif output["output_type"] == "error":
            shown.append(f"{output['ename']}: {output['evalue']}")
        else:
            shown += [f"[{kind}]\n{_text(text)}" for kind, text in sorted(output["data"].items())]
    pieces = [*(f"[{name}]\n{text}" for name, text in streams.items()), *shown]
    return [line for piece in pieces for line in piece.split("\n")]


def _difference(stored: list[str], built: list[str]) -> str:
    return "\n".join(line for line in ndiff(stored, built) if line.startswith(("-", "+")))
