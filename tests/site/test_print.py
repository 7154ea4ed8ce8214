"""A page on paper: its text and its still figures, light, and nothing that only a screen can do."""

from __future__ import annotations

from collections.abc import Iterator

import browse
import pdf_pages
import pdf_text
import pytest
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.site

PAGE = "book/deriving.html"
WHITE, BLACK = "rgb(255, 255, 255)", "rgb(0, 0, 0)"
HIDDEN = (
    ".bd-sidebar-primary",
    ".bd-sidebar-secondary",
    ".bd-header-article",
    "footer.bd-footer-content",
    ".prev-next-footer",
    "#pst-back-to-top",
    ".headerlink",
    ".copybtn",
    ".quiz-reset",
    ".explorable-live",
    ".explorable-controls",
    ".cwn-take li",
)
SEEN = (".explorable-static", ".quiz-choice", ".cwn-figure svg", ".bd-article h1", ".math math", ".cwn-take")
SHOWN = "(boxes) => boxes.map((box) => box.checkVisibility({ visibilityProperty: true }) && box.offsetHeight !== 0)"
COLOURS = "(box) => [getComputedStyle(box).color, getComputedStyle(document.body).backgroundColor]"


@pytest.fixture(scope="module")
def paper(running: Browser, site: str) -> Iterator[Page]:
    """A chapter in the dark, about to be printed."""
    with browse.opened(running, site + PAGE, site, scheme="dark", width=670) as (page, _):
        page.locator(".explorable-live").first.wait_for()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print", color_scheme="dark")
        yield page


@pytest.mark.parametrize("what", HIDDEN)
def test_what_only_a_screen_can_do_is_not_printed(paper: Page, what: str) -> None:
    shown = paper.locator(what).evaluate_all(SHOWN)
    assert shown and not any(shown)


@pytest.mark.parametrize("what", SEEN)
def test_what_is_to_be_read_is_printed(paper: Page, what: str) -> None:
    shown = paper.locator(f"{what}:not(details *, .quiz-feedback *)").evaluate_all(SHOWN)
    assert shown and all(shown)


def test_paper_is_light_and_the_screen_is_dark_again(paper: Page) -> None:
    assert paper.locator("#the-question > p").first.evaluate(COLOURS) == [BLACK, WHITE]
    ink = "getComputedStyle(document.documentElement).getPropertyValue('--cwn-ink').trim()"
    assert paper.evaluate(ink) == "#1b222c"
    paper.evaluate("dispatchEvent(new Event('afterprint'))")
    assert paper.evaluate("document.documentElement.dataset.theme") == "dark"
    paper.evaluate("dispatchEvent(new Event('beforeprint'))")


def test_what_is_left_out_is_said(paper: Page) -> None:
    said = "(box) => getComputedStyle(box, '::before').content"
    assert "are left out" in paper.locator(".cwn-take").evaluate(said)
    solution = paper.locator(".tag_cwn-solution details.hide > summary > p.collapsed").first
    assert solution.evaluate(said) == '"A solution: on the page."'
    folded = paper.locator(".cell:not(.tag_cwn-solution, .tag_cwn-grader) details.hide")
    assert folded.count() and not any(folded.evaluate_all(SHOWN))


def test_figures_code_and_headings_are_not_torn(paper: Page) -> None:
    torn = "(boxes) => boxes.map((box) => getComputedStyle(box).breakInside)"
    for what in ("figure", "div.highlight", "tr", "div.math", "h2"):
        assert set(paper.locator(f".bd-article {what}").evaluate_all(torn)) == {"avoid"}
    after = paper.locator(".bd-article h2").evaluate_all("(all) => all.map((h) => getComputedStyle(h).breakAfter)")
    assert set(after) == {"avoid"}


def test_a_long_figure_is_shrunk_to_its_sheet(running: Browser, site: str) -> None:
    with browse.opened(running, f"{site}book/cifar.html", site, width=670) as (page, _):
        heights = "(all) => all.map((figure) => figure.getBoundingClientRect().height)"
        sheet = (297 - 18 - 20) * 96 / 25.4
        page.emulate_media(media="screen")
        assert max(page.locator(".bd-article figure").evaluate_all(heights)) > sheet, "nothing was long"
        page.emulate_media(media="print")
        assert max(page.locator(".bd-article figure").evaluate_all(heights)) < sheet


def test_nothing_is_wider_than_the_paper(paper: Page) -> None:
    assert paper.evaluate("document.documentElement.scrollWidth") <= 670


def test_the_browser_prints_it(running: Browser, site: str) -> None:
    with browse.opened(running, f"{site}book/verdict.html", site, scheme="dark") as (page, _):
        pdf = page.pdf(format="A4", print_background=True)
    first = pdf_text.texts(pdf)[0]
    assert pdf_pages.count(pdf) <= 4 and "Should you use it?" in first and "are left out" in first
