"""The figure of a training step's cost in a real browser: its numbers, its hands and its looks."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fragments import SLOW, Opener, opener, slider, table
from looks import boxes_apart, in_every_theme, stands_still
from playwright.sync_api import Browser, Locator, expect

from cwn_lite import figures
from cwn_lite.figures.explorable import bundle
from cwn_lite.figures.step_cost import EXTRA_PASSES, NAMES, PASSES, break_even, readable, step_bytes

ALT = "One bar for each method, of the bytes that a training step reads and writes in one layer."
FIGURE = figures.explorable_html("step-cost", {}, alt=ALT, static=figures.draw_step_cost())
START = {"channels": 64, "kernel": 3, "side": 8, "batch": 128}
PARTS = ("convolution", "sgd", "per_activation", "per_weight")
LAYERS = {
    "ResNet-20, first stage": (16, 3, 32, 128),
    "ResNet-20, last stage": (64, 3, 8, 128),
    "WideResNet-28-10, last stage": (640, 3, 8, 128),
    "ResNet-50, 3×3 of the last stage": (512, 3, 7, 32),
    "fully connected, 4096": (4096, 1, 1, 128),
}
pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def check(figure: Locator, layer: str | None = None, **changed: int) -> None:
    """Every number, label and length in the figure is the library's for this setting."""
    settings = {**START, **changed}
    moved = step_bytes(**settings)
    wanted = {method: [getattr(m, part) for part in PARTS] for method, m in moved.items()}
    assert table(figure) == wanted
    cells = [readable(x) if x else "0" for row in wanted.values() for x in row]
    assert [text.replace("\xa0", " ") for text in figure.locator("td data").all_text_contents()] == cells
    drawn = figure.locator("g[data-method]").evaluate_all(
        "all => all.map((g) => [g.dataset.method, g.classList[1], Number(g.dataset.size), "
        "g.querySelector('rect').x.baseVal.value, g.querySelector('rect').width.baseVal.value])"
    )
    expected = [(key, f"part-{part}", getattr(m, part)) for key, m in moved.items() for part in PARTS]
    assert [tuple(bar[:3]) for bar in drawn] == [bar for bar in expected if bar[2]]
    largest = max(m.total for m in moved.values())
    full = sum(bar[4] for bar in drawn if moved[bar[0]].total == largest)
    left = min(bar[3] for bar in drawn)
    for method, bars in itertools.groupby(drawn, key=lambda bar: bar[0]):
        end = left
        for _, _, size, x, width in bars:
            assert x == pytest.approx(end, abs=0.01) and width == pytest.approx(full * size / largest, abs=0.01)
            end = x + width
        assert end - left == pytest.approx(full * moved[method].total / largest, abs=0.01)
    ticks = figure.locator("text.tick").evaluate_all("all => all.map((n) => [n.textContent, n.x.baseVal[0].value])")
    units = {unit: 1000**i for i, unit in enumerate(("B", "kB", "MB", "GB", "TB"))}
    assert ticks[0] == ["0", left] and len(ticks) >= 3
    for text, x in ticks[1:]:
        number, unit = text.split("\xa0")
        assert x - left == pytest.approx(full * float(number) * units[unit] / largest, abs=0.01)
    plain = moved["plain"].total
    ratios = ["", *(f", {m.total / plain:.2f} × plain" for m in list(moved.values())[1:])]
    said = [text.replace("\xa0", " ") for text in figure.locator("text.total").all_text_contents()]
    assert said == [readable(m.total) + ratio for m, ratio in zip(moved.values(), ratios, strict=True)]
    assert figure.locator("text.name").all_text_contents() == list(NAMES.values())
    chosen = figure.get_by_role("combobox", name="layer").evaluate("select => select.value")
    known = next((name for name, values in LAYERS.items() if values == tuple(settings.values())), "own choice")
    assert chosen == (layer or known)
    assert figure.get_by_role("combobox", name="kernel").input_value() == f"{settings['kernel']}×{settings['kernel']}"
    for name, key in (("channels", "channels"), ("image side", "side"), ("batch", "batch")):
        assert slider(figure, name).get_attribute("aria-valuetext") == str(settings[key])


def test_the_arithmetic_is_the_library_s(open_page: Opener) -> None:
    answer: dict[str, Any] = open_page().evaluate(
        """async (code) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            const cases = [];
            for (const channels of m.CHANNELS) for (const kernel of m.KERNELS) for (const side of m.SIDES)
                for (const batch of m.BATCHES) {
                    const moved = m.stepBytes({ channels, kernel, side, batch });
                    const { positions, factor, fanIn } = m.breakEven({ channels, kernel, side, batch });
                    cases.push({ settings: [channels, kernel, side, batch], moved, even: [positions, factor * fanIn] });
                }
            const sizes = [320, 999499, 999500, 2064384, 129e6, 1.49e9, 2e12];
            return { cases, passes: m.PASSES, methods: m.EXTRA_PASSES, texts: sizes.map((x) => [x, m.readable(x)]) };
        }""",
        bundle("step-cost"),
    )
    assert {key: tuple(passes.values()) for key, passes in answer["passes"].items()} == PASSES
    assert {key: tuple(names) for key, names in answer["methods"].items()} == EXTRA_PASSES
    assert len(answer["cases"]) == 10 * 2 * 10 * 10
    for case in answer["cases"]:
        wanted = {
            key: {name: getattr(m, name) for name in (*PARTS, "extra", "total")}
            for key, m in step_bytes(*case["settings"]).items()
        }
        assert case["moved"] == wanted
        even = break_even(*case["settings"])
        assert tuple(case["even"]) == even and even[0] != even[1]
    assert all(text.replace("\xa0", " ") == readable(size) for size, text in answer["texts"])


def test_every_layer_of_the_menu(open_page: Opener) -> None:
    figure = open_page(FIGURE).locator("figure.explorable")
    check(figure, "ResNet-20, last stage")
    menu = figure.get_by_role("combobox", name="layer")
    assert menu.locator("option:enabled").all_text_contents() == list(LAYERS)
    for name, values in LAYERS.items():
        menu.select_option(name)
        check(figure, name, **dict(zip(START, values, strict=True)))


def test_every_input_answers_to_the_keyboard(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    check(figure)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "layer"
    page.keyboard.press("ArrowDown")
    check(figure, "WideResNet-28-10, last stage", channels=640)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    check(figure, "own choice", channels=640, kernel=1)
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    check(figure, "own choice", channels=4096, kernel=1)
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    check(figure, "fully connected, 4096", channels=4096, kernel=1, side=1)  # these are its settings
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    check(figure, "own choice", channels=4096, kernel=1, side=1, batch=64)
    page.keyboard.press("Home")
    check(figure, "own choice", channels=4096, kernel=1, side=1, batch=1)


def test_what_is_said(open_page: Opener) -> None:
    figure = open_page(FIGURE).locator("figure.explorable")
    status = figure.get_by_role("status")
    menu = figure.get_by_role("combobox", name="layer")
    for name, values in LAYERS.items():
        menu.select_option(name)
        moved, (ours, needed) = step_bytes(*values), break_even(*values)
        fused, bn = moved["fused"].extra, moved["bn"].extra
        factor = f"{max(fused, bn) / min(fused, bn):#.3g}".rstrip(".")
        expect(status).to_contain_text(
            f"CWO (fused) moves {readable(fused)} and batch norm {readable(bn)}: "
            f"{'CWO' if fused < bn else 'batch norm'} moves less, by a factor of {factor}.",
            timeout=SLOW,
        )
        expect(status).to_contain_text(f"= {ours:,} against 1.75 × ")
        expect(status).to_contain_text(re.compile(rf"= {needed:,.0f}\.$"))
        label = (figure.locator(".step-cost-view svg").get_attribute("aria-label") or "").replace("\xa0", " ")
        assert label.startswith("Bars of the bytes that a training step moves") and "moves less, by" in label
        assert f"batch norm {readable(moved['bn'].total)}, " in label
    slider(figure, "channels").fill("9")
    figure.get_by_role("combobox", name="kernel").select_option("3×3")
    slider(figure, "batch").fill("0")
    expect(status).to_contain_text("batch norm moves less, by a factor of 64,500.", timeout=SLOW)


def test_settings_from_the_page_and_two_of_a_kind(open_page: Opener) -> None:
    other = figures.explorable_html("step-cost", {"channels": 256, "side": 14, "batch": 32}, alt=ALT)
    one, two = open_page(other, FIGURE).locator("figure.explorable").all()
    check(one, "own choice", channels=256, side=14, batch=32)
    slider(one, "image side").fill("9")
    check(one, "own choice", channels=256, side=112, batch=32)
    check(two, "ResNet-20, last stage")


def test_a_setting_that_no_slider_knows_leaves_the_still_figure(running: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    settings = {"channels": 100}
    path.write_text(
        figures.explorable_html("step-cost", settings, alt=ALT, static=figures.draw_step_cost(**settings)),
        encoding="utf-8",
    )
    page = running.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    page.locator("figure[data-failed]").wait_for()
    assert page.get_by_role("img", name=ALT).is_visible() and page.locator(".explorable-live").count() == 0
    assert len(said) == 1 and "channels must be one of 16, 32" in said[0]
    page.close()


def test_axe_finds_nothing_and_colours_can_be_read(open_page: Opener) -> None:
    page = open_page(FIGURE)
    slider(page.locator("figure.explorable"), "batch").fill("0")
    for words, parts in in_every_theme(page, "g[data-method] rect"):
        assert words >= 13 and parts == 15


def test_parts_differ_by_pattern(open_page: Opener) -> None:
    figure = open_page(FIGURE).locator("figure.explorable")
    drawn = figure.locator("g[data-method=unfused]").evaluate_all(
        "all => all.map((g) => g.querySelector('.pattern')?.getAttribute('d').replace(/[-\\d. ]+/g, '').slice(0, 2))"
    )
    assert drawn == [None, "Mh", "ML", "Mv"]  # bare, dots, slanted lines, upright lines
    keys = figure.locator(".step-cost-keys span")
    words = ["convolution", "SGD with momentum", "extra for each activation", "extra for each weight"]
    assert [text.strip() for text in keys.all_text_contents()] == words
    outside = figure.locator(".step-cost-view svg").evaluate(
        """svg => [...svg.querySelectorAll("g[data-method]")].filter((g) => {
            const [box, lines] = [g.querySelector("rect"), g.querySelector(".pattern")].map((n) => n?.getBBox());
            return lines && (lines.x < box.x - 0.1 || lines.x + lines.width > box.x + box.width + 0.1
                || lines.y < box.y - 0.1 || lines.y + lines.height > box.y + box.height + 0.1);
        }).length"""
    )
    assert outside == 0


@pytest.mark.parametrize("width", [320, 360, 640, 800])
def test_nothing_sticks_out_overlaps_or_moves_away(open_page: Opener, width: int) -> None:
    page = open_page(FIGURE, width=width)
    figure = page.locator("figure.explorable")
    tops = set()
    for channels, kernel, side, batch in ((2, "3×3", 3, 7), (9, "3×3", 9, 9), (0, "1×1", 0, 0), (6, "1×1", 9, 8)):
        slider(figure, "channels").fill(str(channels))
        figure.get_by_role("combobox", name="kernel").select_option(kernel)
        slider(figure, "image side").fill(str(side))
        slider(figure, "batch").fill(str(batch))
        page.wait_for_timeout(250)  # until the summary has spoken
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        right = figure.locator(".explorable-live *:not(svg *)").evaluate_all(
            "all => Math.max(...all.map((n) => n.getBoundingClientRect().right))"
        )
        assert right <= width
        boxes = boxes_apart(figure.locator(".step-cost-view text"))
        drawing = figure.locator(".step-cost-view").evaluate("n => n.clientWidth")
        assert len(boxes) >= 13 and all(box[0] >= -0.5 and box[2] <= drawing + 0.5 for box in boxes)
        tops.add(figure.locator("table").evaluate("n => Math.round(n.getBoundingClientRect().top + scrollY)"))
    assert len(tops) == 1  # the table stays in place while the text above it changes


def test_without_scripts_the_static_figure_stands(open_page: Opener) -> None:
    page = open_page(FIGURE, ready=False, java_script_enabled=False)
    stands_still(page, ALT)
