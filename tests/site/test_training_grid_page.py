"""The grid of trainings in a real browser: its numbers, its hands and its looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fragments import SLOW, Opener, opener
from looks import in_every_theme, stands_still
from playwright.sync_api import Browser, Locator, expect

from cwn_lite import figures
from cwn_lite.figures.explorable import bundle
from cwn_lite.figures.training_grid import QUANTITIES, cell_value, shade

ALT = "A heat map of trainings by learning rate and length of the first rows."
LENGTHS = (0.1, 10**-0.5, 1.0, 10**0.5, 10.0)


def make_cells() -> list[dict[str, Any]]:
    cells = []
    for method, lengths in (("ws-scaled", LENGTHS), ("ours", (1.0,))):
        for layers in (6, 12):
            for decay in (0.0, 5e-3):
                for i, lr in enumerate((0.01, 0.1, 1.0)):
                    for j, length in enumerate(lengths):
                        runs = [None if i > 1 + s else (11.0 * i + 7.3 * j + 20.1 * s + layers) % 95 for s in range(3)]
                        row = {"method": method, "layers": layers, "decay": decay, "lr": lr, "length": length}
                        cells.append({**row, "runs": runs})
    return cells


CELLS = make_cells()
DATA = {"cells": CELLS, "names": figures.LABELS}
FIGURE = figures.explorable_html(
    "training-grid", DATA, alt=ALT, static=figures.draw_training_grid(CELLS, ("ws-scaled", "ours"))
)
pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def check(figure: Locator, method: str, layers: int, decay: float, quantity: str) -> None:
    """Every cell holds the library's number, and its class the library's ground."""
    here = [c for c in CELLS if (c["method"], c["layers"], c["decay"]) == (method, layers, decay)]
    order = sorted(here, key=lambda c: (-c["lr"], c["length"]))
    seen = figure.locator("td.training-grid-cell").evaluate_all("all => all.map((n) => [n.dataset.value, n.className])")
    assert len(seen) == len(order)
    for (value, name), cell in zip(seen, order, strict=True):
        expected = cell_value(cell["runs"], quantity)
        assert (None if value == "" else float(value)) == (None if expected is None else pytest.approx(expected))
        assert f"shade-{shade(cell['runs'])}" in name


def test_the_arithmetic_is_the_library_s(open_page: Opener) -> None:
    cases = [c["runs"] for c in CELLS] + [[None], [50.0], [49.99, None, None, 3.0]]
    answers = open_page().evaluate(
        """async ([code, cases]) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            const all = Object.keys(m.QUANTITIES);
            return cases.map((runs) => [all.map((q) => m.cellValue(runs, q)), m.shade(runs)]);
        }""",
        [bundle("training-grid"), cases],
    )
    for runs, (values, ground) in zip(cases, answers, strict=True):
        for quantity, value in zip(QUANTITIES, values, strict=True):
            expected = cell_value(runs, quantity)
            assert value == (None if expected is None else pytest.approx(expected, rel=1e-12))
        assert ground == shade(runs)


def test_each_menu_changes_the_grid(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    check(figure, "ws-scaled", 6, 0.0, "error")
    choose = {name: figure.get_by_label(name, exact=True) for name in ("method", "layers", "weight decay", "shown")}
    choose["shown"].select_option("worst")
    check(figure, "ws-scaled", 6, 0.0, "worst")
    choose["layers"].select_option("12")
    choose["weight decay"].select_option("0.005")
    check(figure, "ws-scaled", 12, 5e-3, "worst")
    choose["method"].select_option(label="CWO")
    choose["shown"].select_option("diverged")
    check(figure, "ours", 12, 5e-3, "diverged")
    choose["method"].focus()
    page.keyboard.press("ArrowUp")
    check(figure, "ws-scaled", 12, 5e-3, "diverged")


def test_what_is_said(open_page: Opener) -> None:
    figure = open_page(FIGURE).locator("figure.explorable")
    runs = [r for c in CELLS if c["method"] == "ours" and c["layers"] == 6 and c["decay"] == 0 for r in c["runs"]]
    figure.get_by_label("method", exact=True).select_option(label="CWO")
    expect(figure.get_by_role("status")).to_contain_text(
        f"CWO, 6 layers, no weight decay: {cell_value(runs, 'trained')} of 9 runs train", timeout=SLOW
    )
    assert "of 3 train" in figure.locator("td.training-grid-cell").first.inner_text()


def test_two_of_a_kind_start_where_they_are_told(open_page: Opener) -> None:
    start = {"method": "ours", "layers": 12, "quantity": "trained"}
    other = figures.explorable_html("training-grid", {**DATA, "start": start}, alt=ALT)
    one, two = open_page(other, FIGURE).locator("figure.explorable").all()
    check(one, "ours", 12, 0.0, "trained")
    one.get_by_label("shown", exact=True).select_option("error")
    check(one, "ours", 12, 0.0, "error")
    check(two, "ws-scaled", 6, 0.0, "error")


def test_axe_finds_nothing_in_any_theme(open_page: Opener) -> None:
    page = open_page(FIGURE)
    for _ in in_every_theme(page, ".explorable-live path"):  # no drawing: axe reads the contrast of cells
        pass


@pytest.mark.parametrize("width", [320, 360, 640, 800])
def test_nothing_sticks_out_or_moves_away(open_page: Opener, width: int) -> None:
    page = open_page(FIGURE, width=width)
    figure = page.locator("figure.explorable")
    tops = set()
    for method in ("ours", "ws-scaled"):
        figure.get_by_label("method", exact=True).select_option(method)
        page.wait_for_timeout(250)  # until the summary has spoken
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = figure.locator("td.training-grid-cell").evaluate_all(
            "all => all.map((n) => [n.scrollWidth - n.clientWidth, parseFloat(getComputedStyle(n).fontSize)])"
        )
        assert all(over <= 0 and size >= 10 for over, size in sizes)
        tops.add(figure.locator("table").evaluate("n => Math.round(n.getBoundingClientRect().top + scrollY)"))
    assert len(tops) == 1


def test_without_scripts_the_static_figure_stands(open_page: Opener) -> None:
    page = open_page(FIGURE, ready=False, java_script_enabled=False)
    stands_still(page, ALT)
