"""The whole book as one PDF, printed by a browser from the built pages: `make pdf`.

The articles of all pages are put into one, in the order of the table of contents; their names get the page's before
them, so that links between pages become links inside the book. It is printed twice: the first time says on which page
each chapter begins, the second has that in its contents.
"""

from __future__ import annotations

import argparse
import os
import posixpath
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

import yaml

import cwn_lite
import pdf_pages
from chromium import printed
from outward import pages_address

ROOT = Path(__file__).parents[2]
NAME = "book.pdf"
FRONT = "About this book"
_ARTICLE = re.compile(r'<article class="bd-article"[^>]*>(.*)</article>', re.DOTALL)
_HEADING = re.compile(r"<h1>(.*?)</h1>", re.DOTALL)
_AWAY = re.compile(
    r"<(script|noscript)\b.*?</\1>"  # what moves is not moved here
    r'|<a class="headerlink".*?</a>|<ul class="cwn-take".*?</ul>|<p class="cwn-downloads".*?</p>',
    re.DOTALL,
)
_STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)
_NAMED = re.compile(r'\b(id|for|aria-labelledby|aria-describedby|aria-controls)="([^"]+)"')
_PAINT = re.compile(r"url\(#([^)]+)\)")
_LINK = re.compile(r'\bhref="([^"]*)"')
_SOURCE = re.compile(r'\bsrc="(?!data:)([^"]*)"')


@dataclass(frozen=True)
class Chapter:
    """A page of the book.

    Attributes:
        name: its document, such as `book/deriving`.
        part: the part that it opens; empty inside of one.
        title: with its number.
        body: its article.
    """

    name: str
    part: str
    title: str
    body: str

    @property
    def key(self) -> str:
        """What names it inside the book."""
        return key(self.name)


def key(name: str) -> str:
    """Return what names a page inside the book.

    Example:
        >>> key("book/deriving")
        'book-deriving'
    """
    return re.sub(r"\W+", "-", name)


def order(toc: str) -> list[tuple[str, str]]:
    r"""Return the pages of a table of contents, each with the part that it opens, or nothing.

    Example:
        >>> order("root: a\nparts: [{caption: P, chapters: [{file: b}, {file: c}]}]")
        [('a', ''), ('b', 'P'), ('c', '')]
    """
    read = yaml.safe_load(toc)
    found = [(read["root"], "")]
    for part in read["parts"]:
        names = [chapter["file"] for chapter in part["chapters"]]
        found += [(name, part["caption"] if name == names[0] else "") for name in names]
    return found


def article(html: str) -> str:
    """Return what a page says, without what only a screen can do."""
    found = _ARTICLE.search(html)
    if found is None:
        raise ValueError("the page has no article; is this a page of the book?")
    return _AWAY.sub("", found[1])


def heading(body: str) -> str:
    """Return the title of an article as text, with its number."""
    found = _HEADING.search(body)
    return unescape(re.sub(r"<[^>]+>", "", found[1])).strip() if found else ""


def joined(name: str, body: str, pages: Mapping[str, str], address: str) -> str:
    """Return an article whose names and links hold inside the book.

    Args:
        name: of its page.
        body: the article.
        pages: key of every page in the book, by document.
        address: of the site, to which links to what the book does not have lead; without it they are none.

    Example:
        >>> joined("b/x", '<a id="i" href="y.html#j">y</a><a href="../n/x.ipynb">n</a>', {"b/y": "b-y"}, "")
        '<a id="b-x--i" href="#b-y--j">y</a><a>n</a>'
    """
    own = key(name)

    def link(found: re.Match[str]) -> str:
        target = found[1]
        if re.match(r"[a-z][a-z+.-]*:", target):
            return found[0]
        path, _, anchor = target.partition("#")
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else f"{name}.html"
        other = own if not path else pages.get(inside.removesuffix(".html"), "")
        if other:
            return f'href="#{other}{"--" if anchor else ""}{anchor}"'
        return f'href="{address}{inside}"' if address else ""

    def source(found: re.Match[str]) -> str:
        return f'src="{posixpath.normpath(posixpath.join(posixpath.dirname(name), found[1]))}"'

    body = _NAMED.sub(lambda found: f'{found[1]}="{own}--{found[2]}"', body)
    body = _PAINT.sub(lambda found: f"url(#{own}--{found[1]})", body)
    body = _SOURCE.sub(source, _LINK.sub(link, body))
    return re.sub(r"<a\s+>", "<a>", body)


def read(html: Path, toc: str) -> list[Chapter]:
    """Return the chapters of a built site."""
    found = []
    for name, part in order(toc):
        body = article((html / f"{name}.html").read_text(encoding="utf8"))
        found.append(Chapter(name, part, heading(body), body))
    return found


def book(title: str, lead: str, chapters: Sequence[Chapter], numbers: Mapping[str, int], address: str) -> str:
    """Return the book as one page.

    Args:
        title: the book's.
        lead: a sentence about it.
        chapters: what stands in it; the first is the front page.
        numbers: page on which each begins, by key.
        address: of the site, or nothing.
    """
    pages = {chapter.name: chapter.key for chapter in chapters}
    heads = "\n".join(
        f"@page {chapter.key} {{ @top-right {{ content: {css_string(_title(chapter, title))} }} }}"
        for chapter in chapters
    )
    entries = "\n".join(
        (f"<h3>{escape(chapter.part)}</h3>\n" if chapter.part else "")
        + f'<p><a href="#{chapter.key}"><span>{escape(_title(chapter, title))}</span>'
        f"<span>{numbers.get(chapter.key, 0) or ''}</span></a></p>"
        for chapter in chapters
    )
    whole = "\n".join(
        f'<article class="bd-article" id="{chapter.key}" style="page: {chapter.key}">\n'
        f"{joined(chapter.name, chapter.body, pages, address)}\n</article>"
        for chapter in chapters
    )
    styles = "\n".join(dict.fromkeys(_STYLE.findall(whole)))  # each figure brings its own
    where = f'<p>On the web: <a href="{escape(address)}">{escape(address)}</a></p>\n' if address else ""
    return f"""<!doctype html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<title>{escape(title)}</title>
<link rel="stylesheet" href="_static/book.css">
{styles}
<style>
{heads}
{Path(__file__).with_suffix(".css").read_text(encoding="utf8")}
</style>
</head>
<body>
<header class="pdf-cover">
<img src="_static/logo.svg" alt="">
<p class="pdf-title">{escape(title)}</p>
<p>{escape(lead)}</p>
<footer>
<p>cwn_lite {cwn_lite.__version__}</p>
{where}<p>Figures stand still here, at their start, and quizzes keep their answers. Code that pages fold, solutions and
checks are left out: pages and notebooks have them.</p>
<p>Text: <a href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a>. Code: MIT.</p>
</footer>
</header>
<main class="bd-main"><div class="bd-content"><div class="bd-article-container">
<nav class="pdf-contents" id="contents">
<h2>Contents</h2>
{entries}
</nav>
{_STYLE.sub("", whole)}
</div></div></main>
</body>
</html>
"""


def _title(chapter: Chapter, title: str) -> str:
    return FRONT if chapter.title == title else chapter.title


def css_string(text: str) -> str:
    r"""Return text as CSS writes it.

    Example:
        >>> print(css_string('a "b"'))
        "a \"b\""
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def make(html: Path, toc: str, title: str, lead: str, address: str) -> bytes:
    """Return the PDF of a built site; what it writes there to be printed it takes away again."""
    chapters = read(html, toc)
    page = html / "one-page.html"
    numbers: dict[str, int] = {}
    try:
        for _ in range(2):
            page.write_text(book(title, lead, chapters, numbers, address), encoding="utf8")
            pdf = printed(page.resolve().as_uri())
            numbers = pdf_pages.starts(pdf, [chapter.key for chapter in chapters])
    finally:
        page.unlink(missing_ok=True)
    return pdf


def main(arguments: Sequence[str]) -> int:
    """Write the PDF into the built site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("html", type=Path, help="the built site")
    html = parser.parse_args(arguments).html
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))
    toc = (ROOT / "_toc.yml").read_text(encoding="utf8")
    front = (html / f"{order(toc)[0][0]}.html").read_text(encoding="utf8")
    lead = re.search(r'property="og:description" content="([^"]*)"', front)
    address = settings["html"].get("baseurl") or pages_address(os.environ.get("REPOSITORY_URL", ""))
    pdf = make(html, toc, settings["title"], unescape(lead[1]) if lead else "", address)
    (html / NAME).write_bytes(pdf)
    print(f"{html / NAME}: {pdf_pages.count(pdf)} pages, {len(pdf) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
