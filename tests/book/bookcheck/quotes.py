"""Numbers of the paper: each quote equals the data of the lab."""

import re
from functools import cache
from typing import Any

import paper_numbers

from bookcheck.pages import Page
from bookcheck.prose import without_code

QUOTE = re.compile(r"\{paper\}`([^`]*)`")


@cache
def tables() -> dict[str, Any]:
    """Return the paper's tables and settings, with numbers as the digits printed."""
    return paper_numbers.load()


def check(page: Page) -> list[str]:
    """Return the quotes that differ from the paper, as the build does with the same function."""
    problems = []
    for cell in page.markdown:
        for text in QUOTE.findall(without_code(cell.source)):
            quote = paper_numbers.QUOTE.match(text)
            if quote is None:
                problems.append(f"cell {cell.index}: write {{paper}}`number <table.path>`, not {text!r}")
            elif problem := paper_numbers.check(quote["number"], quote["path"], tables()):
                problems.append(f"cell {cell.index}: {problem}")
    return problems
