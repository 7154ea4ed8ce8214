"""Every link, picture, script and anchor inside the built site leads somewhere; read from the files alone."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import browse
import math_font
import pytest

import cwn_lite as cwn

pytestmark = pytest.mark.site


class Links(HTMLParser):
    """What a page points at, and what on it can be pointed at."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if value and key in ("href", "src", "action"):
                self.targets.append(value)
            elif value and key in ("id", "name"):
                self.anchors.add(value)


@cache
def read(path: Path) -> Links:
    links = Links()
    links.feed(path.read_text(encoding="utf8"))
    return links


def dead(page: Path) -> list[str]:
    """Return the targets of a page inside its site that are not there."""
    found = []
    for target in read(page).targets:
        link = urlsplit(target)
        if link.scheme or link.netloc:
            continue
        file = (page.parent / unquote(link.path)).resolve() if link.path else page
        missing_anchor = link.fragment and file.suffix == ".html" and file.is_file()
        if not file.is_file() or (missing_anchor and unquote(link.fragment) not in read(file).anchors):
            found.append(target)
    return found


@pytest.fixture(scope="module")
def html() -> Path:
    if not (browse.HTML / "book" / "index.html").is_file():
        pytest.skip("the book is not built: run `make book`")
    return browse.HTML


@pytest.mark.parametrize("name", [*browse.pages(), "search.html", "genindex.html"])
def test_no_dead_link(html: Path, name: str) -> None:
    assert dead(html / name) == []


def test_every_chapter_has_its_notebooks(html: Path) -> None:
    chapters = [name for name in browse.pages() if (browse.ROOT / name).with_suffix(".ipynb").is_file()]
    for name in chapters:
        notebook = Path(name).with_suffix(".ipynb")
        source = (browse.ROOT / notebook).read_text(encoding="utf8")
        links = read(html / name).targets
        linked = [kind for kind in ("exercises", "solved") if f"../notebooks/{kind}/{notebook.name}" in links]
        assert linked == (["exercises", "solved"] if '"exercise"' in source else ["exercises"])


def test_the_api_page_has_every_public_name(html: Path) -> None:
    assert {f"cwn_lite.{name}" for name in cwn.__all__} <= read(html / "book" / "api.html").anchors


def test_nothing_is_shipped_that_no_page_asks_for(html: Path) -> None:
    assert not [path.name for path in html.rglob("*") if path.suffix in (".map", ".py", ".ttf")]
    assert [path.name for path in html.rglob("*.woff2")] == [math_font.NAME]
    size = sum(path.stat().st_size for path in html.rglob("*") if path.is_file())
    assert size < 6e6 + 2e6 * len(browse.pages())


@pytest.mark.parametrize("target", ["gone.html", "page.html#gone", "#gone", "gone.png", "sub/", "%67one.html"])
def test_planted(tmp_path: Path, target: str) -> None:
    (tmp_path / "page.html").write_text("<p id='here'>x</p>", encoding="utf8")
    page = tmp_path / "index.html"
    page.write_text(
        f'<a href="{target}">x</a><a id="own" href="#own">y</a><a href="page.html#here">z</a>'
        '<a href="https://example.org/gone.html">elsewhere</a><img src="data:image/gif;base64,AAAA">',
        encoding="utf8",
    )
    assert dead(page) == [target]
