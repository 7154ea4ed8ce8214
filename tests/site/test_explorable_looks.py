"""The looks of the interactive figures: themes, contrast, narrow screens, assistive technology, no scripts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from audit import violations
from fragments import ALT, CURVES, QUIZ, SPHERE, Opener, opener
from playwright.sync_api import Browser, Page

from cwn_lite import figures

pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def dress(page: Page, theme: str | None) -> None:
    """Put the page into a theme as the site does, its own ground and ink included."""
    page.evaluate(
        """(theme) => {
            if (theme) document.documentElement.dataset.theme = theme;
            else delete document.documentElement.dataset.theme;
            document.body.style.cssText = theme === "dark" ? "background: #121212; color: #ced6dd" : "";
        }""",
        theme,
    )


def test_axe_finds_nothing(open_page: Opener) -> None:
    page = open_page(SPHERE, CURVES, QUIZ)
    page.get_by_label("start off-centre").check()
    page.get_by_role("radio", name="either").check()
    assert violations(page) == []
    dress(page, "dark")
    assert violations(page) == []


# Contrast of every colour in a figure with its ground: [name, ratio]; colours are painted once to be read as RGB.
CONTRASTS = """(figure) => {
    const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const light = (color) => {
        pen.fillStyle = color;
        pen.fillRect(0, 0, 1, 1);
        const rgb = [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255);
        const linear = rgb.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return linear.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    };
    const background = getComputedStyle(figure).backgroundColor;
    const ground = light(background);
    const all = (selector, property) => [...figure.querySelectorAll(selector)].map((node) => {
        const own = light(getComputedStyle(node)[property]);
        return [node.getAttribute("class"), (Math.max(own, ground) + 0.05) / (Math.min(own, ground) + 0.05)];
    });
    const line = all(".arrow:not(.arrow-drop), .head, .mean, .feasible", "stroke");
    return { background, text: all("svg text", "fill"), line: [...line, ...all(".bead", "fill")] };
}"""


def test_colours_follow_the_theme_and_can_be_read(open_page: Opener) -> None:
    page = open_page(SPHERE, CURVES)
    page.get_by_label("start off-centre").check()
    for theme, system in (("light", "dark"), ("dark", "light"), (None, "light"), (None, "dark")):
        page.emulate_media(color_scheme=system)
        dress(page, theme)
        for figure in page.locator("figure.explorable").all():
            seen = figure.evaluate(CONTRASTS)
            assert seen["background"] == ("rgb(18, 18, 18)" if (theme or system) == "dark" else "rgb(255, 255, 255)")
            assert len(seen["text"]) >= 8 and len(seen["line"]) >= 6
            assert all(ratio >= 4.5 for _, ratio in seen["text"]), seen["text"]
            assert all(ratio >= 3 for _, ratio in seen["line"]), seen["line"]


@pytest.mark.parametrize("width", [360, 800])
def test_nothing_sticks_out_or_overlaps(open_page: Opener, width: int) -> None:
    page = open_page(SPHERE, CURVES, QUIZ, width=width)
    page.get_by_label("start off-centre").check()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    right = page.locator(".explorable-live *:not(svg *):not(.explorable-unseen), .quiz *").evaluate_all(
        "all => Math.max(...all.map((n) => n.getBoundingClientRect().right))"
    )
    assert right <= width
    for svg in (".sphere .name", "svg.curves .end"):
        boxes = page.locator(svg).evaluate_all(
            "all => all.map((n) => n.getBBox()).map((b) => [b.x, b.y, b.x + b.width, b.y + b.height])"
        )
        assert len(boxes) == (10 if "sphere" in svg else len(figures.LABELS))
        for (ax, ay, bx, by), (cx, cy, dx, dy) in combinations(boxes, 2):
            assert min(bx, dx) - max(ax, cx) <= 1 or min(by, dy) - max(ay, cy) <= 3


@pytest.mark.parametrize("scripts", [True, False])
def test_a_quiz_answers_with_and_without_scripts(open_page: Opener, scripts: bool) -> None:
    page = open_page(QUIZ, java_script_enabled=scripts)
    feedback = page.locator(".quiz-feedback p:visible")
    assert feedback.count() == 0
    page.get_by_role("radio", name="plus").focus()
    page.keyboard.press("Space")
    assert feedback.all_inner_texts() == ["✗ Not this one. No."] or feedback.all_inner_texts() == ["Not this one. No."]
    page.keyboard.press("ArrowUp")
    assert [text.removeprefix("✓ ") for text in feedback.all_inner_texts()] == ["Right. See the figure."]
    page.keyboard.press("Enter")
    assert "?" not in page.url  # a form that is never sent
    page.locator("summary").last.click()
    assert page.get_by_text("no: It is ‖w‖².").is_visible()
    page.get_by_role("button", name="Clear my answers").click()
    assert feedback.count() == 0


def test_without_scripts_the_static_figure_stands(open_page: Opener) -> None:
    page = open_page(SPHERE, ready=False, java_script_enabled=False)
    assert page.get_by_role("img", name=ALT).is_visible()
    assert "where scripts run" in page.locator("noscript p:visible").inner_text()


def test_a_figure_that_fails_keeps_its_static_form(running: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(figures.explorable_html("projection-sphere", {"g": 1}, alt=ALT, static=figures.sphere()))
    page = running.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.goto(path.as_uri())
    page.locator("figure[data-failed]").wait_for()
    assert page.get_by_role("img", name=ALT).is_visible()
    assert page.locator(".explorable-live").count() == 0 and len(errors) == 1
    page.close()
