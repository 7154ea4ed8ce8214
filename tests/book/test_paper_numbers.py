"""Quotes of the paper agree with its data, and the data with itself."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bookcheck.pages import all_paths, from_markdown, load
from bookcheck.quotes import check, tables
from paper_numbers import look_up


@pytest.mark.parametrize("path", all_paths(), ids=lambda path: path.name)
def test_book(path: Path) -> None:
    assert check(load(path)) == []


@pytest.mark.parametrize(
    ("quote", "problem"),
    [
        ("{paper}`4.25 <table4.cifar10.constant.0.4>`", None),
        ("{paper}`0.001 <settings.cifar.cnn.weight_decay>`", None),
        ("{paper}`4.52 <table4.cifar10.constant.0.4>`", "the page says 4.52"),
        ("{paper}`5.5 <table1.cifar10.standard.cnn.ours>`", "says 5.50"),
        ("{paper}`4.25 <table4.cifar10.constant.0.5>`", "no such cell"),
        ("{paper}`4.25 <table4.cifar100.constant.0.4>`", "empty in the paper"),
        ("{paper}`4.25`", "write {paper}"),
    ],
)
def test_planted(quote: str, problem: str | None) -> None:
    problems = check(from_markdown(f"It is {quote}."))
    assert problems == [] if problem is None else problem in problems[0]


def leaves(table: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(table, dict):
        for key, inner in table.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, table


METHODS = {"ours", "bn", "gn", "ws+bn", "ws+gn"}


def test_shapes() -> None:
    """As many rows and columns as printed, and two decimals (Table 5: one)."""
    counts = {"table1": 60, "table2": 12, "table3": 16, "table4": 20, "table5": 10, "table6": 12}
    for name, count in counts.items():
        cells = [value for _, value in leaves(tables()[name])]
        assert len(cells) == count
        digits = {value.as_tuple().exponent for value in cells if value is not None}
        assert digits == ({-1} if name == "table5" else {-2})
    rows = [network for data in tables()["table1"].values() for kind in data.values() for network in kind.values()]
    assert len(rows) == 12 and all(set(row) == METHODS for row in rows)
    assert [path for path, value in leaves(tables()["table4"]) if value is None] == ["cifar100.constant.0.4"]
    assert set(tables()["table5"]) == METHODS and set(tables()["table6"]) == METHODS | {"plain"}


def test_tables_agree() -> None:
    """The same run stands in several tables."""
    for data in ("cifar10", "cifar100"):
        same = [
            ("table1.{}.standard.wideresnet-28-10.ours", "table3.{}.both.1.0"),
            ("table3.{}.both.1.0", "table4.{}.linear.1.0"),
            ("table3.{}.both.0.0", "table4.{}.none"),
            ("table1.{}.fastaa.wideresnet-28-10.ours", "table2.{}.ours.128"),
            ("table1.{}.fastaa.wideresnet-28-10.bn", "table2.{}.bn.128"),
        ]
        for first, second in same:
            assert look_up(tables(), first.format(data)) == look_up(tables(), second.format(data))


def test_marks() -> None:
    """Bold is the best of its row, italic the second; rows without a second mark are listed."""
    for name, depth in (("table1", 3), ("table4", 1)):
        marks = tables()["marks"][name]
        cells = [(path, value) for path, value in leaves(tables()[name]) if value is not None]
        rows = {".".join(path.split(".")[:depth]) for path, _ in cells}
        bold, italic, unmarked = [], [], []
        for row in sorted(rows):
            ranked = sorted((value, path) for path, value in cells if path.startswith(row + "."))
            bold.append(ranked[0][1])
            if ranked[1][1] in marks["italic"]:
                italic.append(ranked[1][1])
            else:
                unmarked.append(row)
            assert ranked[0][0] < ranked[1][0] < ranked[2][0], "no ties"
        assert sorted(marks["bold"]) == bold
        assert sorted(marks["italic"]) == italic
        assert sorted(marks["unmarked_second"]) == unmarked


def test_settings() -> None:
    settings = tables()["settings"]
    models = settings["modelnet40"]
    assert models["train_models"] + models["test_models"] == models["models"]
    assert look_up(tables(), "settings.cifar.wideresnet-28-10.weight_decay") == Decimal("0.005")
    networks = set(tables()["table1"]["cifar10"]["standard"])
    assert networks <= set(settings["cifar"])
