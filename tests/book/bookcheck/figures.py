"""Figures: drawn by the book's own functions, each with a text that says what it shows."""

import ast
import re

from bookcheck.pages import Cell, Page
from bookcheck.prose import without_code

LEAST_IMAGE, LEAST_FIGURE = 20, 40  # characters of a text alternative
MARKDOWN_IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\([^)]*\)")
HTML_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
HTML_ALT = re.compile(r"\balt=[\"']([^\"']*)[\"']")
DIRECTIVE = re.compile(
    r"^(?P<fence>[`:]{3,})\{(?:image|figure)\}.*?\n(?P<body>.*?)^(?P=fence)", re.DOTALL | re.MULTILINE
)
DRAWERS = {"show", "explorable", "live"}
MATPLOTLIB = {"plt", "pyplot", "fig", "figure", "ax"}


def check(page: Page) -> list[str]:
    """Return the figures that bypass `figures.show`, and those without a proper text alternative."""
    problems = []
    for cell in page.cells:
        found = _in_markdown(cell.source) if cell.kind == "markdown" else [*_in_code(cell.source), *_left_open(cell)]
        problems += [f"cell {cell.index}: {problem}" for problem in found]
    return problems


def _in_markdown(source: str) -> list[str]:
    text = without_code(source, keep=("image", "figure"))
    alts = [(match.group(), match["alt"]) for match in MARKDOWN_IMAGE.finditer(text)]
    for tag in HTML_IMAGE.findall(text):
        alts.append((tag, (HTML_ALT.search(tag) or ["", ""])[1]))
    for match in DIRECTIVE.finditer(text):
        alt = re.search(r"^:alt:(.*)$", match["body"], re.MULTILINE)
        alts.append((match.group().split("\n")[0], alt[1] if alt else ""))
    return [
        f"image {image[:40]!r} needs a text alternative of {LEAST_IMAGE} characters"
        for image, alt in alts
        if len(alt.strip()) < LEAST_IMAGE
    ]


def _in_code(source: str) -> list[str]:
    problems = []
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name, owner = _name(call.func)
        if name == "show" and owner in MATPLOTLIB:
            problems.append(f"{owner}.show() bypasses figures.show(fig, alt=...)")
        elif name == "display" and any(isinstance(arg, ast.Name) and arg.id in MATPLOTLIB for arg in call.args):
            problems.append("display() of a figure bypasses figures.show(fig, alt=...)")
        elif name in DRAWERS:
            alt = next((keyword.value for keyword in call.keywords if keyword.arg == "alt"), None)
            if alt is None or _typed_length(alt) < LEAST_FIGURE:
                problems.append(f"{name}() needs alt= with {LEAST_FIGURE} characters written in the cell")
    return problems


def _left_open(cell: Cell) -> list[str]:
    """A figure that the notebook showed by itself leaves its name as text."""
    texts = ["".join(output.get("data", {}).get("text/plain", "")) for output in cell.outputs]
    return [
        f"the output {text[:30]!r} is a figure shown without figures.show"
        for text in texts
        if text.startswith(("<Figure", "<matplotlib", "[<matplotlib", "<Axes"))
    ]


def _name(function: ast.expr) -> tuple[str, str]:
    """The called name and what it is an attribute of."""
    if isinstance(function, ast.Attribute):
        return function.attr, function.value.id if isinstance(function.value, ast.Name) else ""
    return (function.id, "") if isinstance(function, ast.Name) else ("", "")


def _typed_length(alt: ast.expr) -> int:
    """How many characters of the text stand in the cell; replaced fields of an f-string do not count."""
    return sum(
        len(node.value) for node in ast.walk(alt) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
