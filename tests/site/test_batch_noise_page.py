"""The figure of a batch statistic's noise in a real browser: its numbers, its hands and its looks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fragments import SLOW, Opener, opener, slider, table
from looks import boxes_apart, in_every_theme, stands_still
from playwright.sync_api import Browser, Locator, expect

from cwn_lite import figures
from cwn_lite.figures.batch_noise import BINS, KINDS, SIZES, batch_noise, histogram, moments
from cwn_lite.figures.draws import normals
from cwn_lite.figures.explorable import bundle

ALT = "Two histograms of the factor on the signal in training, of batch norm and of CWO, and their spread."
FIGURE = figures.explorable_html("batch-noise", {}, alt=ALT, static=figures.draw_batch_noise())
pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def check(figure: Locator, *, size: int, kind: str = "normal", sigma: float | None = None) -> dict[str, list[float]]:
    """Every number in the table and every bar is the library's for this setting."""
    noise = batch_noise(size=size, kind=kind, sigma=sigma)
    seen = table(figure)
    for row in ("spread", "rule", "square", "offset", "far"):
        assert seen[row] == pytest.approx([getattr(side, row) for side in noise.values()], rel=1e-8, abs=1e-12), row
    for key, side in noise.items():
        shares = (figure.locator(f".bars-{key}").get_attribute("data-shares") or "").split()
        wanted, below, above = histogram(side.factors)
        drawn = [float(share) for share in shares]
        # A draw on the edge of a bin may fall to either side of it.
        assert sum(abs(a - b) for a, b in zip(drawn, wanted, strict=True)) < 0.003
        assert sum(drawn) + below + above == pytest.approx(1, abs=0.002)
    return seen


def test_the_arithmetic_is_the_library_s(open_page: Opener) -> None:
    answer: dict[str, Any] = open_page().evaluate(
        """async (code) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            const kinds = Object.keys(m.KINDS);
            const found = Object.fromEntries(kinds.map((kind) => [kind, m.statistics(kind)]));
            const cases = kinds.flatMap((kind) => m.SIZES.map((size) => {
                const { bn, ours } = m.simulate(found[kind], { kind, size, sigma: 0.3 });
                const rows = (x) => [x.spread, x.rule, x.square, x.offset, x.far];
                return { kind, size, bn: rows(bn), ours: rows(ours), some: bn.factors.slice(0, 50).map((f) => 1 / f) };
            }));
            const z = [...m.normals(1, 200)];
            return { sizes: m.SIZES, bins: m.BINS, kinds, moments: kinds.map(m.moments), cases, z };
        }""",
        bundle("batch-noise"),
    )
    assert tuple(answer["sizes"]) == SIZES and tuple(answer["kinds"]) == KINDS
    assert tuple(answer["bins"].values()) == BINS
    for kind, got in zip(KINDS, answer["moments"], strict=True):
        assert tuple(got.values()) == pytest.approx(moments(kind), rel=1e-12)
    assert answer["z"] == pytest.approx(normals(1, 200).tolist(), rel=1e-9, abs=1e-12)
    assert len(answer["cases"]) == len(SIZES) * len(KINDS)
    for case in answer["cases"]:
        noise = batch_noise(size=case["size"], kind=case["kind"], sigma=0.3)
        for key, side in noise.items():
            rows = [side.spread, side.rule, side.square, side.offset, side.far]
            assert case[key] == pytest.approx(rows, rel=1e-8, abs=1e-12)
        divisors = (1 / noise["bn"].factors[:50]).tolist()
        assert case["some"] == pytest.approx(divisors, rel=1e-6, abs=1e-7)


def test_every_input_answers_to_the_keyboard(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    check(figure, size=4)
    samples, noise = slider(figure, "samples N"), slider(figure, "noise of CWO σ")
    samples.focus()
    page.keyboard.press("ArrowRight")
    assert samples.get_attribute("aria-valuetext") == "5 samples"
    check(figure, size=5)
    page.keyboard.press("Home")
    check(figure, size=2)
    page.keyboard.press("End")
    check(figure, size=512)
    follow = figure.get_by_role("checkbox", name="σ = 1/√(2N)")
    assert follow.is_checked()
    noise.focus()
    page.keyboard.press("End")
    check(figure, size=512, sigma=1.0)
    assert not follow.is_checked()
    samples.fill("2")  # a σ of its own stays where it is
    check(figure, size=4, sigma=1.0)
    follow.focus()
    page.keyboard.press("Space")
    check(figure, size=4)
    figure.get_by_role("combobox").select_option("relu")
    check(figure, size=4, kind="relu")
    follow.focus()
    page.keyboard.press("Space")
    samples.fill("10")
    check(figure, size=45, kind="relu", sigma=1 / math.sqrt(8))


def test_what_is_said_and_what_lies_beyond(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    status = figure.get_by_role("status")
    expect(status).to_contain_text("With 4 normal samples, batch norm’s divisor scatters by 0.34", timeout=SLOW)
    figure.get_by_role("combobox").select_option("relu")
    slider(figure, "samples N").fill("0")
    slider(figure, "noise of CWO σ").fill("0")
    expect(status).to_contain_text("With 2 samples behind a ReLU", timeout=SLOW)
    noise = batch_noise(size=2, kind="relu", sigma=1.0)
    expect(status).to_contain_text(f"CWO, with σ = 1.00, in {100 * noise['ours'].far:.0f}", timeout=SLOW)
    above, below = histogram(noise["bn"].factors)[2], histogram(noise["ours"].factors)[1]
    said = figure.locator(".beyond").all_text_contents()
    shares = [float(text.strip("←→ %\u00a0")) for text in said]  # above batch norm's axis; below and above CWO's
    assert shares[:2] == pytest.approx([100 * above, 100 * below], abs=0.051) and len(shares) == 3
    label = figure.locator("svg.batch-noise").get_attribute("aria-label") or ""
    assert "Two histograms" in label and "With 2 samples behind a ReLU" in label


def test_settings_from_the_page_and_two_of_a_kind(open_page: Opener) -> None:
    other = figures.explorable_html("batch-noise", {"size": 64, "kind": "relu", "sigma": 0.5}, alt=ALT)
    page = open_page(other, FIGURE)
    one, two = page.locator("figure.explorable").all()
    check(one, size=64, kind="relu", sigma=0.5)
    slider(one, "samples N").fill("0")
    check(one, size=2, kind="relu", sigma=0.5)
    check(two, size=4)


def test_axe_finds_nothing_and_colours_can_be_read(open_page: Opener) -> None:
    page = open_page(FIGURE)
    for words, bars in in_every_theme(page, ".bars"):
        assert words >= 7 and bars == 2


@pytest.mark.parametrize("width", [320, 360, 640, 800])
def test_nothing_sticks_out_overlaps_or_moves_away(open_page: Opener, width: int) -> None:
    page = open_page(FIGURE, width=width)
    figure = page.locator("figure.explorable")
    tops = set()
    for at, kind, sigma in (("0", "relu", "0"), ("17", "normal", "-2"), ("2", "normal", "0")):
        figure.get_by_role("combobox").select_option(kind)
        slider(figure, "samples N").fill(at)
        slider(figure, "noise of CWO σ").fill(sigma)
        page.wait_for_timeout(250)  # until the summary has spoken
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = boxes_apart(figure.locator("svg.batch-noise > text"), down=4)
        assert len(boxes) >= 7 and all(box[0] >= 0 and box[2] <= width for box in boxes)
        tops.add(figure.locator("table").evaluate("n => Math.round(n.getBoundingClientRect().top + scrollY)"))
    assert len(tops) == 1  # the table stays in place while the text above it changes


def test_without_scripts_the_static_figure_stands(open_page: Opener) -> None:
    page = open_page(FIGURE, ready=False, java_script_enabled=False)
    stands_still(page, ALT)
