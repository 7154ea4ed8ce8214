"""The figure of one value in ever new company in a real browser: its numbers, its hands and its looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fragments import SLOW, Opener, opener, slider, table
from looks import boxes_apart, in_every_theme, stands_still
from playwright.sync_api import Browser, Locator, expect

from cwn_lite import figures
from cwn_lite.figures.batch_company import BINS, COMPANIES, SIZES, batch_company, scatter, shares
from cwn_lite.figures.explorable import bundle

ALT = "Three strips: values of a channel, what batch norm makes of them, and yours in five hundred companies."
FIGURE = figures.explorable_html("batch-company", {}, alt=ALT, static=figures.draw_batch_company())
pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def check(figure: Locator, *, size: int = 4, value: float = 1.5, draw: int = 0) -> None:
    """Every number in the table, every dot and every bar is the library's for this setting."""
    company = batch_company(size=size, value=value, draw=draw)
    seen = table(figure)
    wanted = [float(company.outputs[0]), *scatter(company.over_all), value]
    assert [seen[key][0] for key in ("output", "average", "deviation", "value")] == pytest.approx(wanted, abs=1e-9)
    for of, values in (("before", company.values), ("after", company.outputs)):
        yours = figure.locator(f".yours-{of}").get_attribute("data-value") or "nan"
        assert float(yours) == pytest.approx(values[0], abs=1e-9)
    dots = figure.locator(".other").evaluate_all("all => all.map((dot) => Number(dot.dataset.value))")
    others = [*company.values[1:], *company.outputs[1:]]
    assert sorted(dots) == pytest.approx(sorted(others), abs=1e-9)
    drawn = [float(x) for x in (figure.locator(".bars").get_attribute("data-shares") or "").split()]
    # A draw on the edge of a bin may fall to either side of it.
    assert sum(abs(a - b) for a, b in zip(drawn, shares(company.over_all), strict=True)) < 0.01
    assert sum(drawn) == pytest.approx(1)


def test_the_arithmetic_is_the_library_s(open_page: Opener) -> None:
    answer: dict[str, Any] = open_page().evaluate(
        """async (code) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            const at = (size, value) => {
                const all = m.everyCompany({ size, value });
                return { size, value, one: m.normalized({ size, value, draw: 7 }), all };
            };
            const cases = m.COMPANY_SIZES.flatMap((size) => [-3, 0.25, 3].map((value) => at(size, value)));
            return { sizes: m.COMPANY_SIZES, companies: m.COMPANIES, axis: m.AXIS, cases };
        }""",
        bundle("batch-company"),
    )
    assert tuple(answer["sizes"]) == SIZES and answer["companies"] == COMPANIES
    assert tuple(answer["axis"].values()) == BINS and len(answer["cases"]) == 3 * len(SIZES)
    for case in answer["cases"]:
        company = batch_company(size=case["size"], value=case["value"], draw=7)
        assert [*case["one"]["values"]] == pytest.approx(company.values.tolist(), abs=1e-9)
        assert case["one"]["mean"] == pytest.approx(company.mean, abs=1e-9)
        assert case["one"]["divisor"] == pytest.approx(company.divisor, rel=1e-9)
        assert case["one"]["outputs"] == pytest.approx(company.outputs.tolist(), abs=1e-8)
        assert case["all"]["outputs"] == pytest.approx(company.over_all.tolist(), abs=1e-6)
        found = case["all"]["average"], case["all"]["deviation"]
        assert found == pytest.approx(scatter(company.over_all), abs=1e-8)


def test_every_input_answers_to_the_keyboard(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    check(figure)
    size, value = slider(figure, "values N"), slider(figure, "your value z")
    size.focus()
    page.keyboard.press("ArrowRight")
    assert size.get_attribute("aria-valuetext") == "6 values"
    check(figure, size=6)
    page.keyboard.press("Home")
    check(figure, size=2)
    page.keyboard.press("End")
    value.focus()
    page.keyboard.press("End")
    check(figure, size=64, value=3.0)
    page.keyboard.press("Home")
    check(figure, size=64, value=-3.0)
    again = figure.get_by_role("button", name="Draw other company")
    again.focus()
    page.keyboard.press("Enter")
    check(figure, size=64, value=-3.0, draw=1)
    page.keyboard.press("Space")
    check(figure, size=64, value=-3.0, draw=2)


def test_what_is_said(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    company = batch_company()
    status = figure.get_by_role("status")
    said = f"{company.outputs[0]:.2f}".replace("-", "−")
    expect(status).to_contain_text(f"yours, 1.50, comes out as {said}", timeout=SLOW)
    slider(figure, "values N").fill("0")
    expect(status).to_contain_text("2 values with mean", timeout=SLOW)
    assert "2 values with mean" in (figure.locator("svg.batch-company").get_attribute("aria-label") or "")


def test_settings_from_the_page_and_two_of_a_kind(open_page: Opener) -> None:
    other = figures.explorable_html("batch-company", {"size": 8, "value": 0.5, "draw": 3}, alt=ALT)
    page = open_page(other, FIGURE)
    one, two = page.locator("figure.explorable").all()
    check(one, size=8, value=0.5, draw=3)
    slider(one, "values N").fill("0")
    check(one, size=2, value=0.5, draw=3)
    check(two)


def test_axe_finds_nothing_and_colours_can_be_read(open_page: Opener) -> None:
    page = open_page(FIGURE)
    for words, _bars in in_every_theme(page, ".bars"):
        assert words == 8


@pytest.mark.parametrize("width", [320, 360, 640, 800])
def test_nothing_sticks_out_overlaps_or_moves_away(open_page: Opener, width: int) -> None:
    page = open_page(FIGURE, width=width)
    figure = page.locator("figure.explorable")
    tops = set()
    for size, value in (("0", "-3"), ("9", "3"), ("3", "-2.55")):
        slider(figure, "values N").fill(size)
        slider(figure, "your value z").fill(value)
        page.wait_for_timeout(250)  # until the summary has spoken
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = boxes_apart(figure.locator("svg.batch-company > text"))
        assert len(boxes) == 8 and all(box[0] >= 0 and box[2] <= width for box in boxes)
        tops.add(figure.locator("table").evaluate("n => Math.round(n.getBoundingClientRect().top + scrollY)"))
    assert len(tops) == 1  # the table stays in place while the text above it changes


def test_without_scripts_the_static_figure_stands(open_page: Opener) -> None:
    page = open_page(FIGURE, ready=False, java_script_enabled=False)
    stands_still(page, ALT)
