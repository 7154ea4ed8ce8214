"""The role `paper`: a number of the paper, checked at build time against `cwn_lite/lab/results/paper/*.json`.

``{paper}`4.25 <table4.cifar10.constant.0.4>` `` prints 4.25, and fails the build unless that is what stands in
`table4.json` under `cifar10`, `constant`, `0.4`.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

from cwn_lite.lab.results.tables import PAPER

QUOTE = re.compile(r"^(?P<number>[^<>]+?)\s*<(?P<path>[\w.+-]+)>$")


@cache
def load() -> dict[str, Any]:
    """Return all tables of the paper, by file name, with every number as the digits that are printed."""
    return {
        file.name.removesuffix(".json"): json.loads(
            file.read_text(encoding="utf8"), parse_float=Decimal, parse_int=Decimal
        )
        for file in sorted(PAPER.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".json")
    }


def look_up(tables: Any, path: str) -> Any:
    """Return the leaf at a dotted path; a key may hold dots itself (`constant.0.4`).

    Raises:
        KeyError: nothing there; the message lists what is.

    Example:
        >>> look_up({"table4": {"constant": {"0.4": 1}}}, "table4.constant.0.4")
        1
    """
    if not isinstance(tables, dict):
        raise KeyError(f"{path!r} goes below a leaf")
    if path in tables:
        return tables[path]
    for key in sorted(tables, key=len, reverse=True):
        if path.startswith(key + "."):
            return look_up(tables[key], path[len(key) + 1 :])
    raise KeyError(f"{path!r} is not one of {', '.join(map(repr, tables))}")


def check(quoted: str, path: str, tables: dict[str, Any]) -> str | None:
    """Return what is wrong with the quoted number, or nothing.

    A cell of a table must be written with the table's digits (4.5 is not 4.50); a setting is a quantity, so only
    its value counts.
    """
    try:
        value = look_up(tables, path)
    except KeyError as error:
        return f"no such cell: {error.args[0]}"
    if not isinstance(value, Decimal):
        return f"{path} is {'empty in the paper' if value is None else 'not a number'}"
    try:
        given = Decimal(quoted.replace(",", "").replace("\N{MINUS SIGN}", "-"))
    except InvalidOperation:
        return f"{quoted!r} is not a number"
    same = given == value if path.startswith("settings.") else str(given) == str(value)
    return None if same else f"the page says {quoted}, {path} says {value}"


class PaperNumber(SphinxRole):
    """The role itself."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Print the number, or report why it may not be printed."""
        match = QUOTE.match(self.text)
        problem = f"write {{paper}}`number <table.path>`, not {self.text!r}"
        if match:
            problem = check(match["number"], match["path"], load()) or ""
        if match is None or problem:
            message = self.inliner.reporter.error(f"paper: {problem}", line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        node = nodes.inline(self.rawtext, match["number"], classes=["paper-number"])
        return [node], []


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the role."""
    app.add_role("paper", PaperNumber())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
