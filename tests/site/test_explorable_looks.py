"""The looks of the interactive figures: themes, contrast, narrow screens, assistive technology, no scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from audit import violations
from fragments import ALT, CURVES, QUIZ, SPHERE, Opener, opener
from looks import boxes_apart, dress, in_every_theme
from playwright.sync_api import Browser

from cwn_lite import figures

pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def test_axe_finds_nothing(open_page: Opener) -> None:
    page = open_page(SPHERE, CURVES, QUIZ)
    page.get_by_label("start off-centre").check()
    page.get_by_role("radio", name="either").check()
    assert violations(page) == []
    dress(page, "dark")
    assert violations(page) == []


def test_colours_follow_the_theme_and_can_be_read(open_page: Opener) -> None:
    page = open_page(SPHERE, CURVES)
    page.get_by_label("start off-centre").check()
    for words, lines in in_every_theme(page, ".arrow:not(.arrow-drop), .head, .mean, .feasible"):
        assert words >= 8 and lines >= 6


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
        assert len(boxes_apart(page.locator(svg))) == (10 if "sphere" in svg else len(figures.LABELS))
    assert len(boxes_apart(page.locator("svg.curves text"))) > 2 * len(figures.LABELS)
    sizes = page.locator("svg.curves text").evaluate_all(
        "all => all.map((n) => parseFloat(getComputedStyle(n).fontSize))"
    )
    assert min(sizes) >= 10
    page.get_by_role("checkbox", name="one plot").check()
    assert len(boxes_apart(page.locator("svg.curves .end"))) == len(figures.LABELS)


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
