"""No measured number is typed into a page."""

from pathlib import Path

import pytest
from bookcheck.numbers import check, constants, disagreement, strings, typed_numbers
from bookcheck.pages import BOOK, all_paths, from_markdown, from_notebook, load

ALLOWED = frozenset(constants())


@pytest.mark.parametrize("path", all_paths(), ids=lambda path: path.name)
def test_book(path: Path) -> None:
    assert check(load(path), ALLOWED) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The error is 4.25 after training.", ["4.25"]),
        ("an error of 5 % and 17\\,\\% more", ["5%", "17%"]),
        ("five per cent, or 5 per cent", ["5%"]),
        ("It is 3x faster, 3× the speed, 12 times as large, a 4-fold gain.", ["3x", "3x", "12x", "4x"]),
        ("in math, $c = 2.934$ and $10\\times$ more", ["2.934", "10x"]),
        ("takes 30 s, or 1.5 seconds, at 12 ms per step, 2 hours in all", ["30s", "1.5s", "12ms", "2h"]),
        ("a tolerance of 1e-6", ["1e-6"]),
        ("1,234.5 images, a change of -4.25 or −0.5", ["1234.5", "4.25", "0.5"]),
    ],
)
def test_flagged(text: str, found: list[str]) -> None:
    assert typed_numbers(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "Section 3.5, Eq. 12, Eq. 12–14, Table 1, §4.1.1 and Sections 4.1–4.3",
        "a 3x3 or 3 × 3 kernel on 32×32 images, 50,000 of them in 10 classes",
        "$2 \\times n$ numbers, $3\\times 3$ and $\\frac{1}{27}$",
        "{paper}`4.25 <table4.cifar10.constant.0.4>` per cent, see {eq}`eq:errata:c-2.0`",
        "[a link](https://example.org/v1.2/page) and <https://example.org/3.4>",
        "Python 3.11, torch 2.4 and CC BY 4.0; version 0.1.0, Version 0.1.0",
        "WideResNet-28-10 and ResNet-110 for 200 epochs, CIFAR-10",
        "$(1 - x)^2 s^2 + 10^3 h$",
        "in the 1980s, at step 5, 2 rows, three times",
    ],
)
def test_not_flagged(text: str) -> None:
    assert typed_numbers(text) == []


def test_code_is_not_prose() -> None:
    assert check(from_markdown("Use `lr=0.1`.\n\n```python\nlr = 0.1  # 5 %\n```\n\n<!-- 4.5 -->\n"), frozenset()) == []
    assert check(from_markdown("```{note}\nAn error of 4.25.\n```"), frozenset()) != []
    assert check(from_markdown(":::{note} Title 1.5\ntext\n:::"), frozenset()) != []


def test_strings_of_code_cells() -> None:
    def page(source: str, index: int = 1) -> list[str]:
        cells = [{"cell_type": "markdown", "source": "# T"}] * index + [{"cell_type": "code", "source": source}]
        return check(from_notebook({"cells": cells}), frozenset())

    assert page('markdown("The error is 4.25.")')
    assert page('print(f"{name}: 4.25 of {total:.1f}")')
    assert page('display(Markdown("a " + "gain of 17 %"))')
    assert page('text = "takes 30 s"')
    assert not page("markdown(f'The error is {error:.2f} and {errors[0.5]}, {x:8.3f}.')")
    assert not page('def f():\n    """With lr = 0.1."""\n    return 0.25')
    assert list(strings("f'{x:8.3f} {0.5!r} of'")) == [" ", " of"]


def test_constants_and_the_length_of_a_chapter_are_allowed() -> None:
    assert check(from_markdown("a constant, 2.934"), frozenset({"2.934"})) == []
    assert check(from_markdown("About 40 minutes."), frozenset()) == []
    late = {"cells": [{"cell_type": "markdown", "source": s} for s in ("# T", "It takes 40 minutes.")]}
    assert check(from_notebook(late), frozenset()) != []


@pytest.mark.parametrize(("literal", "expression"), constants().items())
def test_constants(literal: str, expression: str) -> None:
    assert disagreement(literal, expression) is None


def test_wrong_constants() -> None:
    assert disagreement("2.935", "2*pi/(pi-1)")
    assert disagreement("17%", "18.2")
    assert disagreement("0.2", "paper('settings.cifar.cnn.lr')")
    assert not disagreement("2.934", "2*pi/(pi-1)")
    assert disagreement("about 2", "2")


def test_every_constant_is_used() -> None:
    used = {number for path in all_paths() if path.is_file() for number in _all_numbers(path)}
    assert set(constants()) <= used, f"remove from {BOOK.name}/constants.json: {set(constants()) - used}"


def _all_numbers(path: Path) -> list[str]:
    return [problem.split("typed number ")[1].split(";")[0] for problem in check(load(path), frozenset())]
