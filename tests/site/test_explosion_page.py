"""Weight Standardization's two explosions in a real browser: the library's numbers, every hand, both themes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fragments import SLOW, Opener, middle, opener, slider, table
from looks import boxes_apart, in_every_theme, stands_still
from playwright.sync_api import Browser, Locator, Page, expect

import cwn_lite as cwn
from cwn_lite import figures
from cwn_lite.figures.explorable import bundle
from cwn_lite.figures.explosion import LIMITS, Profiles, profiles

pytestmark = pytest.mark.site

ALT = "Activations and gradients against the layer of a deep network, with Weight Standardization and with CWO."
N, LAYERS, BATCH = 12, 24, 8
GAIN, DEPTH, SIGMA, DECAY = "gain κ = ‖ŵ‖", "depth", "standard deviation σ", "weight decay λ"
START = {"sigma": 0.01, "depth": 16, "gain": math.sqrt(N), "decay": 0.0}


def make_data() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    cotangent = rng.normal(size=N)
    return {
        "weights": rng.normal(size=(LAYERS, N, N)).round(3).tolist(),
        "inputs": rng.normal(size=(BATCH, N)).round(3).tolist(),
        "cotangent": (cotangent / np.linalg.norm(cotangent)).round(4).tolist(),
        "start": START,
    }


DATA = make_data()
EXPLOSION = figures.explorable_html("explosion", DATA, alt=ALT, static=figures.explosion(DATA))


def twin(**state: Any) -> Profiles:
    return profiles(DATA["weights"], DATA["inputs"], DATA["cotangent"], **{**START, **state})


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


ATTRIBUTE_Y = "all => all.map((node) => node.getAttribute('y'))"


def drawn(page: Page | Locator) -> dict[str, list[list[float]]]:
    """Return the exact values behind each line of the plots: the upper one first."""
    lines = page.locator(".explosion-view path[data-values]").evaluate_all(
        "all => all.map((p) => [p.getAttribute('class'), p.dataset.values.split(' ').map(Number)])"
    )
    found: dict[str, list[list[float]]] = {}
    for name, values in lines:
        found.setdefault(name.split("line-")[-1], []).append(values)
    return found


def check_against_library(figure: Locator, **state: Any) -> None:
    """All that the figure shows is what autograd finds at this state."""
    state = {**START, **state}
    now = twin(**state)
    bare = twin(**{**state, "sigma": math.sqrt(2 / N), "decay": 0.0}).ws
    lines = drawn(figure)
    for key, profile in (("ws", now.ws), ("ours", now.ours)):
        for got, expected in zip(lines[key], (profile.rms, profile.gradient), strict=True):
            assert got == pytest.approx(list(expected), rel=1e-6), (key, state)
    assert lines["bare"] == [pytest.approx(list(bare.gradient), rel=1e-6)]
    ratio = now.ws.gradient[0] / now.ours.gradient[0]
    rows = {
        "growth": [now.ws.growth, now.ours.growth],
        "first": [now.ws.gradient[0], now.ours.gradient[0]],
        "last": [now.ws.gradient[-1], now.ours.gradient[-1]],
        "norm": [state["gain"]],
        "sigma": [now.sigma],
        "ratio": [ratio],
        # What each cause alone does to the gradient, by autograd again.
        "byGain": [bare.gradient[0] / now.ours.gradient[0]],
        "bySigma": [now.ws.gradient[0] / bare.gradient[0]],
    }
    seen = table(figure)
    assert set(seen) == set(rows)
    for row, values in rows.items():
        assert seen[row] == pytest.approx(values, rel=1e-6), (row, state)


def test_the_arithmetic_is_the_library_s(open_page: Opener) -> None:
    rng = np.random.default_rng(1)
    corners = [(-4, 24, math.sqrt(N), 0.01), (-4, 2, 0.5, 0), (2, 24, 0.5, 0), (2, 2, 3.5, 0.01)]
    rest = [(rng.uniform(-4, 2), d, rng.uniform(0.5, 3.5), rng.uniform(0, 0.01)) for d in range(2, 25, 2)]
    states = [{"sigma": 10.0**s, "depth": d, "gain": g, "decay": w} for s, d, g, w in corners + rest]
    answers = open_page().evaluate(
        """async ([code, data, states]) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            return states.map((state) => m.profiles({ ...data, ...state }));
        }""",
        [bundle("explosion"), {k: v for k, v in DATA.items() if k != "start"}, states],
    )
    for state, got in zip(states, answers, strict=True):
        now = twin(**state)
        assert got["sigma"] == pytest.approx(now.sigma, rel=1e-12)
        for key, profile in (("ws", now.ws), ("ours", now.ours)):
            assert got[key]["rms"] == pytest.approx(list(profile.rms), rel=1e-9)
            assert got[key]["gradient"] == pytest.approx(list(profile.gradient), rel=1e-9)


def test_numbers_of_any_size_can_be_read(open_page: Opener) -> None:
    expected = {
        **{"0": "0", "1": "1.00", "0.01": "0.0100", "0.009999": "0.0100", "0.00994": "9.9·10⁻³", "999.4": "999"},
        **{"999.6": "1.0·10³", "9.96e19": "1.0·10²⁰", "1.23e-12": "1.2·10⁻¹²", "-40.76": "−40.8", "NaN": "–"},
    }
    told = open_page().evaluate(
        """async ([code, numbers]) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            return numbers.map((x) => m.tell(Number(x)));
        }""",
        [bundle("explosion"), list(expected)],
    )
    assert told == list(expected.values())


def test_the_sliders_reach_every_corner(open_page: Opener) -> None:
    figure = open_page(EXPLOSION).locator("figure.explorable")
    check_against_library(figure)
    for gain, depth, exponent, decay in [
        (0.5, 24, 2, 0.01),
        (3.5, 24, -4, 0.01),
        (1.2, 2, -1.5, 0),
        (2.5, 9, 0.3, 0.0005),
    ]:
        values = {GAIN: gain, DEPTH: depth, SIGMA: exponent, DECAY: decay}
        for name, value in values.items():
            slider(figure, name).fill(str(value))
        check_against_library(figure, gain=gain, depth=depth, sigma=10.0**exponent, decay=decay)
    figure.get_by_role("button", name="Reset").click()
    check_against_library(figure)


def test_the_keyboard_moves_every_slider(open_page: Opener) -> None:
    page = open_page(EXPLOSION)
    figure = page.locator("figure.explorable")
    moved = {
        GAIN: ("Home", "norm"),
        DEPTH: ("ArrowLeft", "ratio"),
        SIGMA: ("ArrowRight", "sigma"),
        DECAY: ("End", "sigma"),
    }
    for name, (key, row) in moved.items():
        before, told = table(figure)[row], slider(figure, name).get_attribute("aria-valuetext")
        slider(figure, name).focus()
        page.keyboard.press(key)
        assert table(figure)[row] != before
        assert slider(figure, name).get_attribute("aria-valuetext") != told
    check_against_library(figure, gain=0.5, depth=15, sigma=10**-1.95, decay=0.01)
    assert slider(figure, DECAY).get_attribute("aria-valuetext") == "0.0100"


def test_the_two_explosions_come_apart(open_page: Opener) -> None:
    """σ lifts all gradients alike and no activation; the gain tilts the activations."""
    figure = open_page(EXPLOSION).locator("figure.explorable")
    before = drawn(figure)
    slider(figure, SIGMA).fill("-3")
    after = drawn(figure)
    assert after["ws"][0] == pytest.approx(before["ws"][0], rel=1e-9)
    assert after["ours"] == before["ours"]
    assert after["bare"][0] == pytest.approx(before["bare"][0], rel=1e-9)
    assert [b / a for a, b in zip(before["ws"][1], after["ws"][1], strict=True)] == pytest.approx([10] * 16, rel=1e-9)
    figure.get_by_role("button", name="√c⋆").click()
    tilted = drawn(figure)
    steps = [b / a for a, b in zip(after["ws"][0], tilted["ws"][0], strict=True)]
    assert [b / a for a, b in pairwise(steps)] == pytest.approx([math.sqrt(cwn.C_CENTERED / N)] * 15, rel=1e-9)


def test_the_presets_are_exact(open_page: Opener) -> None:
    figure = open_page(EXPLOSION).locator("figure.explorable")
    slider(figure, GAIN).fill("2")
    assert figure.locator('[aria-pressed="true"]').count() == 0
    for name, c in {"scaled, √2": 2, "√c⋆": cwn.C_CENTERED, "unscaled, √n": N}.items():
        button = figure.get_by_role("button", name=name)
        button.press("Enter")
        assert button.get_attribute("aria-pressed") == "true"
        assert figure.locator('[aria-pressed="true"]').count() == 1
        assert table(figure)["norm"] == [math.sqrt(c)]
        check_against_library(figure, gain=math.sqrt(c))


def test_the_words_answer(open_page: Opener) -> None:
    figure = open_page(EXPLOSION).locator("figure.explorable")
    said = figure.get_by_role("status")
    now = twin()
    expect(said).to_contain_text(f"With a gain of 3.46 the activations grow: ×{now.ws.growth:.2f} per layer")
    expect(said).to_contain_text("compounded over 16 layers, and 40.8 times for σ, once.")
    figure.get_by_role("button", name="scaled, √2").click()
    expect(said).to_contain_text("the activations shrink", timeout=SLOW)
    expect(said).to_contain_text("40.8 times that of CWO: 1.00 times for the gain", timeout=SLOW)
    slider(figure, DEPTH).fill("4")
    slider(figure, GAIN).fill(str(round(1.41 / twin(depth=4, gain=1.41).ws.growth, 2)))
    expect(said).to_contain_text("about keep their size", timeout=SLOW)
    slider(figure, GAIN).fill("0.5")
    label = figure.locator("svg.explosion[role=img]").get_attribute("aria-label") or ""
    expect(said).to_have_text(label[label.index("With") :], timeout=SLOW)
    assert "A gradient would pull the other way and make σ larger; here there is none." in figure.inner_text()


def test_activations_that_die_out_are_told(open_page: Opener) -> None:
    dead = {**DATA, "inputs": [[0.0] * N] * BATCH}
    figure = open_page(figures.explorable_html("explosion", dead, alt=ALT)).locator("figure.explorable")
    expect(figure.get_by_role("status")).to_contain_text("the activations die out")
    assert figure.locator('[data-row="growth"] td').first.inner_text() == "–"
    assert figure.locator('[data-row="first"] td').first.inner_text() == "0"


def test_every_bead_stands_at_its_value_and_what_leaves_the_axis_is_marked(open_page: Opener) -> None:
    figure = open_page(EXPLOSION).locator("figure.explorable")
    slider(figure, DEPTH).fill("24")
    # Nothing leaves; all gradients leave at the top; most activations and all gradients leave at the bottom.
    for exponent, gain, notes in [("-1", "2", []), ("-4", "3.5", ["up"]), ("2", "0.5", ["down", "down"])]:
        slider(figure, SIGMA).fill(exponent)
        slider(figure, GAIN).fill(gain)
        ticks = [float(y) - 4 for y in figure.locator(".tick[text-anchor=end]").evaluate_all(ATTRIBUTE_Y)]
        tops = {"rms": ticks[:4], "gradient": ticks[4:]}  # 10⁻⁴ … 10⁸, 10⁻⁴ … 10⁸
        centres = [middle(bead)[1] for bead in figure.locator(".explosion-view .bead-ws.bead").all()]
        origin = (figure.locator("svg.explosion[role=img]").bounding_box() or {})["y"]
        inside = []
        for key, values in zip(LIMITS, drawn(figure)["ws"], strict=True):
            low, _, _, high = tops[key]
            low_end, high_end = LIMITS[key]
            inside += [low + (high - low) * (math.log10(v) + 4) / 12 for v in values if low_end <= v <= high_end]
        assert [y - origin for y in centres] == pytest.approx(inside, abs=0.6)
        assert figure.locator(".beyond").count() == 48 - len(inside)
        assert [note.split()[0] for note in figure.locator(".note").all_text_contents()] == notes
        assert len(inside) <= 48 - 24 * bool(notes)
    assert figure.locator(".note").last.text_content() == f"down to {drawn_least(figure)}"


def drawn_least(figure: Locator) -> str:
    mantissa, exponent = f"{min(drawn(figure)['ws'][1]):.0e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def test_a_finger_and_a_mouse_do_the_same(open_page: Opener) -> None:
    page = open_page(EXPLOSION, width=390, has_touch=True, is_mobile=True)
    figure = page.locator("figure.explorable")
    spread = slider(figure, SIGMA)
    spread.scroll_into_view_if_needed()
    box = spread.bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert spread.input_value() == "-1"
    check_against_library(figure, sigma=0.1)
    figure.get_by_role("button", name="√c⋆").tap()
    check_against_library(figure, sigma=0.1, gain=math.sqrt(cwn.C_CENTERED))
    depth = slider(figure, DEPTH)
    depth.scroll_into_view_if_needed()
    x, y = middle(depth)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 400, y, steps=5)
    page.mouse.up()
    check_against_library(figure, sigma=0.1, gain=math.sqrt(cwn.C_CENTERED), depth=2)


def test_a_preset_is_travelled_to_unless_the_reader_asks_for_less(open_page: Opener) -> None:
    page = open_page(EXPLOSION, reduced_motion="no-preference")
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    figure = page.locator("figure.explorable")
    figure.get_by_role("button", name="scaled, √2").click()
    page.clock.run_for(300)
    assert math.sqrt(2) + 0.1 < table(figure)["norm"][0] < math.sqrt(N) - 0.1
    # What is asked for on the way comes after it.
    slider(figure, DEPTH).fill("8")
    assert table(figure)["norm"] == [math.sqrt(2)]
    check_against_library(figure, gain=math.sqrt(2), depth=8)


def test_two_of_a_kind_do_not_meddle(open_page: Opener) -> None:
    one, two = open_page(EXPLOSION, EXPLOSION).locator("figure.explorable").all()
    slider(one, DEPTH).fill("3")
    check_against_library(one, depth=3)
    check_against_library(two)


def test_axe_finds_nothing_and_colours_can_be_read(open_page: Opener) -> None:
    page = open_page(EXPLOSION)
    for words, lines in in_every_theme(page, ".line, .bare, .arrow"):
        assert words >= 18 and lines >= 7 + 64


@pytest.mark.parametrize("width", [360, 800])
def test_nothing_sticks_out_or_overlaps(open_page: Opener, width: int) -> None:
    page = open_page(EXPLOSION, width=width)
    for gain, depth, exponent in [
        ("3.46", "16", "-2"),
        ("3.46", "24", "-4"),
        ("0.5", "24", "2"),
        ("1.41", "9", "-0.4"),
    ]:
        for name, value in {GAIN: gain, DEPTH: depth, SIGMA: exponent}.items():
            slider(page.locator("figure"), name).fill(value)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        right = page.locator(".explorable-live *:not(.explorable-unseen)").evaluate_all(
            "all => Math.max(...all.map((n) => n.getBoundingClientRect().right))"
        )
        assert right <= width
        assert len(boxes_apart(page.locator(".explosion-view text"))) >= 2 + 8 + 7 + 1 + 6


def test_without_scripts_the_static_figure_stands(open_page: Opener) -> None:
    page = open_page(EXPLOSION, ready=False, java_script_enabled=False)
    stands_still(page, ALT)
