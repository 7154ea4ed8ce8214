"""Code in a narrow column: it means the same, and its lines are short."""

import ast
from pathlib import Path

import pytest

import cwn_lite as cwn
from cwn_lite.figures.narrow import WIDTH, narrow


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("short = 1", "short = 1"),
        (
            "def f(first: int, second: int) -> int:\n    pass",
            "def f(\n    first: int, second: int\n) -> int:\n    pass",
        ),
        (
            "total = add(first_number, second_number, third)",
            "total = add(\n    first_number,\n    second_number,\n    third,\n)",
        ),
        (
            "kept = one_value if condition else another",
            "kept = (\n    one_value\n    if condition\n    else another\n)",
        ),
        ("value = f(1)  # said beside the code, at length", "# said beside the code, at\n# length\nvalue = f(1)"),
        ("# words that are\n# more than one line can hold", "# words that are more than\n# one line can hold"),
        (
            'raise E(\n    f"{name} is longer than it may be"\n)',
            'raise E(\n    f"{name} is longer "\n    f"than it may be"\n)',
        ),
        ("a_name_that_nothing_can_break_at_all = 1", "a_name_that_nothing_can_break_at_all = 1"),
    ],
)
def test_a_line(code: str, expected: str) -> None:
    assert narrow(code, 28) == expected


@pytest.mark.parametrize("module", ["projection", "constrain", "layers", "fused", "trial"])
def test_the_library_means_the_same(module: str) -> None:
    code = (Path(cwn.__file__).parent / f"{module}.py").read_text(encoding="utf8")
    for width in (40, WIDTH):
        new = narrow(code, width)
        assert ast.dump(ast.parse(new)) == ast.dump(ast.parse(code))
        assert sum(map(is_long, new.splitlines())) < sum(map(is_long, code.splitlines()))


def is_long(line: str) -> bool:
    return len(line) > WIDTH
