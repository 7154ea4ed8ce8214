"""The figure of a row's equilibrium in a real browser: its numbers, its hands and its looks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import browse
import pytest
from fragments import SLOW, Opener, middle, opener, slider, table
from looks import boxes_apart, in_every_theme, stands_still
from playwright.sync_api import Browser, Locator, Page, expect

from cwn_lite import figures
from cwn_lite.figures.equilibrium import (
    FADED,
    RANGES,
    equilibrium,
    gradient_at,
    norm_path,
    step_angle,
    steps_until,
)
from cwn_lite.figures.explorable import bundle

ALT = "Length, gradient and angle per step of a reparameterized row, for ten thousand steps of SGD."
FIGURE = figures.explorable_html("equilibrium", {}, alt=ALT, static=figures.draw_equilibrium())
STEPS = 10_000
LABELS = {
    "lr": "learning rate α",
    "weight_decay": "weight decay λ",
    "r0": "first length r₀",
    "gradient": "gradient size G",
    "fade": "factor on G, steps 301–3,000",
}
HE = {"lr": 0.1, "weight_decay": 5e-4, "r0": math.sqrt(2), "gradient": 1.0, "fade": 1.0}
PRESETS = ["He’s start", "no decay", "small start", "long start", "strong decay", "fades and returns"]
pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def setting(figure: Locator) -> dict[str, float]:
    """Return the exact values behind the five sliders."""
    return {
        key: float(slider(figure, name).evaluate("range => range.parentElement.querySelector('data').value"))
        for key, name in LABELS.items()
    }


def numbers(
    r0: float, *, step: int = STEPS, c: float = 2.0, fade: float = 1.0, **rest: float
) -> dict[str, list[float]]:
    """Return what the tables must hold, by the library."""
    path = norm_path(r0, **rest, steps=STEPS, fade=fade)
    size, first = gradient_at(step, rest["gradient"], fade), rest["gradient"]
    now = {**rest, "gradient": size}
    settled, angle = equilibrium(**now)
    fixed = math.sqrt(c)
    lengths = [r0, path[step - 1], settled, fixed]
    turned = [math.degrees(step_angle(r0, **rest)), math.degrees(step_angle(path[step - 1], **now))]
    ours = math.degrees(math.atan(rest["lr"] * size / c))
    until = steps_until(path, equilibrium(**rest)[0])
    never = rest["weight_decay"] == 0
    return {
        "length": lengths,
        "gradient": [first / r0, size / path[step - 1], math.inf if never else size / settled, size / fixed],
        "angle": [*turned, math.inf if never else math.degrees(angle), ours],
        "sigma": [r0 / 12],
        "largest": [max(gradient_at(t + 1, first, fade) / r for t, r in enumerate(path[:-1]))],
        "until": [math.inf if until is None else until],
    }


def check(figure: Locator, *, step: int = STEPS, **expected: float) -> dict[str, float]:
    """The sliders stand at ``expected`` where given, and every number is the library's for where they stand."""
    now = setting(figure)
    assert {key: now[key] for key in expected} == pytest.approx(expected, rel=1e-12)
    seen = table(figure)
    wanted = numbers(**now, step=step)
    assert seen.keys() == wanted.keys()
    for row, values in wanted.items():
        assert seen[row] == pytest.approx(values, rel=1e-6), (row, now)
    return now


def put(figure: Locator, **at: float) -> None:
    """Move sliders: values are decimal logarithms."""
    for key, position in at.items():
        slider(figure, LABELS[key]).fill(str(position))


def test_the_arithmetic_is_the_library_s(open_page: Opener) -> None:
    cases = [
        {"lr": lr, "weight_decay": decay, "r0": r0, "gradient": gradient, "c": 2, "fade": fade}
        for fade in (1.0, 1e-3)
        for lr in (1e-3, 0.1, 1.0)
        for decay in (0.0, 1e-5, 5e-4, 0.1)
        for r0 in (0.01, math.sqrt(2), 100.0)
        for gradient in (0.01, 10.0)
    ]
    answers = open_page().evaluate(
        """async ([code, cases]) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            const kept = [0, 1, 2, 10, 100, 300, 301, 3000, 3001, 10000];
            return [m.PANELS, m.FADED, cases.map((x) => ({
                path: kept.map((t) => m.normPath(x)[t]),
                angles: kept.slice(0, 3).map((t) => m.stepAngle(m.normPath(x)[t], x)),
                settled: m.equilibrium(x),
                until: m.simulate(x).until,
            }))];
        }""",
        [bundle("equilibrium"), cases],
    )
    assert {panel["key"]: (panel["low"], panel["high"]) for panel in answers[0]} == RANGES
    assert answers[1] == [FADED[0], FADED[-1]]
    for case, got in zip(cases, answers[2], strict=True):
        rest = {key: case[key] for key in ("lr", "weight_decay", "gradient")}
        path = norm_path(case["r0"], **rest, steps=STEPS, fade=case["fade"])
        kept = (0, 1, 2, 10, 100, 300, 301, 3000, 3001, 10000)
        assert got["path"] == pytest.approx([path[t] for t in kept], rel=1e-9)
        angles = [math.degrees(step_angle(r, **rest)) for r in path[:3]]
        assert got["angles"] == pytest.approx(angles, rel=1e-9)
        length, angle = equilibrium(**rest)
        # What is not finite reaches this side as null or as inf, by the driver's own choice.
        assert (got["settled"]["length"] or math.inf) == pytest.approx(length, rel=1e-12)
        assert got["settled"]["angle"] == pytest.approx(math.degrees(angle), rel=1e-12)
        until = steps_until(path, length)
        assert got["until"] in ([until] if until is not None else [None, math.inf])


def test_the_numbers_follow_the_sliders_to_their_ends(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    check(figure, **HE)
    low = {"lr": -3, "weight_decay": -5.05, "r0": -2, "gradient": -2}
    high = {"lr": 0, "weight_decay": -1, "r0": 2, "gradient": 1}
    for ends in (
        low,
        high,
        {**low, "gradient": 1, "lr": 0},
        {**high, "r0": -2},
        {**high, "lr": -3},
        {**low, "weight_decay": -5},
    ):
        put(figure, **ends)
        values = {key: 0.0 if at == -5.05 else 10.0**at for key, at in ends.items()}
        check(figure, **values)
    # Once the row starts where its gradient throws it off every axis, the lines say that they leave.
    put(figure, **{**low, "gradient": 1, "lr": 0, "r0": -1.9})
    check(figure, r0=0.0126, gradient=10.0)
    assert figure.locator(".exit").count() == 3
    assert figure.locator(".end", has_text="↑").all_text_contents() == ["r ↑"]
    assert figure.locator(".end", has_text="↓").all_text_contents() == ["θ ↓"]
    for row in ("length", "gradient", "angle"):
        assert "–" in figure.locator(f'[data-row="{row}"]').inner_text()
    until = figure.locator('[data-row="until"]').inner_text()
    assert "never" in until and "without decay there is none" in until


def test_the_keyboard_moves_each_slider_and_the_numbers(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    lowest = {"lr": 1e-3, "weight_decay": 0.0, "r0": 0.01, "gradient": 0.01, "fade": 1e-3}
    for key, name in LABELS.items():
        figure.get_by_role("button", name="He’s start").click()
        before, seen = check(figure, **HE), table(figure)
        slider(figure, name).focus()
        page.keyboard.press("ArrowLeft" if key == "fade" else "ArrowRight")  # 1 is its end
        after = check(figure)
        assert {k for k in LABELS if after[k] != before[k]} == {key}
        factor = after[key] / before[key]
        assert 1 < max(factor, 1 / factor) < 1.2
        assert table(figure) != seen
        page.keyboard.press("Home")
        check(figure, **{key: lowest[key]})
        assert float(slider(figure, name).get_attribute("aria-valuetext") or "nan") == lowest[key]


def test_each_preset_shows_its_phenomenon(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    status = figure.get_by_role("status")

    def choose(name: str, words: str) -> dict[str, list[float]]:
        button = figure.get_by_role("button", name=name)
        button.click()
        pressed = figure.locator('button[aria-pressed="true"]')
        assert pressed.all_inner_texts() == [name]
        check(figure)
        expect(status).to_contain_text(words, timeout=SLOW)
        return table(figure)

    row = choose("no decay", "Nothing shortens it")
    assert row["length"][1] > 2 * row["length"][0] and row["angle"][1] < row["angle"][3] / 5
    row = choose("small start", "throws it out")
    assert row["angle"][0] > 89 and row["length"][1] > row["length"][2] and row["largest"][0] == pytest.approx(50)
    row = choose("long start", "so long for its gradient")
    assert row["angle"][0] < row["angle"][2] / 100 and 1000 < row["until"][0] < STEPS
    row = choose("strong decay", "After 65 steps")
    assert row["angle"][2] > 10 * row["angle"][0] and row["until"][0] == 65
    row = choose("fades and returns", "The first step after that turns it by 84.3°, CWO by 2.9°")
    slider(figure, "step under the cursor").evaluate("range => { range.value = range.max; }")
    assert row["until"][0] < FADED[0] and row["largest"][0] == pytest.approx(10, rel=0.01)
    row = choose("He’s start", "nearly balance")
    assert row["length"][0] == row["length"][3] == math.sqrt(2)
    check(figure, **HE)
    put(figure, r0=1)
    assert figure.locator('button[aria-pressed="true"]').count() == 0


def test_the_cursor_reads_a_step_by_mouse_and_by_keyboard(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    plot = figure.locator(".equilibrium-view svg.equilibrium")
    box = plot.bounding_box()
    assert box
    cursor = slider(figure, "step under the cursor")
    page.mouse.move(box["x"] + 40, box["y"] + 200)
    check(figure, step=1)
    assert cursor.get_attribute("aria-valuetext") == "step 1"
    cursor.focus()
    page.keyboard.press("ArrowRight")
    check(figure, step=2)
    assert "step 2" in figure.locator("thead").inner_text()
    assert "At step 2:" in (plot.get_attribute("aria-label") or "")
    page.keyboard.press("End")
    check(figure, step=STEPS)
    page.mouse.move(box["x"] + 150, box["y"] + 200)
    step = int((cursor.get_attribute("aria-valuetext") or "").removeprefix("step "))
    assert 3 < step < 100
    check(figure, step=step)
    # The beads stand on the lines: of the row and of CWO, in each of the three panels.
    assert figure.locator(".bead-path").count() == figure.locator(".bead-ours").count() == 3


def test_a_finger_moves_a_slider_and_the_cursor(open_page: Opener) -> None:
    page = open_page(FIGURE, width=390, has_touch=True, is_mobile=True)
    figure = page.locator("figure.explorable")
    touch = page.context.new_cdp_session(page)

    def drag(*path: tuple[float, float]) -> None:
        for i, (x, y) in enumerate(path):
            kind = "touchStart" if i == 0 else "touchMove"
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    figure.get_by_role("button", name="small start").tap()
    expect(figure.locator('button[aria-pressed="true"]')).to_have_text("small start", timeout=SLOW)
    first = slider(figure, LABELS["r0"])
    resting = first.input_value()
    first.scroll_into_view_if_needed()
    x, y = middle(first)
    drag((x, y), (x + 20, y), (x + 60, y))
    expect(first).not_to_have_value(resting, timeout=SLOW)  # a touch becomes an input in the browser's own time
    assert check(figure)["r0"] > 1
    figure.locator(".equilibrium-view").scroll_into_view_if_needed()
    box = figure.locator(".equilibrium-view svg.equilibrium").bounding_box()
    assert box
    drag((box["x"] + 250, box["y"] + 60), (box["x"] + 150, box["y"] + 60), (box["x"] + 36, box["y"] + 60))
    expect(slider(figure, "step under the cursor")).to_have_attribute("aria-valuetext", "step 1", timeout=SLOW)
    check(figure, step=1)
    assert figure.locator('button[aria-pressed="true"]').count() == 0


def test_settings_from_the_page_and_two_of_a_kind(open_page: Opener) -> None:
    other = figures.explorable_html("equilibrium", {"c": 8.0, "weight_decay": 0.0, "r0": 3.0}, alt=ALT)
    page = open_page(other, FIGURE)
    one, two = page.locator("figure.explorable").all()
    put(one, lr=-2)
    now = setting(one)
    assert (now["lr"], now["weight_decay"], now["r0"]) == (0.01, 0.0, 3.0)
    assert table(one)["angle"][3] == pytest.approx(math.degrees(math.atan(0.01 / 8)))
    assert table(one)["length"][3] == math.sqrt(8)
    check(two, **HE)


def test_a_journey_to_a_preset_ends_where_it_should(open_page: Opener) -> None:
    page = open_page(FIGURE, reduced_motion="no-preference")
    figure = page.locator("figure.explorable")
    figure.get_by_role("button", name="long start").click()
    expect(figure.locator('button[aria-pressed="true"]')).to_have_text("long start", timeout=SLOW)
    check(figure, r0=20.0, weight_decay=5e-3)
    # What is asked for on the way comes after it.
    figure.get_by_role("button", name="no decay").click()
    put(figure, gradient=1)
    check(figure, r0=math.sqrt(2), weight_decay=0.0, gradient=10.0)


def every_state(page: Page) -> Iterator[str]:
    for name in PRESETS:
        page.get_by_role("button", name=name).click()
        yield name


def test_axe_finds_nothing_and_colours_can_be_read(open_page: Opener) -> None:
    page = open_page(FIGURE)
    for words, lines in in_every_theme(page, ".path, .ours"):
        assert words >= 25 and lines >= 12


@pytest.mark.parametrize("width", [320, 360, 640, 800])
def test_nothing_sticks_out_overlaps_or_moves_away(open_page: Opener, width: int) -> None:
    # The book's tables are wider than a figure's.
    book = (browse.ROOT / "book" / "assets" / "blocks.css").read_text(encoding="utf8")
    page = open_page(f'<style>{book}</style><div class="bd-article">{FIGURE}</div>', width=width)
    figure = page.locator("figure.explorable")
    tops = set()
    for _ in every_state(page):
        page.wait_for_timeout(250)  # until the summary has spoken
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        right = page.locator(".explorable-live *:not(.equilibrium-frame *)").evaluate_all(
            "all => Math.max(...all.map((n) => n.getBoundingClientRect().right))"
        )
        assert right <= width
        assert len(boxes_apart(figure.locator(".equilibrium-view :is(.end, .title, .tick)"), down=4)) >= 26
        tops.add(slider(figure, LABELS["lr"]).evaluate("n => Math.round(n.getBoundingClientRect().top + scrollY)"))
    if width >= 360:
        assert len(tops) == 1  # a slider stays under the finger while the text above it changes


def test_without_scripts_the_static_figure_stands(open_page: Opener) -> None:
    page = open_page(FIGURE, ready=False, java_script_enabled=False)
    stands_still(page, ALT)
