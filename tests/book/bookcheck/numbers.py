"""Typed numbers: a measured number is printed by a cell, a number of the paper quoted from its data.

Flagged in Markdown and in the strings of code cells: decimals, percentages, multipliers (3x, 3 times) and times (3 s).
Allowed: what `book/constants.json` lists, quotes with the role `paper`, references such as Section 3.5, and counts.
"""

import ast
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from math import e, erf, exp, log, pi, sqrt
from typing import Any

from paper_numbers import load, look_up

from bookcheck.pages import BOOK, Page
from bookcheck.prose import ROLE, without_code

FIGURE = r"\d[\d,]*(?:\.\d+)?"
TIMES = r"\s?(?:[x×](?!\s*\d)(?!\w)|\\times(?!\s*[\w\\({])|times\b|-?fold\b)|-fold\b"
UNITS = {"ms": "ms", "s": "s", "sec": "s", "second": "s", "min": "min", "minute": "min"}
UNITS |= {"h": "h", "hour": "h", "day": "d"}
TYPED = re.compile(
    rf"(?<![\w.,^])(?P<figure>{FIGURE})"
    rf"(?:(?P<percent>(?:\s|\\,)*(?:\\?%|per\s?cent\b))"
    rf"|(?P<times>{TIMES})"
    rf"|(?:\s|\\,|-)(?P<unit>ms|s|sec|second|min|minute|h|hour|day)s?\b)?"
    rf"(?P<power>e[+-]?\d+)?"
)
NOT_MEASURED = re.compile(
    rf"{ROLE}"  # roles: quotes of the paper, references
    r"|\]\([^)]*\)|<https?:[^>]*>|https?://\S+|arXiv:\S+|doi:\S+"  # addresses
    r"|(?:[Ss]ections?|Sec\.|§+|[Cc]hapters?|[Tt]ables?|[Ff]igures?|Figs?\.|Eqs?\.|Appendix)[\s~]*\d[\d.]*(?:\s*(?:,|and|to|or|[–-])\s*\d[\d.]*)*"
    r"|(?:Python|PyTorch|torch|CUDA|CC BY|[Vv]ersion)\s*(?:>=|[≥v])?\s*\d[\d.]*"
    r"|\b(?:width|height|align|name|label|class)[:=]\S*"
)


def typed_numbers(text: str) -> list[str]:
    """Return the flagged numbers of a text in one spelling: `0.5`, `17%`, `3x`, `30s`."""
    text = NOT_MEASURED.sub(" ", text)
    found = []
    for match in TYPED.finditer(text):
        figure = match["figure"].rstrip(",").replace(",", "")
        if match["percent"]:
            found.append(f"{figure}%")
        elif match["times"]:
            found.append(f"{figure}x")
        elif match["unit"]:
            found.append(figure + UNITS[match["unit"]])
        elif "." in figure or match["power"]:
            found.append(figure + (match["power"] or ""))
    return found


def strings(source: str) -> Iterator[str]:
    """Yield what a cell's code may show: its string constants, without docstrings, replaced fields and format codes."""
    tree = ast.parse(source)
    silent: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            silent.add(id(node.value))
        if isinstance(node, ast.FormattedValue):
            silent |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.value


def check(page: Page, allowed: frozenset[str]) -> list[str]:
    """Return the typed numbers of a page that are not allowed."""
    problems = []
    for cell in page.cells:
        texts = [without_code(cell.source)] if cell.kind == "markdown" else strings(cell.source)
        for text in texts:
            for number in typed_numbers(text):
                is_duration = cell.index == 0 and number.endswith("min")  # how long the chapter takes
                if number not in allowed and not is_duration:
                    problems.append(f"cell {cell.index}: typed number {number}; let a cell print it, or quote it")
    return problems


@cache
def constants() -> dict[str, str]:
    """Return `book/constants.json`: how a number is written -> the expression that it rounds."""
    found: dict[str, str] = json.loads((BOOK / "constants.json").read_text(encoding="utf-8"))
    return found


def normal_cdf(x: float) -> float:
    """Return the distribution function of the standard normal law."""
    return (1 + erf(x / sqrt(2))) / 2


def best_of(k: int) -> float:
    """Return the expected largest of k standard normal numbers."""
    grid = [step / 1000 for step in range(-9000, 9001)]
    return sum(k * x * exp(-(x**2) / 2) / sqrt(2 * pi) * normal_cdf(x) ** (k - 1) for x in grid) / 1000


def evaluate(expression: str) -> float:
    """Return the value of an expression in pi, e, sqrt, exp, log, Phi, best_of and `paper('settings.…')`."""
    names: dict[str, Any] = {"pi": pi, "e": e, "sqrt": sqrt, "exp": exp, "log": log}
    names |= {"Phi": normal_cdf, "best_of": best_of}
    names["paper"] = lambda path: float(look_up(load(), path))
    return float(eval(compile(expression, "constants.json", "eval"), {"__builtins__": {}}, names))


def disagreement(literal: str, expression: str) -> str | None:
    """Return what is wrong with a constant: it is not the expression's value, rounded to the digits shown."""
    digits = re.match(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?", literal)
    if digits is None:
        return f"{literal!r} does not start with a number"
    shown = Decimal(digits.group())
    step = Decimal(1).scaleb(int(shown.as_tuple().exponent))
    value = Decimal(evaluate(expression))
    if abs(value - shown) <= step / 2:
        return None
    return f"{literal} is written, {expression} is {value:.6g}"
