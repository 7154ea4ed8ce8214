"""The page for an address at which there is none: GitHub Pages shows `404.html` for all of them, however deep.

A browser resolves the page's links against the address that was asked for, so they start at the site's root wherever
its address is known. Otherwise they are relative, and right where the page itself is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sphinx.application import Sphinx

from chapter_numbers import chapter_number

PAGE = "404"
TITLE = "There is no page here"
_RELATIVE = re.compile(r'\b(href|src|action|data-content_root)="(?![a-z][a-z+.-]*:|//|/|#)(?:\./)?([^"]*)"')


def body(front: str, chapters: list[tuple[str, str, str]]) -> str:
    """Return what the page says.

    Args:
        front: address of the front page.
        chapters: number, title and address of each.
    """
    items = "".join(
        f'<li><a class="reference internal" href="{escape(address)}">{number}. {escape(title)}</a></li>\n'
        for number, title, address in chapters
    )
    return f"""<section id="{PAGE}">
<h1>{TITLE}</h1>
<p>Nothing lies at the address that you asked for. The page may have been renamed, or the link that led you here has a
slip. The book <a class="reference internal" href="{escape(front)}">starts here</a>; a word may find what you were
after:</p>
<form class="cwn-find" role="search" action="search.html" method="get">
<label>Search the book <input type="search" name="q" autocomplete="off" spellcheck="false"></label>
<button type="submit">Search</button>
</form>
<h2>The chapters</h2>
<ul class="cwn-chapters">
{items}</ul>
</section>"""


def rooted(html: str, base: str) -> str:
    """Return a page whose relative links start at the site's root.

    Args:
        html: a page that lies at the root.
        base: the root's path, such as `/fork/`.

    Example:
        >>> rooted('<a href="book/x.html">x</a> <a href="#y">y</a>', "/fork/")
        '<a href="/fork/book/x.html">x</a> <a href="#y">y</a>'
    """
    return _RELATIVE.sub(lambda found: f'{found[1]}="{base}{found[2]}"', html)


def add_page(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the page to Sphinx."""
    env, root = app.env, app.config.root_doc
    order = [name for parent in (root,) for name in env.toctree_includes.get(parent, [])]
    chapters = [(chapter_number(env, name), env.titles[name].astext(), f"{name}.html") for name in order]
    said = body(f"{root}.html", [chapter for chapter in chapters if chapter[0]])
    yield PAGE, {"title": TITLE, "body": said, "metatags": '<meta name="robots" content="noindex">'}, "page.html"


def root_links(app: Sphinx, error: Exception | None) -> None:
    """Let the written page's links start at the root, if it is known."""
    page = Path(app.outdir) / f"{PAGE}.html"
    if error is not None or app.builder.format != "html" or not app.config.html_baseurl:
        return
    base = urlsplit(app.config.html_baseurl).path.rstrip("/") + "/"
    page.write_text(rooted(page.read_text(encoding="utf8"), base), encoding="utf8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension; it works after the files were joined."""
    app.connect("html-collect-pages", add_page)
    app.connect("build-finished", root_links, priority=960)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
