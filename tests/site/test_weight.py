"""What a page weighs on a slow line, and how its many files became two."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import browse
import bundles
import pytest

pytestmark = pytest.mark.site

PAGE, SHARED = 120_000, 400_000
"""Bytes, as a server sends them: gzipped."""
SHARED_FILES = (bundles.STYLE, bundles.SCRIPT, "stix-two-math.woff2", "logo.svg", "favicon.svg")


def sent(path: Path) -> int:
    return len(gzip.compress(path.read_bytes(), 9))


@pytest.fixture(scope="module")
def html() -> Path:
    if not (browse.HTML / "book" / "index.html").is_file():
        pytest.skip("the book is not built: run `make book`")
    return browse.HTML


# ---- The built site ----


@pytest.mark.parametrize("name", browse.pages())
def test_a_page_is_light(html: Path, name: str) -> None:
    assert sent(html / name) <= PAGE


def test_what_pages_share_is_light(html: Path) -> None:
    assert sum(sent(html / "_static" / name) for name in SHARED_FILES) <= SHARED


@pytest.mark.parametrize("name", [*browse.pages(), "genindex.html", "search.html"])
def test_a_page_asks_for_the_joined_files_and_the_search_for_its_own(html: Path, name: str) -> None:
    page = (html / name).read_text(encoding="utf8")
    up = "../" * name.count("/")
    styles = re.findall(r'<link rel="stylesheet"[^>]*href="([^"?]+)', page)
    scripts = re.findall(r'<script[^>]*\bsrc="([^"?]+)', page)
    search = [f"{'' if script == 'searchindex.js' else '_static/'}{script}" for script in bundles.SEARCH]
    assert styles == [f"{up}_static/{bundles.STYLE}"]
    assert scripts == [f"{up}_static/{bundles.SCRIPT}", *(search if name == "search.html" else [])]
    assert "const DOCUMENTATION_OPTIONS = {" in page


def test_nothing_that_was_joined_is_left(html: Path) -> None:
    static = html / "_static"
    assert [path.name for path in static.rglob("*.css")] == [bundles.STYLE]
    style = (static / bundles.STYLE).read_text(encoding="utf8")
    linked = re.findall(r"url\(\s*[\"']?(?!data:|#)([^\"')]+)", style)
    assert linked and all((static / target).is_file() for target in linked)
    assert "@import" not in style


def test_in_a_folder_the_search_reads_no_other_page(html: Path) -> None:
    assert 'SHOW_SEARCH_SUMMARY: location.protocol !== "file:",' in (html / "search.html").read_text(encoding="utf8")


def test_names_in_code_cost_no_elements(html: Path) -> None:
    page = (html / "book" / "deriving.html").read_text(encoding="utf8")
    assert '<span class="kn">' in page and '<span class="n">' not in page


# ---- Joining ----

HEAD = """<head><link href="../_static/styles/theme.css?d=1" rel="stylesheet" />
<link rel="stylesheet" type="text/css" href="../_static/own.css?v=2" />
<link rel="preload" as="script" href="../_static/late.js?d=1" />
<link rel="icon" href="../_static/favicon.svg"/>
<script src="../_static/documentation_options.js?v=3"></script>
<script>DOCUMENTATION_OPTIONS.page = 'book/a';</script>
<script defer="defer" src="../_static/late.js?d=1"></script>
<script src="../_static/early.js"></script>
<script src="../_static/searchtools.js"></script>
<script src="../searchindex.js"></script></head>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    files = {
        "_static/styles/theme.css": '@import "../basic.css";a{b:url(x.png)}@font-face{c:url(../vendor/fontawesome/y)}'
        '.fa-a:before{content:"\\f1"}.fa-b:before,.fa-c:before{content:"\\f2"}',
        "_static/basic.css": '@charset "UTF-8";basic{b:url("../z.svg")}',
        "_static/own.css": ".fa-a::before{content:none !important}own{b:url('data:image/png;base64,A') url(#c)}",
        "_static/documentation_options.js": "const DOCUMENTATION_OPTIONS = {};",
        "_static/early.js": '"use strict"; early()',
        "_static/late.js": "late()",
        "_static/searchtools.js": "Search",
        "searchindex.js": "index",
        "book/a.html": HEAD,
        "search.html": HEAD.replace("../", ""),
        "index.html": "<p>elsewhere</p>",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf8")
    app: Any = SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format="html"))
    for _ in range(2):  # the second time there is nothing left to do
        bundles.join_site(app, None)
    return tmp_path


def test_styles_keep_their_order_and_their_pictures(site: Path) -> None:
    assert (site / "_static" / bundles.STYLE).read_text(encoding="utf8") == (
        "basic{b:url(../z.svg)}a{b:url(styles/x.png)}\n"
        ".fa-a::before{content:none !important}own{b:url('data:image/png;base64,A') url(#c)}"
    )


def test_scripts_that_wait_come_last(site: Path) -> None:
    script = (site / "_static" / bundles.SCRIPT).read_text(encoding="utf8")
    assert script.startswith(";") and script.index("early()") < script.index("late()")
    assert "Search" not in script and "DOCUMENTATION" not in script


def test_pages_ask_for_the_two(site: Path) -> None:
    page = (site / "book" / "a.html").read_text(encoding="utf8")
    assert re.findall(r'(?:href|src)="([^"?]+)', page) == [
        "../_static/book.css",
        "../_static/favicon.svg",
        "../_static/book.js",
    ]
    assert page.index("const DOCUMENTATION_OPTIONS") < page.index("DOCUMENTATION_OPTIONS.page")
    search = (site / "search.html").read_text(encoding="utf8")
    assert re.findall(r'<script defer src="([^"?]+)', search) == [
        "_static/book.js",
        "_static/searchtools.js",
        "searchindex.js",
    ]
    assert (site / "index.html").read_text(encoding="utf8") == "<p>elsewhere</p>"
    assert sorted(path.name for path in (site / "_static").rglob("*") if path.is_file()) == [
        "book.css",
        "book.js",
        "searchtools.js",
    ]
