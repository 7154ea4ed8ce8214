"""Displayed equations: each has a label of its page, and each label has a test that names it."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bookcheck.pages import BOOK, ROOT, Page, load
from bookcheck.prose import without_code

DOLLARS = re.compile(r"\$\$(?P<tex>.+?)\$\$(?:[ \t]*\((?P<label>[^()\s]+)\))?", re.DOTALL)
DIRECTIVE = re.compile(r"^(?P<fence>`{3,}|:{3,})\{math\}[^\n]*\n(?P<body>.*?)^(?P=fence)\s*$", re.DOTALL | re.MULTILINE)
ENVIRONMENT = re.compile(
    r"^\\begin\{(?P<env>equation|align|gather|multline)\*?\}.*?\\end\{(?P=env)\*?\}", re.DOTALL | re.MULTILINE
)
BRACKETS = re.compile(r"\\\[.+?\\\]", re.DOTALL)
LABEL_OPTION = re.compile(r"^:label:[ \t]*(\S+)[ \t]*\n", re.MULTILINE)
OPTION = re.compile(r"^:\w+:.*\n", re.MULTILINE)


@dataclass(frozen=True)
class Equation:
    """One displayed formula; `label` is None when it has none."""

    tex: str
    label: str | None


def equations(page: Page) -> list[Equation]:
    """Return all displayed formulas of a page."""
    found = []
    for cell in page.markdown:
        text = without_code(cell.source, keep=("math",))
        for match in DIRECTIVE.finditer(text):
            label = LABEL_OPTION.search(match["body"])
            found.append(Equation(OPTION.sub("", match["body"]).strip(), label[1] if label else None))
        text = DIRECTIVE.sub("", text)
        found += [Equation(match["tex"].strip(), match["label"]) for match in DOLLARS.finditer(text)]
        text = DOLLARS.sub("", text)
        found += [Equation(match.group(), None) for match in ENVIRONMENT.finditer(text)]
        found += [Equation(match.group(), None) for match in BRACKETS.finditer(text)]
    return found


@cache
def formula(label: str) -> str:
    """Return the LaTeX that the book displays under a label."""
    page = label.split(":")[1]
    for path in (BOOK / f"{page}.md", BOOK / f"{page}.ipynb"):
        if path.is_file():
            for equation in equations(load(path)):
                if equation.label == label:
                    return equation.tex
    raise KeyError(f"no page displays {label}")


@cache
def labels_with_tests(tests: Path = ROOT / "tests") -> frozenset[str]:
    """Return every label in a `pytest.mark.equation(...)` that decorates a test function below `tests`."""
    labels = set()
    for path in tests.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for decorator in node.decorator_list:
                    labels |= _labels(decorator)
    return frozenset(labels)


def _labels(decorator: ast.expr) -> set[str]:
    """The labels of one decorator, also inside `parametrize(..., marks=...)`."""
    calls = [node for node in ast.walk(decorator) if isinstance(node, ast.Call)]
    marks = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "equation"]
    return {
        argument.value
        for call in marks
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


def check(page: Page, tested: frozenset[str]) -> list[str]:
    """Return the displays without a proper label and the labels without a test."""
    problems = []
    seen = set()
    for equation in equations(page):
        start = " ".join(equation.tex.split())[:50]
        if equation.label is None:
            problems.append(f"displayed equation without a label: {start}")
        elif not re.fullmatch(rf"eq:{re.escape(page.name)}:[a-z0-9-]+", equation.label):
            problems.append(f"label {equation.label} is not of the form eq:{page.name}:<name>")
        elif equation.label in seen:
            problems.append(f"label {equation.label} is used twice")
        elif equation.label not in tested:
            problems.append(f"no test is marked @pytest.mark.equation({equation.label!r})")
        seen.add(equation.label)
    return problems


def stale(pages: list[Page], tested: frozenset[str]) -> list[str]:
    """Return the labels that tests name and no page displays."""
    shown = {equation.label for page in pages for equation in equations(page)}
    return [f"a test names {label}, which no page displays" for label in sorted(tested - shown)]
