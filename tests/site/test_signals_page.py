"""The figure of signals through depth in a real browser: its numbers, its hands and its looks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fragments import SLOW, Opener, opener, slider, table
from looks import boxes_apart, in_every_theme, stands_still
from playwright.sync_api import Browser, Locator, expect

import cwn_lite as cwn
from cwn_lite import figures
from cwn_lite.figures.explorable import bundle
from cwn_lite.figures.signals import BLOCKS, MOST, signals

ALT = "Two lines against the layer: a signal that fades on its way up, and a gradient that keeps its length."
FIGURE = figures.explorable_html("signals", {}, alt=ALT, static=figures.draw_signals())
pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def check(figure: Locator, **settings: Any) -> None:
    """Every number in the table and every line is the library's for this setting."""
    stack = signals(**settings)
    assert table(figure) == {
        "signal": pytest.approx([stack.forward, stack.signal[-1]], rel=1e-9),
        "gradient": pytest.approx([stack.backward, stack.gradient[0]], rel=1e-9),
    }
    for key in ("signal", "gradient"):
        values = figure.locator(f"path.course-{key}[data-values]").get_attribute("data-values") or ""
        assert [float(v) for v in values.split()] == pytest.approx(list(getattr(stack, key)), rel=1e-9), key


def test_the_arithmetic_is_the_library_s(open_page: Opener) -> None:
    cases = [
        {"layers": layers, "c": c, "slope": slope, "centralize": centralize, "block": block}
        for layers, c, slope, centralize, block in itertools.product(
            (1, 8, MOST), (0.5, 2.0, cwn.C_CENTERED), (0.0, 0.2, 1.0), (True, False), BLOCKS
        )
    ]
    answer: dict[str, Any] = open_page().evaluate(
        """async ([code, cases]) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            const kept = [0, 0.2, 1].flatMap((a) => [m.keeping(a, true), m.keeping(a, false)]);
            const powers = [-12, 0, 1, 35].map(m.power);
            const found = cases.map((state) => m.course(state));
            return { most: m.MOST, found, kept, powers, large: m.reading(1.268e30) };
        }""",
        [bundle("signals"), cases],
    )
    assert answer["large"] == "1.27·10³⁰" and answer["most"] == MOST
    assert answer["powers"] == ["10⁻¹²", "1", "10", "10³⁵"]
    kept = [cwn.leaky_relu_c(slope, centralize) for slope in (0.0, 0.2, 1.0) for centralize in (True, False)]
    assert answer["kept"] == pytest.approx(kept, rel=1e-12)
    for case, found in zip(cases, answer["found"], strict=True):
        stack = signals(**case)
        for key in ("forward", "backward"):
            assert found[key] == pytest.approx(getattr(stack, key), rel=1e-12)
        for key in ("signal", "gradient"):
            assert found[key] == pytest.approx(list(getattr(stack, key)), rel=1e-10)


def test_every_input_answers_to_the_keyboard(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    check(figure)
    layers, c, slope = (
        slider(figure, name) for name in ("layers", "squared row norm c", "slope a (0: ReLU, 1: linear)")
    )
    layers.focus()
    page.keyboard.press("Home")
    check(figure, layers=1)
    page.keyboard.press("ArrowRight")
    check(figure, layers=2)
    c.focus()
    page.keyboard.press("End")
    check(figure, layers=2, c=4.0)
    slope.focus()
    page.keyboard.press("End")
    check(figure, layers=2, c=4.0, slope=1.0)
    page.get_by_role("checkbox", name="centred rows").focus()
    page.keyboard.press("Space")
    slope.fill("0.2")
    check(figure, layers=2, c=4.0, slope=0.2, centralize=False)
    page.get_by_role("combobox", name="layers are").select_option("scaled")
    check(figure, layers=2, c=4.0, slope=0.2, centralize=False, block="scaled")
    page.get_by_role("button", name="keep the gradient").press("Enter")
    keeps = cwn.leaky_relu_c(0.2, centralize=False)
    check(figure, layers=2, c=keeps, slope=0.2, centralize=False, block="scaled")
    page.get_by_role("checkbox", name="centred rows").check()
    page.get_by_role("button", name="keep the signal").press("Enter")
    check(figure, layers=2, c=cwn.leaky_relu_c(0.2), slope=0.2, block="scaled")


def test_what_is_said(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    status = figure.get_by_role("status")
    expect(status).to_contain_text(f"The signal fades: a factor of {signals().forward:.3f} per layer", timeout=SLOW)
    expect(status).to_contain_text("The gradient is kept: a factor of 1.000 per layer, 1.00 in all.")
    page.get_by_role("button", name="keep the signal").click()
    expect(status).to_contain_text("c = 2.934. The signal is kept", timeout=SLOW)
    expect(status).to_contain_text("The gradient grows")
    label = figure.locator("svg.signals").get_attribute("aria-label") or ""
    assert "50 layers, ReLU, centred rows" in label


def test_settings_from_the_page_and_two_of_a_kind(open_page: Opener) -> None:
    settings = {"layers": 12, "c": 1.5, "slope": 0.5, "centralize": False, "block": "sum"}
    page = open_page(figures.explorable_html("signals", settings, alt=ALT), FIGURE)
    one, two = page.locator("figure.explorable").all()
    check(one, **settings)
    slider(one, "layers").fill("3")
    check(one, **settings | {"layers": 3})
    check(two)


def test_axe_finds_nothing_and_colours_can_be_read(open_page: Opener) -> None:
    page = open_page(FIGURE)
    for words, lines in in_every_theme(page, ".course"):
        assert words >= 8 and lines >= 4


@pytest.mark.parametrize("width", [320, 360, 640, 800])
def test_nothing_sticks_out_overlaps_or_moves_away(open_page: Opener, width: int) -> None:
    page = open_page(FIGURE, width=width)
    figure = page.locator("figure.explorable")
    tops = set()
    for layers, c, block in (("1", "0.5", "plain"), ("50", "4", "sum"), ("33", "2", "scaled"), ("50", "0.5", "plain")):
        slider(figure, "layers").fill(layers)
        slider(figure, "squared row norm c").fill(c)
        page.get_by_role("combobox", name="layers are").select_option(block)
        page.wait_for_timeout(250)  # until the summary has spoken
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = boxes_apart(figure.locator("svg.signals > text"))
        assert len(boxes) >= 6 and all(box[0] >= 0 and box[2] <= width for box in boxes)
        assert figure.locator("svg.signals").evaluate("n => n.getBoundingClientRect().height") <= 350
        tops.add(figure.locator("table").evaluate("n => Math.round(n.getBoundingClientRect().top + scrollY)"))
    assert len(tops) == 1  # the table stays in place while the text above it changes


def test_without_scripts_the_static_figure_stands(open_page: Opener) -> None:
    page = open_page(FIGURE, ready=False, java_script_enabled=False)
    stands_still(page, ALT)
