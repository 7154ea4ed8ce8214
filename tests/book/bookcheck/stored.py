"""Stored outputs: text that is the same on every machine."""

import re
from typing import Any

from bookcheck.pages import Page

DRAWN = re.compile(r"image/|text/html|application/")
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b")
ABSOLUTE = re.compile(r"(?<![\w/:.<\\$^])/[A-Za-z][\w.-]*/[\w.-]+|\b[A-Z]:\\\w+")


def check(page: Page) -> list[str]:
    """Return cells that were not run, and outputs that are not plain text, hold an error, an address or a path."""
    problems = []
    for cell in page.code:
        if cell.source.strip() and not cell.executed:
            problems.append(f"cell {cell.index}: not executed; run `make refresh`")
        for output in cell.outputs:
            problems += [f"cell {cell.index}: {problem}" for problem in _output(output)]
    return problems


def _output(output: dict[str, Any]) -> list[str]:
    if output["output_type"] == "error":
        return [f"stored error {output.get('ename')}"]
    problems = [f"stored {kind}; run `make refresh`" for kind in output.get("data", {}) if DRAWN.match(kind)]
    if output.get("name") == "stderr":
        problems.append("stored text on stderr")
    texts = [output.get("text", ""), *output.get("data", {}).values()]
    text = "\n".join("".join(piece) for piece in texts if isinstance(piece, str | list))
    problems += [f"address {found} in an output" for found in ADDRESS.findall(text)]
    problems += [f"absolute path {found} in an output" for found in ABSOLUTE.findall(text)]
    return problems
