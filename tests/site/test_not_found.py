"""The page for addresses at which there is none, asked for at any depth of a site that lies below its host's root."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import audit
import browse
import not_found
import pytest
from playwright.sync_api import Browser
from test_links import dead

pytestmark = pytest.mark.site

BASE = "/fork/"


@contextmanager
def hosted(folder: Path, base: str = BASE) -> Iterator[str]:
    """Serve a site as GitHub Pages does: below a path, with its `404.html` for all that is not there."""

    class Host(browse.Quiet):
        def translate_path(self, path: str) -> str:
            inside = path.startswith(base)
            return super().translate_path("/" + path.removeprefix(base)) if inside else str(folder / "outside")

        def send_error(self, code: int, *args: Any, **kwargs: Any) -> None:
            page = not_found.rooted((folder / "404.html").read_text(encoding="utf8"), base).encode()
            self.send_response(code)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

    with browse.serving(Host, folder, base) as address:
        yield address


@pytest.fixture(scope="module")
def html() -> Path:
    if not (browse.HTML / "404.html").is_file():
        pytest.skip("the book is not built: run `make book`")
    return browse.HTML


@pytest.mark.parametrize("wrong", ["gone.html", "book/gone.html", "a/b/c/d/"])
def test_it_works_at_any_depth(running: Browser, html: Path, wrong: str) -> None:
    with hosted(html) as site, browse.opened(running, site + wrong, site) as (page, visit):
        assert visit.failed == [f"404 {site}{wrong}"] and visit.foreign == []
        assert page.locator(".bd-article h1").inner_text() == not_found.TITLE
        assert page.evaluate("getComputedStyle(document.body).fontFamily").startswith("system-ui")  # has its style
        targets = page.locator(".bd-article a").evaluate_all("links => links.map(link => link.href)")
        chapters = [f"{site}{name}" for name in browse.pages() if (browse.ROOT / name).with_suffix(".ipynb").is_file()]
        numbered = [name for name in chapters if not name.endswith(("claims.html", "reproducing.html"))]
        assert targets == [f"{site}book/index.html", *numbered]
        page.locator(".cwn-find input").fill("projection")
        page.locator(".cwn-find button").click()
        page.wait_for_url("**/fork/search.html?q=projection")
        page.locator("#search-results li a").first.wait_for()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_looks_as_the_others_do(running: Browser, html: Path, scheme: str, width: int) -> None:
    with hosted(html) as site, browse.opened(running, f"{site}x/y", site, scheme=scheme, width=width) as (page, _):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert audit.violations(page) == []


def test_opened_itself_its_links_lead_somewhere(html: Path) -> None:
    text = (html / "404.html").read_text(encoding="utf8")
    if 'href="/' not in text:  # with an address it is made for that address
        assert dead(html / "404.html") == []
    assert '<meta name="robots" content="noindex">' in text
    for listed in ("llms.txt", "sitemap.xml", "searchindex.js"):
        assert not (html / listed).is_file() or "404.html" not in (html / listed).read_text(encoding="utf8")


LINKS = (
    '<html data-content_root="./"><a href="book/x.html#y">x</a><a href="#y">y</a><img src="_static/l.svg">'
    '<form action="search.html"></form><a href="https://example.org/z">z</a><link href="data:,"><a href="//h/p">h</a>'
)


@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("https://teacher.github.io/fork/", "/fork/"),
        ("https://example.org/a/b", "/a/b/"),
        ("https://example.org", "/"),
        ("", ""),
    ],
)
def test_links_start_at_the_root_that_is_known(tmp_path: Path, address: str, base: str) -> None:
    (tmp_path / "404.html").write_text(LINKS, encoding="utf8")
    config = SimpleNamespace(html_baseurl=address)
    app: Any = SimpleNamespace(outdir=tmp_path, config=config, builder=SimpleNamespace(format="html"))
    for _ in range(2):  # the second time there is nothing left to do
        not_found.root_links(app, None)
    text = (tmp_path / "404.html").read_text(encoding="utf8")
    found = re.findall(r'(?:href|src|action|content_root)="([^"]*)"', text)
    own = [f"{base}book/x.html#y", "#y", f"{base}_static/l.svg", f"{base}search.html"]
    assert found == [base or "./", *own, "https://example.org/z", "data:,", "//h/p"]
