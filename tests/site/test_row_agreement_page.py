"""The figure of rows that agree in a real browser: its numbers, its hands and its looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fragments import SLOW, Opener, opener, slider
from looks import boxes_apart, in_every_theme, stands_still
from playwright.sync_api import Browser, Locator, expect

from cwn_lite import figures
from cwn_lite.figures.explorable import bundle
from cwn_lite.figures.row_agreement import ROWS, row_agreement

ALT = "Three bars: how far rows of one norm stretch an input along their mean and along all else."
FIGURE = figures.explorable_html("row-agreement", {}, alt=ALT, static=figures.draw_row_agreement())
KEYS = ("largest", "others", "norm", "random", "limit")
pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def check(figure: Locator, *, rows: int, cosine: float) -> None:
    """Every number in the table and every bar is the library's for this setting."""
    stretch = row_agreement(rows=rows, cosine=cosine)
    for key in KEYS:
        cell = figure.locator(f'tr[data-row="{key}"] data')
        assert float(cell.get_attribute("value") or "nan") == pytest.approx(getattr(stretch, key), rel=1e-9), key
    for key in KEYS[:3]:
        bar = figure.locator(f".bar-{key}")
        assert float(bar.get_attribute("data-value") or "nan") == pytest.approx(getattr(stretch, key), rel=1e-9)


def test_the_arithmetic_is_the_library_s(open_page: Opener) -> None:
    answer: dict[str, Any] = open_page().evaluate(
        """async (code) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            const cosines = [0, 0.01, 0.1, 0.5, 1];
            const at = (rows) => cosines.map((cosine) => ({ rows, cosine, found: m.agreement({ rows, cosine }) }));
            const cases = m.ROWS.flatMap(at);
            return { rows: m.ROWS, cases };
        }""",
        bundle("row-agreement"),
    )
    assert tuple(answer["rows"]) == ROWS and len(answer["cases"]) == 5 * len(ROWS)
    for case in answer["cases"]:
        stretch = row_agreement(rows=case["rows"], cosine=case["cosine"])
        assert case["found"] == pytest.approx({key: getattr(stretch, key) for key in KEYS}, rel=1e-12)


def test_every_input_answers_to_the_keyboard(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    check(figure, rows=64, cosine=0.1)
    rows, cosine = slider(figure, "rows k"), slider(figure, "cosine of two rows r")
    rows.focus()
    page.keyboard.press("ArrowRight")
    assert rows.get_attribute("aria-valuetext") == "128 rows"
    check(figure, rows=128, cosine=0.1)
    page.keyboard.press("Home")
    check(figure, rows=2, cosine=0.1)
    page.keyboard.press("End")
    cosine.focus()
    page.keyboard.press("End")
    check(figure, rows=512, cosine=1.0)
    page.keyboard.press("Home")
    check(figure, rows=512, cosine=0.0)


def test_what_is_said(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    stretch = row_agreement(rows=64, cosine=0.1)
    status = figure.get_by_role("status")
    expect(status).to_contain_text(f"they stretch an input {stretch.largest:.2f} times", timeout=SLOW)
    slider(figure, "cosine of two rows r").fill("1")
    expect(status).to_contain_text(
        f"along all else 0.00 times. If all agreed, it would be {stretch.limit:.2f}", timeout=SLOW
    )
    label = figure.locator("svg.row-agreement").get_attribute("aria-label") or ""
    assert "any two with cosine 1.00" in label


def test_settings_from_the_page_and_two_of_a_kind(open_page: Opener) -> None:
    other = figures.explorable_html("row-agreement", {"rows": 8, "cosine": 0.5}, alt=ALT)
    page = open_page(other, FIGURE)
    one, two = page.locator("figure.explorable").all()
    check(one, rows=8, cosine=0.5)
    slider(one, "rows k").fill("0")
    check(one, rows=2, cosine=0.5)
    check(two, rows=64, cosine=0.1)


def test_axe_finds_nothing_and_colours_can_be_read(open_page: Opener) -> None:
    page = open_page(FIGURE)
    for words, bars in in_every_theme(page, ".bar"):
        assert words == 4 and bars == 3


@pytest.mark.parametrize("width", [320, 360, 640, 800])
def test_nothing_sticks_out_overlaps_or_moves_away(open_page: Opener, width: int) -> None:
    page = open_page(FIGURE, width=width)
    figure = page.locator("figure.explorable")
    tops = set()
    for rows, cosine in (("0", "0"), ("8", "1"), ("5", "0.33")):
        slider(figure, "rows k").fill(rows)
        slider(figure, "cosine of two rows r").fill(cosine)
        page.wait_for_timeout(250)  # until the summary has spoken
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = boxes_apart(figure.locator("svg.row-agreement > text"))
        assert len(boxes) == 4 and all(box[0] >= 0 and box[2] <= width for box in boxes)
        tops.add(figure.locator("table").evaluate("n => Math.round(n.getBoundingClientRect().top + scrollY)"))
    assert len(tops) == 1  # the table stays in place while the text above it changes


def test_without_scripts_the_static_figure_stands(open_page: Opener) -> None:
    page = open_page(FIGURE, ready=False, java_script_enabled=False)
    stands_still(page, ALT)
