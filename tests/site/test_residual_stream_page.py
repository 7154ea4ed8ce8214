"""The figure of a residual stream in a real browser: its numbers, its hands and its looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from fragments import SLOW, Opener, opener, slider
from looks import boxes_apart, in_every_theme, stands_still
from playwright.sync_api import Browser, Locator, expect

from cwn_lite import figures
from cwn_lite.figures.explorable import bundle
from cwn_lite.figures.residual_stream import BLOCKS, decades, residual_stream

ALT = "Three curves over the blocks of a residual network: its stream, the stream's gradient, each branch's gradient."
FIGURE = figures.explorable_html("residual-stream", {}, alt=ALT, static=figures.draw_residual_stream())
SCALE = "start of the last scale γ"
pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def check(figure: Locator, *, blocks: int, scale: float) -> None:
    """Every number in the table, the ends of the curves and the dots are the library's for this setting."""
    stream = residual_stream(blocks=blocks, scale=scale)
    wanted = {"forward": stream.forward[-1]} | {key: getattr(stream, key) for key in ("branch", "together", "scale")}
    for key, value in wanted.items():
        cell = figure.locator(f'tr[data-row="{key}"] data')
        assert float(cell.get_attribute("value") or "nan") == pytest.approx(value, rel=1e-9), key
    for key in ("forward", "backward"):
        curve = figure.locator(f".curve-{key}")
        assert float(curve.get_attribute("data-last") or "nan") == pytest.approx(getattr(stream, key)[-1], rel=1e-9)
    assert figure.locator(".dot").count() == (blocks if scale else 0)


def test_the_arithmetic_is_the_library_s(open_page: Opener) -> None:
    answer: dict[str, Any] = open_page().evaluate(
        """async (code) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            const at = (blocks, scale) => ({ blocks, scale, found: m.stream({ blocks, scale }) });
            const cases = m.BLOCKS.flatMap((blocks) => [0, 0.01, 0.14, 0.5, 1].map((scale) => at(blocks, scale)));
            for (const each of cases) each.decades = m.decades(each.found);
            const texts = [0, 0.5, 0.00012, 1234, 3.4e38].map(m.short);
            return { blocks: m.BLOCKS, cases, texts };
        }""",
        bundle("residual-stream"),
    )
    assert tuple(answer["blocks"]) == BLOCKS and len(answer["cases"]) == 5 * len(BLOCKS)
    for case in answer["cases"]:
        stream = residual_stream(blocks=case["blocks"], scale=case["scale"])
        for key, value in asdict(stream).items():
            assert case["found"][key] == pytest.approx(value, rel=1e-12), key
        assert tuple(case["decades"]) == decades(stream)
    assert answer["texts"] == ["0.00", "0.50", "1.2 × 10⁻⁴", "1234.00", "3.4 × 10³⁸"]


def test_every_input_answers_to_the_keyboard(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    check(figure, blocks=54, scale=1.0)
    blocks, scale = slider(figure, "blocks D"), slider(figure, SCALE)
    blocks.focus()
    page.keyboard.press("ArrowRight")
    assert blocks.get_attribute("aria-valuetext") == "128 blocks"
    check(figure, blocks=128, scale=1.0)
    page.keyboard.press("Home")
    check(figure, blocks=2, scale=1.0)
    scale.focus()
    page.keyboard.press("Home")
    check(figure, blocks=2, scale=0.0)
    page.keyboard.press("ArrowRight")
    check(figure, blocks=2, scale=0.01)


def test_what_is_said(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    status = figure.get_by_role("status")
    expect(status).to_contain_text("the stream’s mean square becomes 1.8 × 10¹⁶", timeout=SLOW)
    slider(figure, SCALE).fill("0")
    expect(status).to_contain_text("No branch’s weights get a gradient; each last scale gets 1.00.", timeout=SLOW)
    assert "branches that start at 0.00" in (figure.locator("svg.residual-stream").get_attribute("aria-label") or "")


def test_settings_from_the_page_and_two_of_a_kind(open_page: Opener) -> None:
    other = figures.explorable_html("residual-stream", {"blocks": 8, "scale": 0.5}, alt=ALT)
    page = open_page(other, FIGURE)
    one, two = page.locator("figure.explorable").all()
    check(one, blocks=8, scale=0.5)
    slider(one, "blocks D").fill("0")
    check(one, blocks=2, scale=0.5)
    check(two, blocks=54, scale=1.0)


def test_axe_finds_nothing_and_colours_can_be_read(open_page: Opener) -> None:
    page = open_page(FIGURE)
    for words, curves in in_every_theme(page, ".curve"):
        assert words >= 6 and curves == 2


@pytest.mark.parametrize("width", [320, 360, 640, 800])
def test_nothing_sticks_out_overlaps_or_moves_away(open_page: Opener, width: int) -> None:
    page = open_page(FIGURE, width=width)
    figure = page.locator("figure.explorable")
    tops = set()
    for blocks, scale in (("0", "0"), ("7", "1"), ("6", "0.14"), ("5", "0.01")):
        slider(figure, "blocks D").fill(blocks)
        slider(figure, SCALE).fill(scale)
        page.wait_for_timeout(250)  # until the summary has spoken
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = boxes_apart(figure.locator("svg.residual-stream > text"))
        assert len(boxes) >= 3 and all(box[0] >= 0 and box[2] <= width for box in boxes)
        tops.add(figure.locator("table").evaluate("n => Math.round(n.getBoundingClientRect().top + scrollY)"))
    assert len(tops) == 1  # the table stays in place while the text above it changes


def test_without_scripts_the_static_figure_stands(open_page: Opener) -> None:
    page = open_page(FIGURE, ready=False, java_script_enabled=False)
    stands_still(page, ALT)
