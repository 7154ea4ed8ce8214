"""The figure of an average inside the sphere in a real browser: its numbers, its hands and its looks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fragments import SLOW, Opener, opener, slider
from looks import boxes_apart, in_every_theme, stands_still
from playwright.sync_api import Browser, Locator, expect

from cwn_lite import figures
from cwn_lite.figures.explorable import bundle
from cwn_lite.figures.weight_average import DECAYS, weight_average

ALT = "A circle of rows that turn step by step, and their exponential average inside of it."
FIGURE = figures.explorable_html("weight-average", {}, alt=ALT, static=figures.draw_weight_average())
KEYS = ("age", "steady", "lag", "random")
pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def check(figure: Locator, *, decay: float, angle: float) -> None:
    """Every number in the table and both points inside are the library's for this setting."""
    found = weight_average(decay=decay, angle=angle)
    for key in KEYS:
        cell = figure.locator(f'tr[data-row="{key}"] data')
        assert float(cell.get_attribute("value") or "nan") == pytest.approx(getattr(found, key), rel=1e-9), key
    for key, length in (("average", found.steady), ("projected", 1.0)):
        bead = figure.locator(f".bead-{key}[data-length]")
        assert float(bead.get_attribute("data-length") or "nan") == pytest.approx(length, rel=1e-9)
        assert float(bead.get_attribute("data-back") or "nan") == pytest.approx(found.lag, rel=1e-9)


def test_the_arithmetic_is_the_library_s(open_page: Opener) -> None:
    answer: dict[str, Any] = open_page().evaluate(
        """async (code) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            const angles = [0, 0.005, 0.1, 0.5, 3];
            const at = (decay) => angles.map((angle) => ({ decay, angle, found: m.average({ decay, angle }) }));
            return { decays: m.DECAYS, cases: m.DECAYS.flatMap(at) };
        }""",
        bundle("weight-average"),
    )
    assert tuple(answer["decays"]) == DECAYS and len(answer["cases"]) == 5 * len(DECAYS)
    for case in answer["cases"]:
        found = weight_average(decay=case["decay"], angle=case["angle"])
        assert case["found"] == pytest.approx({key: getattr(found, key) for key in KEYS}, rel=1e-12, abs=1e-12)


def test_every_input_answers_to_the_keyboard(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    check(figure, decay=0.99, angle=0.015)
    decay, angle = slider(figure, "decay d"), slider(figure, "angle per step ω")
    decay.focus()
    page.keyboard.press("ArrowRight")
    assert decay.get_attribute("aria-valuetext") == "0.995"
    check(figure, decay=0.995, angle=0.015)
    page.keyboard.press("End")
    angle.focus()
    page.keyboard.press("ArrowRight")
    assert angle.get_attribute("aria-valuetext") == "0.020 rad"
    page.keyboard.press("End")
    check(figure, decay=0.999, angle=0.5)
    page.keyboard.press("Home")
    check(figure, decay=0.999, angle=0.0)
    assert float(figure.locator(".bead-average[data-length]").get_attribute("cy") or "nan") == pytest.approx(
        float(figure.locator(".bead-row[data-length]").get_attribute("cy") or "nan")
    )  # nothing turns: the average is the row


def test_a_row_lies_on_its_circle_and_the_dashed_one_has_its_radius(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    slider(figure, "angle per step ω").fill("0.1")
    circle, dashed = figure.locator("circle.ring").all()
    radius, middle = (float(circle.get_attribute(name) or "nan") for name in ("r", "cx"))
    found = weight_average(decay=0.99, angle=0.1)
    assert float(dashed.get_attribute("r") or "nan") / radius == pytest.approx(found.random)
    dots = figure.locator(".dot").evaluate_all("all => all.map((n) => [n.getAttribute('cx'), n.getAttribute('cy')])")
    assert len(dots) > 50
    assert all(math.hypot(float(x) - middle, float(y) - middle) == pytest.approx(radius) for x, y in dots)


def test_what_is_said(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    found = weight_average(decay=0.99, angle=0.015)
    status = figure.get_by_role("status")
    expect(status).to_contain_text(f"the average has {found.steady:.3f} of a row's length", timeout=SLOW)
    slider(figure, "angle per step ω").fill("0")
    expect(status).to_contain_text("the average has 1.000 of a row's length and lies 0.000 rad behind", timeout=SLOW)
    assert "0.000 rad per step" in (figure.locator("svg.weight-average").get_attribute("aria-label") or "")


def test_settings_from_the_page_and_two_of_a_kind(open_page: Opener) -> None:
    other = figures.explorable_html("weight-average", {"decay": 0.9, "angle": 0.1}, alt=ALT)
    page = open_page(other, FIGURE)
    one, two = page.locator("figure.explorable").all()
    check(one, decay=0.9, angle=0.1)
    slider(one, "decay d").fill("0")
    check(one, decay=0.5, angle=0.1)
    check(two, decay=0.99, angle=0.015)


def test_axe_finds_nothing_and_colours_can_be_read(open_page: Opener) -> None:
    page = open_page(FIGURE)
    for words, lines in in_every_theme(page, ".no-stroke"):
        assert words == 4 and lines == 6  # the beads, in the drawing and in its key


@pytest.mark.parametrize("width", [320, 360, 640, 800])
def test_nothing_sticks_out_overlaps_or_moves_away(open_page: Opener, width: int) -> None:
    page = open_page(FIGURE, width=width)
    figure = page.locator("figure.explorable")
    tops = set()
    for decay, angle in (("0", "0"), ("8", "0.5"), ("5", "0.015")):
        slider(figure, "decay d").fill(decay)
        slider(figure, "angle per step ω").fill(angle)
        page.wait_for_timeout(250)  # until the summary has spoken
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = boxes_apart(figure.locator("svg.weight-average > text"))
        right = figure.locator("svg.weight-average").evaluate("n => n.clientWidth || n.getBoundingClientRect().width")
        assert len(boxes) == 4 and all(box[0] >= 0 and box[2] <= right for box in boxes)
        tops.add(figure.locator("table").evaluate("n => Math.round(n.getBoundingClientRect().top + scrollY)"))
    assert len(tops) == 1  # the table stays in place while the text above it changes


def test_without_scripts_the_static_figure_stands(open_page: Opener) -> None:
    page = open_page(FIGURE, ready=False, java_script_enabled=False)
    stands_still(page, ALT)
