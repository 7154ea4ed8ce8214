"""The figure of intervals over a few seeds in a real browser: its numbers, its hands and its looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fragments import SLOW, Opener, opener, slider
from looks import in_every_theme, stands_still
from playwright.sync_api import Browser, Locator, expect

from cwn_lite import figures
from cwn_lite.figures.explorable import bundle
from cwn_lite.figures.seed_intervals import SHOWN, STUDENT, seed_intervals

ALT = "Intervals of two dozen experiments with a few seeds each, some of which miss the truth."
FIGURE = figures.explorable_html("seed-intervals", {}, alt=ALT, static=figures.draw_seed_intervals())
pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def check(figure: Locator, **settings: Any) -> None:
    """Every number in the table is the library's for this setting, and each interval is marked as it says."""
    found = seed_intervals(**settings)
    for key in ("covered", "decided", "truth"):
        cell = figure.locator(f'tr[data-row="{key}"] data')
        assert float(cell.get_attribute("value") or "nan") == pytest.approx(getattr(found, key), rel=1e-9), key
    ends = zip(found.low[:SHOWN], found.high[:SHOWN], strict=True)
    assert figure.locator(".misses").count() == sum(high < found.truth or low > found.truth for low, high in ends)


def test_the_arithmetic_is_the_library_s(open_page: Opener) -> None:
    cases = [
        {"seeds": seeds, "gap": gap, "failing": failing, "trained": trained}
        for seeds in (2, 3, 10)
        for gap, failing in ((0, 0), (1.5, 0.2), (4, 0.5))
        for trained in (False, True)
    ]
    answer: dict[str, Any] = open_page().evaluate(
        """async ([code, cases]) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            const short = (found) => ({ ...found, intervals: found.intervals.slice(0, 40) });
            return { student: m.STUDENT, found: cases.map((c) => short(m.experiments(c))) };
        }""",
        [bundle("seed-intervals"), cases],
    )
    assert answer["student"] == list(STUDENT)
    for case, drawn in zip(cases, answer["found"], strict=True):
        found = seed_intervals(**case)
        assert (drawn["truth"], drawn["covered"], drawn["decided"]) == pytest.approx(
            (found.truth, found.covered, found.decided), rel=1e-9
        )
        for interval, low, high in zip(drawn["intervals"], found.low, found.high, strict=False):
            if low == low:
                assert (interval["low"], interval["high"]) == pytest.approx((low, high), rel=1e-9, abs=1e-9)


def test_every_input_answers_to_the_keyboard(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    check(figure, seeds=3, gap=1.0)
    slider(figure, "seeds k").focus()
    page.keyboard.press("End")
    check(figure, seeds=10, gap=1.0)
    slider(figure, "true gap, in points").focus()
    page.keyboard.press("Home")
    check(figure, seeds=10, gap=0.0)
    slider(figure, "runs that fail, in %").focus()
    page.keyboard.press("ArrowRight")
    check(figure, seeds=10, gap=0.0, failing=0.05)
    figure.get_by_label("leave failed runs out").focus()
    page.keyboard.press("Space")
    check(figure, seeds=10, gap=0.0, failing=0.05, trained=True)


def test_what_is_said(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    slider(figure, "runs that fail, in %").fill("20")
    found = seed_intervals(seeds=3, failing=0.2)
    words = f"With 3 seeds, {100 * found.covered:.0f} % of the intervals hold the truth"
    expect(figure.get_by_role("status")).to_contain_text(words, timeout=SLOW)
    assert words in (figure.locator("svg.seed-intervals").get_attribute("aria-label") or "")


def test_settings_from_the_page_and_two_of_a_kind(open_page: Opener) -> None:
    other = figures.explorable_html("seed-intervals", {"seeds": 5, "failing": 0.1}, alt=ALT)
    page = open_page(other, FIGURE)
    one, two = page.locator("figure.explorable").all()
    check(one, seeds=5, failing=0.1)
    slider(one, "seeds k").fill("2")
    check(one, seeds=2, failing=0.1)
    check(two, seeds=3)


def test_axe_finds_nothing_and_colours_can_be_read(open_page: Opener) -> None:
    page = open_page(FIGURE)
    for words, lines in in_every_theme(page, ".interval"):
        assert words == 6 and lines == SHOWN


@pytest.mark.parametrize("width", [320, 360, 640, 800])
def test_nothing_sticks_out_or_moves_away(open_page: Opener, width: int) -> None:
    page = open_page(FIGURE, width=width)
    figure = page.locator("figure.explorable")
    tops = set()
    for seeds, failing in (("2", "0"), ("10", "50"), ("5", "20")):
        slider(figure, "seeds k").fill(seeds)
        slider(figure, "runs that fail, in %").fill(failing)
        page.wait_for_timeout(250)  # until the summary has spoken
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        tops.add(figure.locator("table").evaluate("n => Math.round(n.getBoundingClientRect().top + scrollY)"))
    assert len(tops) == 1  # the table stays in place while the text above it changes


def test_without_scripts_the_static_figure_stands(open_page: Opener) -> None:
    page = open_page(FIGURE, ready=False, java_script_enabled=False)
    stands_still(page, ALT)
