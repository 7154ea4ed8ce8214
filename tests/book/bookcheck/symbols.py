"""Symbols of formulas: none stands in a displayed formula before the page has named it in a sentence."""

import re

from bookcheck.equations import equations
from bookcheck.pages import Cell, Page

GREEK = (
    "alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|rho|sigma|tau|phi|varphi|chi|"
    "psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Phi|Psi|Omega|ell"
)
ACCENTS = "tilde|hat|bar|dot|vec"
INLINE = re.compile(r"(?<!\$)\$([^$]+)\$(?!\$)")
DISPLAYED = re.compile(r"\$\$.*?\$\$", re.DOTALL)
WORDS = re.compile(r"\\(?:mathrm|text|operatorname\*?|mathbb|begin|end)\s*(?:\{[^}]*\}|[A-Z])")
SYMBOL = re.compile(
    rf"(?:\\(?P<accent>{ACCENTS})\s*\{{?\s*)?"
    rf"(?:\\math(?P<font>cal|bf)\s*\{{?(?P<set>[A-Za-z0-9])\}}?|\\(?P<greek>{GREEK})(?![A-Za-z])"
    rf"|(?P<command>\\[A-Za-z]+)|(?P<letter>[A-Za-z]))"
)
CONSTANTS = {"d", "e"}  # of differentials and exponentials


def symbols(tex: str) -> set[str]:
    """Return letters with their accents, wherever they stand; numbers, words and operators are none.

    Example:
        >>> sorted(symbols(r"\\tilde w_i = \\sqrt{c} + \\operatorname{E}[\\gamma]"))
        ['c', 'gamma', 'i', 'tilde w', 'w']
    """
    found = set()
    for match in SYMBOL.finditer(WORDS.sub("", tex)):
        letter = match["set"] or match["greek"] or match["letter"]
        if letter:
            base = f"{match['font']} {letter}" if match["set"] else letter
            found |= {base, f"{match['accent']} {base}"} if match["accent"] else {base}
    return found


def check(page: Page) -> list[str]:
    """Return the displayed formulas with symbols that no sentence up to the end of their cell holds."""
    named: set[str] = set()
    problems = []
    for cell in page.markdown:
        named |= in_sentences(cell)
        for equation in equations(Page(page.path, (cell,))):
            if missing := symbols(equation.tex) - named - CONSTANTS:
                problems.append(f"{equation.label}: no sentence before it names {', '.join(sorted(missing))}")
    return problems


def in_sentences(cell: Cell) -> set[str]:
    """Return the symbols of the formulas within a cell's sentences."""
    return {symbol for tex in INLINE.findall(DISPLAYED.sub(" ", cell.source)) for symbol in symbols(tex)}


def unlisted(page: Page, notation: Page) -> set[str]:
    """Return symbols of displayed formulas that the notation page lacks."""
    listed = {symbol for cell in notation.markdown for symbol in in_sentences(cell)}
    return {symbol for equation in equations(page) for symbol in symbols(equation.tex)} - listed - CONSTANTS
