"""The site as one file: complete without the network, the same each time, and linked where it is."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import browse
import downloads
import pytest
from playwright.sync_api import Browser
from test_links import dead

pytestmark = pytest.mark.site

FRONT = "book/index.html"
MARK = "<p>a</p><!-- downloads --><!-- /downloads --><p>b</p>"


@pytest.fixture(scope="module")
def built() -> Path:
    if not (browse.HTML / FRONT).is_file():
        pytest.skip("the book is not built: run `make book`")
    return browse.HTML


@pytest.fixture
def site(tmp_path: Path) -> Path:
    files = {
        FRONT: MARK,
        "book/a.html": "a",
        "_static/book.css": "c",
        "_sources/book/a.md": "s",
        "_static/cards/a.png": "p",
        "404.html": "4",
        "book.pdf": "pdf",
        "book.zip": "old",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf8")
    return tmp_path


def test_the_packed_site_is_what_a_reader_needs_and_always_the_same(site: Path) -> None:
    downloads.pack(site, FRONT)
    first = (site / "book.zip").read_bytes()
    downloads.offer(site, FRONT)  # packed pages have no links to what is not packed
    os.utime(site / "book/a.html", (1e9, 1e9))
    downloads.pack(site, FRONT)
    assert (site / "book.zip").read_bytes() == first
    with zipfile.ZipFile(site / "book.zip") as archive:
        names = archive.namelist()
        assert [name.partition("/")[2] for name in names] == ["_static/book.css", "book/a.html", FRONT]
        assert archive.read(names[2]).decode() == MARK


def test_the_front_page_links_what_there_is(site: Path) -> None:
    for names in (["book.pdf", "book.zip"], ["book.zip"], []):
        for name in set(downloads.FILES) - set(names):
            (site / name).unlink(missing_ok=True)
        downloads.offer(site, FRONT)
        page = (site / FRONT).read_text(encoding="utf8")
        assert re.findall(r'href="\.\./([^"]+)"', page) == names
    assert page == MARK


@pytest.mark.parametrize("front", ["no place", MARK + MARK])
def test_a_page_without_one_place_for_links_is_refused(front: str) -> None:
    with pytest.raises(ValueError, match="must mark one place"):
        downloads.links(front, {})


def test_the_built_front_page_has_the_links_and_no_other(built: Path) -> None:
    linked = set(re.findall(r'href="\.\./(book\.\w+)"', (built / FRONT).read_text(encoding="utf8")))
    assert linked == {name for name in downloads.FILES if (built / name).is_file()}


def test_the_packed_book_works_from_a_folder(running: Browser, built: Path, tmp_path: Path) -> None:
    for path in downloads.packed(built):
        copy = tmp_path / path.relative_to(built)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf8") if path.name == "index.html" and path.parent.name == "book" else ""
        copy.write_bytes(downloads.links(text, {}).encode() if text else path.read_bytes())
    for name in [*browse.pages(), "search.html", "index.html"]:
        assert dead(tmp_path / name) == [], name
    own = tmp_path.as_uri()
    for name, there in ((FRONT, ".bd-article h1"), ("search.html?q=projection", "#search-results li a")):
        with browse.opened(running, f"{own}/{name}", own) as (page, visit):
            page.locator(there).first.wait_for()
            assert visit.problems() == []
