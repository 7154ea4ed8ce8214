"""Decks in a browser without a network: keys, notes, two windows, no scripts, paper, screens of any size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import audit
import browse
import deck
import deck_page
import pytest
from plain_markdown import Words
from playwright.sync_api import Browser, Page

from cwn_lite.figures.explorable import explorable_html
from cwn_lite.figures.sphere import sphere

pytestmark = pytest.mark.site

ALT = "A sphere cut by a plane through its centre, with a weight on the circle where they meet."
TEXT = "## Part\n\nBefore.\n\n$$\na = \\frac{b}{c} .\n$$ (eq:planted:one)\n\nBehind it, with $x$."
DEFINITION = "def double(x):\n    return 2 * x\n"
CHOICES = [{"text": "Yes, $x$.", "holds": True, "feedback": "Count."}, {"text": "No.", "holds": False, "feedback": "?"}]
QUIZ = [{"prompt": "Is it so?", "choices": CHOICES}]


def cell(kind: str, source: str, *slides: dict[str, Any], tags: tuple[str, ...] = (), **output: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"cell_type": kind, "source": source, "metadata": {"tags": list(tags)}}
    if slides:
        made["metadata"]["slides"] = list(slides)
    if kind == "code":
        made["outputs"] = [{"output_type": "display_data", "data": {}, "metadata": {}, **output}] if output else []
    return made


def chapter() -> dict[str, Any]:
    live = explorable_html("projection-sphere", {}, alt=ALT, caption="Drag $w$.", static=sphere())
    table = "A table.\n\n| a | b |\n|---|---:|\n| x | 1 |\n"
    formula = {"title": "A formula", "points": ["One $x$.", "Two."], "show": "eq:planted:one"}
    figure = {"title": "A figure", "points": ["Turn it."], "show": "output"}
    cells = [
        cell("markdown", "# Planted\n\n```{admonition} Objectives\nAbout 20 minutes; 9 without the exercises.\n```"),
        cell("markdown", TEXT, formula),
        cell("code", "figures.explorable()", figure, data={"text/html": live, "text/plain": ALT}),
        cell("code", DEFINITION, {"title": "Code", "points": ["Twice."], "show": "code double"}),
        cell("code", "markdown()", {"title": "A table", "show": "output"}, data={"text/markdown": table}),
        cell(
            "code", "quiz()", {"show": "question 1"}, data={"text/plain": "1. Is it so?"}, metadata={"cwn_quiz": QUIZ}
        ),
        cell("markdown", "```{exercise} Do $x$\n:label: ex\n\n*Open.* Do it.\n```", tags=("exercise",)),
    ]
    return {"cells": cells}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    notebook = chapter()
    made = deck.slides(notebook, Words())
    minutes = deck.minutes(notebook, made)
    page = deck_page.page(made, book="Book", number="3", question="Why?", minutes=minutes)
    path = tmp_path_factory.mktemp("slides") / "planted.html"
    path.write_text(page, encoding="utf8")
    return path.as_uri()


@pytest.fixture
def opened(running: Browser, address: str) -> Iterator[tuple[Page, browse.Visit]]:
    with browse.opened(running, address, address) as found:
        yield found


def where(page: Page) -> str:
    return page.locator(".bar .where").inner_text()


def test_keys_lead_through_the_deck(opened: tuple[Page, browse.Visit]) -> None:
    page, visit = opened
    assert where(page) == "1 / 7" and page.locator("section:visible h1").inner_text() == "Planted"
    for key, at in (
        ("ArrowRight", 2),
        (" ", 3),
        ("PageDown", 4),
        ("ArrowLeft", 3),
        ("PageUp", 2),
        ("End", 7),
        ("Home", 1),
    ):
        page.keyboard.press(key)
        assert where(page) == f"{at} / 7"
    page.keyboard.press("Shift+ ")
    assert where(page) == "1 / 7", "there is none before"
    page.get_by_role("button", name="Next slide").click()
    assert page.url.endswith("#a-formula") and page.locator("section:visible").count() == 1
    assert page.locator("[aria-live]").inner_text() == "Slide 2 of 7: A formula"
    page.goto(page.url.replace("#a-formula", "#a-table"))
    assert where(page) == "5 / 7"
    assert visit.problems() == []


def test_notes_open_and_scroll_by_key(opened: tuple[Page, browse.Visit]) -> None:
    page, _ = opened
    page.keyboard.press("ArrowRight")
    said = page.locator("section:visible .said")
    assert not said.is_visible()
    page.keyboard.press("n")
    assert "Behind it" in said.inner_text() and "of 9" in said.inner_text()
    said.focus()
    page.keyboard.press("ArrowDown")
    assert where(page) == "2 / 7", "a note that has the focus keeps the keys that scroll it"
    page.keyboard.press("ArrowRight")
    assert where(page) == "3 / 7" and page.locator("section:visible .said").is_visible()
    page.keyboard.press("n")
    assert not page.locator(".said:visible").count()


def test_answers_are_in_the_notes_alone(opened: tuple[Page, browse.Visit]) -> None:
    page, _ = opened
    asked = page.locator("#ask-the-room")
    assert "right" not in asked.locator(".face").text_content()
    assert "(a): right. Count." in asked.locator(".said").text_content()


def test_the_figure_is_played_with_where_it_stands(opened: tuple[Page, browse.Visit]) -> None:
    page, visit = opened
    page.goto(page.url.replace("#planted", "#a-figure"))
    assert page.locator("section:visible figure > svg").is_visible()
    page.keyboard.press("p")
    slider = page.locator("dialog .explorable-live input[type=range]").first
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert where(page) == "3 / 7", "the arrow is the slider's"
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    assert visit.problems() == []


def test_the_speaker_has_a_window_that_follows(opened: tuple[Page, browse.Visit]) -> None:
    page, _ = opened
    with page.context.expect_page() as arriving:
        page.keyboard.press("s")
    other = arriving.value
    other.wait_for_selector(".said:visible")
    assert "Next: A formula" in other.locator(".bar .next").inner_text()
    page.keyboard.press("ArrowRight")
    other.wait_for_selector("#a-formula.now")
    other.keyboard.press("End")
    page.wait_for_selector("#exercises-to-set.now")


def test_the_keys_are_told(opened: tuple[Page, browse.Visit]) -> None:
    page, _ = opened
    page.keyboard.press("?")
    assert "speaker notes" in page.get_by_role("dialog").inner_text()
    page.get_by_role("button", name="Close").click()
    page.wait_for_selector("dialog", state="detached")


SWIPE = """
([from, to]) => {
  const target = document.querySelector("section.now :is(h1, h2)");
  for (const [kind, clientX] of [["touchstart", from], ["touchend", to]]) {
    const touch = new Touch({ identifier: 1, target, clientX, clientY: 300 });
    const touches = kind === "touchstart" ? [touch] : [];
    target.dispatchEvent(new TouchEvent(kind, { bubbles: true, touches, changedTouches: [touch] }));
  }
}
"""


def test_a_swipe_turns_the_page(running: Browser, address: str) -> None:
    context = running.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(address)
    page.evaluate(SWIPE, [300, 100])
    assert where(page) == "2 / 7"
    page.evaluate(SWIPE, [100, 300])
    assert where(page) == "1 / 7"
    page.evaluate(SWIPE, [120, 100])
    assert where(page) == "1 / 7", "a tap is no swipe"
    context.close()


def test_without_scripts_the_slides_follow_each_other(running: Browser, address: str) -> None:
    with browse.opened(running, address, address, scripts=False) as (page, visit):
        assert page.locator("section:visible").count() == 7
        assert page.locator("section svg:visible").count() == 1
        assert not page.locator(".said:visible").count() and not page.locator("button").count()
        page.locator("summary").nth(1).click()
        assert page.locator(".said:visible").count() == 1 and visit.problems() == []


def test_a_slide_is_a_page_on_paper(opened: tuple[Page, browse.Visit]) -> None:
    page, _ = opened
    assert page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") == 7
    page.keyboard.press("n")
    assert page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") == 14, "with its notes, two"


SCREENS = [(1280, 720), (1024, 768), (390, 844)]
STICKS_OUT = """
() => {
  const found = [];
  for (const section of document.querySelectorAll("main > section")) {
    section.scrollIntoView();
    for (const other of document.querySelectorAll("section")) other.classList.toggle("now", other === section);
    const face = section.querySelector(".face");
    const box = face.getBoundingClientRect();
    const scrolls = (e) => e.closest(".formula, pre, table") && innerWidth < 500;
    for (const e of face.querySelectorAll("*:not(svg *, math *)")) {
      const own = e.getBoundingClientRect();
      if (own.width && !scrolls(e) && (own.right > box.right + 1 || own.bottom > box.bottom + 1))
        found.push(`${section.id}: ${e.outerHTML.slice(0, 80)}`);
    }
    for (const e of face.querySelectorAll("pre, .formula"))
      if (innerWidth > 500 && e.scrollWidth > e.clientWidth + 1) found.push(`${section.id}: wide`);
  }
  for (const link of document.querySelectorAll("a"))
    if (!/^https?:/.test(link.getAttribute("href"))) found.push(`leads nowhere in a file alone: ${link.outerHTML}`);
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page is wider than the screen");
  return found;
}
"""


def on_screens(running: Browser, address: str) -> list[str]:
    """What is wrong with a deck on any screen: what sticks out, what it asked for, what axe finds, light and dark."""
    found = []
    for width, height in SCREENS:
        for scheme in ("light", "dark") if width == 1280 else ("light",):
            with browse.opened(running, address, address, width=width, scheme=scheme) as (page, visit):
                page.set_viewport_size({"width": width, "height": height})
                found += [f"{width}: {problem}" for problem in page.evaluate(STICKS_OUT)]
                page.evaluate("document.documentElement.classList.remove('deck')")  # axe looks at what is seen
                page.evaluate("for (const box of document.querySelectorAll('details')) box.open = true")
                found += [f"{width}, {scheme}: {problem}" for problem in audit.violations(page)]
                page.evaluate("document.documentElement.classList.add('deck')")
                found += visit.problems()
    return found


def test_a_deck_fits_any_screen_and_is_accessible(running: Browser, address: str) -> None:
    assert on_screens(running, address) == []


def test_what_sticks_out_is_seen(running: Browser, address: str) -> None:
    with browse.opened(running, address, address) as (page, _):
        page.set_viewport_size({"width": 1280, "height": 720})
        page.evaluate("document.querySelector('#a-table .face').append('x '.repeat(4000))")
        page.evaluate("document.querySelector('#a-formula li').style.marginTop = '900px'")
        assert any("a-formula" in problem for problem in page.evaluate(STICKS_OUT))


# ---- the built book ----


def with_slides() -> list[str]:
    """Names of the chapters that choose any."""
    paths = [(browse.ROOT / name).with_suffix(".ipynb") for name in browse.pages()]
    return [path.stem for path in paths if path.is_file() and '"slides": [' in path.read_text(encoding="utf8")]


@pytest.mark.parametrize("name", with_slides())
def test_every_deck_of_the_built_book(running: Browser, name: str) -> None:
    path: Path = browse.HTML / "slides" / f"{name}.html"
    if not path.parent.is_dir():
        pytest.skip("the book is not built: run `make book`")
    assert on_screens(running, path.as_uri()) == []


def test_each_chapter_and_the_course_plan_lead_to_the_decks() -> None:
    if not (browse.HTML / "slides").is_dir():
        pytest.skip("the book is not built: run `make book`")
    plan = (browse.HTML / "book" / "teaching.html").read_text(encoding="utf8")
    for name in with_slides():
        page = (browse.HTML / "book" / f"{name}.html").read_text(encoding="utf8")
        assert f'href="../slides/{name}.html"' in page and f'href="../slides/{name}.html"' in plan
