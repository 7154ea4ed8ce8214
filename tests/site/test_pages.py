"""Every page of the built book in a browser without a network: quiet, whole, typeset, accessible, on any screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import audit
import browse
import pytest
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.site

SCREENS = [(scheme, width) for scheme in ("light", "dark") for width in (1280, 390)]


@dataclass(frozen=True)
class Seen:
    """What one visit of a page showed."""

    problems: list[str]
    beyond: list[str]  # elements that stick out of the screen
    violations: list[str]  # of accessibility
    formulas: int
    typeset: int
    font: bool  # of the formulas
    stuck: list[str]  # formulas wider than their boxes that no key can reach
    asked: int  # files
    background: str


def look(page: Page, visit: browse.Visit, *, structure: bool = True) -> Seen:
    return Seen(
        problems=visit.problems(),
        beyond=page.evaluate(BEYOND),
        formulas=page.locator(".math").count(),
        typeset=page.locator(".math math").count(),
        font=page.evaluate(FONT),
        stuck=page.evaluate(STUCK),
        asked=len(visit.asked),
        background=page.evaluate(BACKGROUND),
        violations=audit.violations(page, structure=structure),  # last: it takes the page apart
    )


BACKGROUND = "getComputedStyle(document.body).backgroundColor"
# A page without formulas needs none.
FONT = """() => !document.querySelector("math") || [...document.fonts].some(
  (font) => font.family.includes("STIX Two Math") && font.status === "loaded")"""
STUCK = """
() => [...document.querySelectorAll(".bd-article :is(.cwn-formula, span.math)")]
  .filter((box) => getComputedStyle(box).overflowX !== "visible" && box.scrollWidth > box.clientWidth)
  .filter((box) => box.checkVisibility() && box.tabIndex < 0)
  .map((box) => box.textContent)
"""
OPEN = """
async () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
  await new Promise((done) => setTimeout(done, 200));
}
"""
# Names what makes the page wider than the screen, but not what scrolls inside a box of its own.
BEYOND = """
() => {
  const screen = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= screen) return [];
  const inBox = (e) => {
    for (let up = e.parentElement; up && up !== document.body; up = up.parentElement)
      if (getComputedStyle(up).overflowX !== "visible") return true;
    return false;
  };
  return [...document.querySelectorAll("body *")]
    .filter((e) => e.getBoundingClientRect().right > screen + 1 && !inBox(e))
    .map((e) => e.outerHTML.slice(0, 120));
}
"""


@pytest.fixture(scope="module")
def see(running: Browser, site: str) -> Callable[..., Seen]:
    """Visit a page once per screen, however many tests ask."""
    memory: dict[tuple[Any, ...], Seen] = {}

    def see(name: str, scheme: str, width: int) -> Seen:
        key = (name, scheme, width)
        if key not in memory:
            with browse.opened(running, site + name, site, scheme=scheme, width=width) as (page, visit):
                memory[key] = look(page, visit, structure=scheme == "light")
        return memory[key]

    return see


every_page = pytest.mark.parametrize("name", browse.pages())
every_screen = pytest.mark.parametrize(("scheme", "width"), SCREENS)


@every_page
@every_screen
def test_quiet_and_on_its_own(see: Callable[..., Seen], name: str, scheme: str, width: int) -> None:
    assert see(name, scheme, width).problems == []


@every_page
@every_screen
def test_no_wider_than_the_screen(see: Callable[..., Seen], name: str, scheme: str, width: int) -> None:
    assert see(name, scheme, width).beyond == []


@every_page
@every_screen
def test_accessible(see: Callable[..., Seen], name: str, scheme: str, width: int) -> None:
    assert see(name, scheme, width).violations == []


@every_page
def test_formulas_are_typeset(see: Callable[..., Seen], name: str) -> None:
    seen = see(name, "light", 1280)
    assert seen.typeset == seen.formulas
    assert seen.font


@every_page
def test_wide_formulas_are_reached_by_keyboard(see: Callable[..., Seen], name: str) -> None:
    assert see(name, "light", 390).stuck == []


def test_wide_formulas_in_what_is_opened_are_reached_by_keyboard(running: Browser, site: str) -> None:
    folded = ".bd-article details:not([open]) :is(.cwn-formula, span.math)"
    with browse.opened(running, f"{site}book/batches.html", site, width=390) as (page, _):
        assert page.locator(folded).count()
        page.evaluate(OPEN)
        assert not page.locator(folded).count() and page.evaluate(STUCK) == []
        page.evaluate("for (const box of document.querySelectorAll('details [tabindex]')) box.tabIndex = -1")
        assert page.evaluate(STUCK), "nothing was wide, so nothing was tried"


@every_page
def test_formulas_are_there_without_scripts(running: Browser, site: str, name: str) -> None:
    with browse.opened(running, site + name, site, width=390, scripts=False) as (page, visit):
        assert page.locator(".math math").count() == page.locator(".math").count()
        assert page.evaluate(BEYOND) == [] and visit.foreign == []


@every_page
def test_few_files_are_asked_for(see: Callable[..., Seen], name: str) -> None:
    assert see(name, "light", 1280).asked <= 15


@every_page
def test_dark_is_dark(see: Callable[..., Seen], name: str) -> None:
    assert see(name, "dark", 1280).background != see(name, "light", 1280).background


@every_page
def test_opened_as_a_file(running: Browser, name: str) -> None:
    own = browse.HTML.as_uri()
    with browse.opened(running, f"{own}/{name}", own) as (page, visit):
        assert visit.problems() == []
        assert page.locator(".math math").count() == page.locator(".math").count()
        assert page.evaluate(FONT)


def test_the_address_leads_to_the_front_page(running: Browser, site: str) -> None:
    with browse.opened(running, site, site, typeset=False) as (page, visit):
        page.wait_for_url("**/book/index.html")
        assert visit.problems() == []
    # Where a machine is slow the browser shows the address for a moment, and would ask for an icon that is not there.
    assert '<link rel="icon" href="data:,">' in (browse.HTML / "index.html").read_text(encoding="utf8")


def test_the_theme_can_be_switched(running: Browser, site: str) -> None:
    with browse.opened(running, site + "book/index.html", site) as (page, _):
        colours = set()
        for _ in range(3):  # light, dark, as the system has it
            page.locator(".theme-switch-button:visible").first.click()
            colours.add(page.evaluate(BACKGROUND))
        assert len(colours) == 2


@pytest.mark.parametrize(("mode", "scheme", "theme"), [("", "dark", "dark"), ("light", "dark", "light")])
def test_the_theme_is_there_before_the_page(running: Browser, site: str, mode: str, scheme: str, theme: str) -> None:
    """To change it later styles every element once more, and flashes."""
    context = running.new_context(color_scheme="dark" if scheme == "dark" else "light")
    try:
        page = context.new_page()
        page.add_init_script(f"localStorage.setItem('mode', '{mode}'); {OLD_THEMES}")
        page.goto(f"{site}book/index.html")
        seen = page.evaluate("oldThemes")
        assert seen[0] == "auto" and set(seen[1:]) <= {theme}
        assert page.evaluate("document.documentElement.dataset.theme") == theme
    finally:
        context.close()


OLD_THEMES = """window.oldThemes = [];
new MutationObserver((changes) => oldThemes.push(...changes.map((change) => change.oldValue)))
  .observe(document, { subtree: true, attributeFilter: ["data-theme"], attributeOldValue: true });"""


def test_folded_code_is_measured_when_it_is_opened(running: Browser, site: str) -> None:
    with browse.opened(running, f"{site}book/batches.html", site, width=390) as (page, _):
        marked = "(boxes) => boxes.map((box) => box.hasAttribute('tabindex'))"
        folded = page.locator(".bd-article details.hide:not([open]) pre")
        assert not any(folded.evaluate_all(marked)) and all(page.locator("pre:not(details *)").evaluate_all(marked))
        page.evaluate(OPEN)
        opened = page.locator(".bd-article details.hide pre")
        page.wait_for_function("document.querySelector('details.hide pre').hasAttribute('tabindex')")
        assert opened.count() and all(opened.evaluate_all(marked))


def test_without_scripts_the_system_decides_on_dark(running: Browser, site: str) -> None:
    seen = []
    for scheme in ("light", "dark"):
        with browse.opened(running, site + "book/index.html", site, scheme=scheme, scripts=False) as (page, visit):
            seen.append(page.evaluate(BACKGROUND))
            assert visit.foreign == []
    assert seen[0] != seen[1]


def test_the_search_finds_a_word(running: Browser, site: str) -> None:
    with browse.opened(running, site + "search.html?q=projection", site) as (page, visit):
        page.locator("#search-results li a").first.wait_for()
        assert visit.problems() == []


# ---- Each check, on a page that has the fault ----

WIDE = '<p style="width:3000px">wide</p>'
PLANTED = """<!doctype html><html lang="en"><head><title>t</title>
<meta name="viewport" content="width=device-width"></head><body><main><h1>t</h1>{}</main></body></html>"""


@pytest.mark.parametrize(
    ("fault", "field", "message"),
    [
        ('<img alt="" src="http://192.0.2.1/x.png">', "problems", "asked another host: http://192.0.2.1/x.png"),
        ('<link rel="stylesheet" href="https://cdn.example/x.css">', "problems", "asked another host"),
        ('<img alt="" src="missing.png">', "problems", "request failed: 404"),
        ("<script>console.error('oh')</script>", "problems", "console: oh"),
        ("<script>undefinedName()</script>", "problems", "page error"),
        ('<div style="width:3000px">wide</div>', "beyond", "width:3000px"),
        ('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">', "violations", "image-alt"),
        ('<p style="color:#bbb;background:#fff">faint</p>', "violations", "color-contrast"),
        (f'<div class="bd-article"><div class="cwn-formula" style="overflow:auto">{WIDE}</div></div>', "stuck", "wide"),
    ],
)
def test_planted(running: Browser, tmp_path: Path, fault: str, field: str, message: str) -> None:
    (tmp_path / "page.html").write_text(PLANTED.format(fault), encoding="utf8")
    (tmp_path / "favicon.ico").touch()
    with (
        browse.served(tmp_path) as address,
        browse.opened(running, f"{address}page.html", address, width=390) as (page, visit),
    ):
        assert any(message in found for found in getattr(look(page, visit), field))


def test_a_planted_page_without_fault_passes(running: Browser, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        PLANTED.format('<div style="overflow-x:auto" tabindex="0"><p style="width:3000px">in a box</p></div>'),
        encoding="utf8",
    )
    (tmp_path / "favicon.ico").touch()
    with (
        browse.served(tmp_path) as address,
        browse.opened(running, f"{address}page.html", address) as (page, visit),
    ):
        seen = look(page, visit)
    assert (seen.problems, seen.beyond, seen.violations) == ([], [], [])
