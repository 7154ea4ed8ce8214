"""Run the notebooks in place and keep only the text of their outputs: `make refresh`.

Stored outputs are what nbval compares and what a reader sees on a code host. Pictures and interactive figures
are drawn again at every build, so storing them would only make every diff unreadable.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

import printed

Notebook = dict[str, Any]

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
DRAWN = ("image/", "text/html", "application/")


def text_only(notebook: Notebook) -> Notebook:
    """Return a copy whose outputs hold text alone and whose metadata say nothing about the machine.

    Kept: `text/plain`, `text/markdown`, streams, execution counts, cell tags, slides. An output that has nothing but a
    picture keeps an empty text, so that its place is still compared.
    """
    cells = []
    for cell in notebook["cells"]:
        cell = {
            **cell,
            "metadata": {k: v for k, v in cell["metadata"].items() if k in ("tags", "mystnb", "slides")},
        }
        if cell["cell_type"] == "code":
            outputs = [out for out in cell["outputs"] if out.get("name") != "stderr"]
            cell["outputs"] = [_text(out) for out in outputs]
        cells.append(cell)
    return {**notebook, "cells": cells, "metadata": {"kernelspec": KERNEL}}


def _text(output: Notebook) -> Notebook:
    if "data" not in output:
        return output
    data = {kind: value for kind, value in output["data"].items() if not kind.startswith(DRAWN)}
    return {**output, "data": data or {"text/plain": ""}, "metadata": {}}


def refresh(path: Path, timeout: int = 300) -> None:
    """Execute one notebook where it lies and write it back."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=timeout,
        coalesce_streams=True,  # a busy machine flushes what is printed in pieces
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    ).execute(env={**os.environ, **printed.ENVIRONMENT})
    clean = nbformat.from_dict(text_only(notebook))
    nbformat.validate(clean)
    nbformat.write(clean, path)


def main(names: list[str]) -> int:
    """Refresh the named notebooks, one after the other."""
    for name in names:
        print(f"running {name}", flush=True)
        refresh(Path(name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
