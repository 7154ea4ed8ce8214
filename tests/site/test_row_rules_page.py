"""The figure of nine rules for one row in a real browser: its numbers, its hands and its looks."""

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
from cwn_lite.figures.row_rules import RULES, row_rules

ALT = "A sphere cut by a plane, a row on their circle, and where one step takes it by each of nine rules."
FIGURE = figures.explorable_html("row-rules", {}, alt=ALT, static=figures.draw_row_rules())
KEYS = ("square", "offset", "turned")
pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def check(figure: Locator, rule: str, **settings: float) -> None:
    """The numbers in the table are the library's for this rule and setting."""
    now = row_rules(**settings)[rule]
    for key in KEYS:
        cell = figure.locator(f'tr[data-row="{key}"] data')
        assert float(cell.get_attribute("value") or "nan") == pytest.approx(getattr(now, key), rel=1e-9, abs=1e-12), key


def test_the_arithmetic_is_the_library_s(open_page: Opener) -> None:
    answer: dict[str, Any] = open_page().evaluate(
        """async (code) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            const cases = [];
            for (const angle of [0, 75, 290])
                for (const size of [0.1, 1, 3])
                    for (const rate of [0.05, 0.8, 1.5])
                        for (const length of [0.5, 1, 3]) {
                            const given = { angle, size, rate, length };
                            cases.push({ given, next: m.after(given).next });
                        }
            return { rules: Object.keys(m.RULES), cases };
        }""",
        bundle("row-rules"),
    )
    assert answer["rules"] == list(RULES) and len(answer["cases"]) == 81
    for case in answer["cases"]:
        for rule, now in row_rules(**case["given"]).items():
            found = case["next"][rule]
            assert found["point"] == pytest.approx(now.point, rel=1e-10, abs=1e-12)
            assert [found[key] for key in KEYS] == pytest.approx([getattr(now, key) for key in KEYS], abs=1e-10)


def test_every_input_answers_to_the_keyboard(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    check(figure, "cwo")
    rule = figure.get_by_role("combobox")
    rule.focus()
    page.keyboard.press("Home")
    check(figure, "plain")
    rule.select_option("ws")
    check(figure, "ws")
    settings = {"rate": 0.8, "size": 1.0, "length": 1.0, "angle": 290.0}
    for label, key, end in (
        ("rate α", "rate", 1.5),
        ("gradient, times", "size", 3.0),
        ("trained row of WS, times", "length", 3.0),
        ("where w stands", "angle", 360.0),
    ):
        slider(figure, label).focus()
        page.keyboard.press("End")
        settings[key] = end
        check(figure, "ws", **settings)


def test_what_is_said_and_where_a_rule_acts(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    now = row_rules()
    status = figure.get_by_role("status")
    expect(status).to_contain_text(f"CWO: the row turns by {now['cwo'].turned:.2f} radians", timeout=SLOW)
    figure.get_by_role("combobox").select_option("muon")
    expect(status).to_contain_text(f"the squared norm goes from 2 to {now['muon'].square:.2f}", timeout=SLOW)
    acts = {"plain": [], "muon": [1, 2], "ngpt": [3], "cwo": [3], "ws": [0, 1, 2, 3], "req": [1, 2, 3]}
    for rule, places in acts.items():
        figure.get_by_role("combobox").select_option(rule)
        marks = [node.get_attribute("data-acts") for node in figure.locator("dd").all()]
        assert [i for i, mark in enumerate(marks) if mark == "true"] == places, rule


def test_settings_from_the_page_and_two_of_a_kind(open_page: Opener) -> None:
    other = figures.explorable_html("row-rules", {"rule": "nero", "rate": 0.3}, alt=ALT)
    page = open_page(other, FIGURE)
    one, two = page.locator("figure.explorable").all()
    check(one, "nero", rate=0.3)
    one.get_by_role("combobox").select_option("mano")
    check(one, "mano", rate=0.3)
    check(two, "cwo")


def test_axe_finds_nothing_and_colours_can_be_read(open_page: Opener) -> None:
    page = open_page(FIGURE)
    for words, spots in in_every_theme(page, ".spot"):
        assert words == 3 and spots == 9


@pytest.mark.parametrize("width", [320, 360, 640, 800])
def test_nothing_sticks_out_overlaps_or_moves_away(open_page: Opener, width: int) -> None:
    page = open_page(FIGURE, width=width)
    figure = page.locator("figure.explorable")
    tops = set()
    for rule in RULES:
        figure.get_by_role("combobox").select_option(rule)
        page.wait_for_timeout(200)  # until the summary has spoken
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = boxes_apart(figure.locator("svg.row-rules > text"))
        assert len(boxes) == 3 and all(box[0] >= 0 and box[2] <= width for box in boxes)
        tops.add(slider(figure, "rate α").evaluate("n => Math.round(n.getBoundingClientRect().top + scrollY)"))
    assert len(tops) == 1  # the sliders stay in place while the texts above them change


def test_without_scripts_the_static_figure_stands(open_page: Opener) -> None:
    page = open_page(FIGURE, ready=False, java_script_enabled=False)
    stands_still(page, ALT)
