"""The book as one PDF, printed here from two of its pages and the front page: whole, linked, and text all through."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import browse
import one_pdf
import pdf_pages
import pdf_text
import pytest
import yaml

pytestmark = pytest.mark.site

TOC = "root: book/index\nparts: [{caption: Method, chapters: [{file: book/verdict}, {file: book/notation}]}]"
TITLE = "Networks without activation normalization"
RAW_TEX = re.compile(r"\\(?:frac|sqrt|mathbf|lVert|begin|sum|alpha)|\$\$|\\\(")


@dataclass(frozen=True)
class Printed:
    """A PDF, and what it was made of."""

    pdf: bytes
    chapters: list[one_pdf.Chapter]
    pages: list[str]


@pytest.fixture(scope="module")
def printed() -> Printed:
    if not (browse.HTML / "book" / "index.html").is_file():
        pytest.skip("the book is not built: run `make book`")
    if browse.executable() is None:
        pytest.skip("no browser on this machine")
    pdf = one_pdf.make(browse.HTML, TOC, TITLE, "What it is.", "")
    assert not (browse.HTML / "one-page.html").exists()
    return Printed(pdf, one_pdf.read(browse.HTML, TOC), pdf_text.texts(pdf))


def plain(text: str) -> str:
    return re.sub(r"\s", "", text)


def test_every_chapter_begins_on_its_page_with_its_title(printed: Printed) -> None:
    starts = pdf_pages.starts(printed.pdf, [chapter.key for chapter in printed.chapters])
    assert [chapter.name for chapter in printed.chapters] == ["book/index", "book/verdict", "book/notation"]
    assert list(starts.values()) == sorted(set(starts.values()))  # in order, each on a page of its own
    for chapter in printed.chapters:
        assert plain(chapter.title) in plain(printed.pages[starts[chapter.key] - 1])
    assert printed.chapters[1].title.startswith("17. ") and printed.chapters[1].part == "Method"


def test_the_contents_say_on_which_page(printed: Printed) -> None:
    starts = pdf_pages.starts(printed.pdf, [chapter.key for chapter in printed.chapters])
    contents = plain(printed.pages[1])
    wanted = [f"{one_pdf.FRONT}{starts['book-index']}", *(f"{c.title}{starts[c.key]}" for c in printed.chapters[1:])]
    assert all(plain(entry) in contents for entry in wanted) and "Method" in contents.title()


def test_pages_are_numbered_and_named(printed: Printed) -> None:
    assert pdf_pages.count(printed.pdf) == len(printed.pages) > len(printed.chapters) + 1
    start = pdf_pages.starts(printed.pdf, ["book-notation"])["book-notation"]
    for number, text in enumerate(printed.pages[start - 1 :], start):
        assert text.startswith(f"Notation{number}")  # the margin's boxes come first
    assert TITLE in printed.pages[0].replace("without", "without ").replace("  ", " ")


def test_it_is_text_in_fonts_that_it_brings(printed: Printed) -> None:
    assert pdf_text.not_embedded(printed.pdf) == []
    text = "\n".join(printed.pages)
    assert RAW_TEX.search(text) is None
    assert "‖" in text and "Constrained Weight Optimization" in text
    assert text.count("\ufffd") < len(text) / 1000  # tall brackets alone have no letter


def test_links_lead_inside_the_book_or_to_the_web_and_never_to_this_machine(printed: Printed) -> None:
    linked = set(re.findall(rb"/Dest /([\w.-]+)", printed.pdf))
    assert linked and {name.decode() for name in linked} <= set(pdf_pages.places(printed.pdf))
    outside = re.findall(rb"/URI \((.*?)\)", printed.pdf)
    assert outside and all(address.startswith(b"https://") for address in outside)
    assert b"/Outlines" in printed.pdf and b"/Marked true" in printed.pdf


def test_what_only_a_screen_can_do_is_left_out(printed: Printed) -> None:
    text = "\n".join(printed.pages)
    assert "Search the book" not in text and "Clear my answers" not in text


def test_the_whole_book_is_what_the_contents_of_the_site_list() -> None:
    toc = (browse.ROOT / "_toc.yml").read_text(encoding="utf8")
    found = one_pdf.order(toc)
    assert [f"{name}.html" for name, _ in found] == browse.pages()
    assert [part for _, part in found if part] == [part["caption"] for part in yaml.safe_load(toc)["parts"]]
    assert len({one_pdf.key(name) for name, _ in found}) == len(found)
    if (browse.HTML / one_pdf.NAME).is_file():
        starts = pdf_pages.places((browse.HTML / one_pdf.NAME).read_bytes())
        assert {one_pdf.key(name) for name, _ in found} <= set(starts)


# ---- Putting pages together ----

PAGES = {"book/a": "book-a", "book/b": "book-b", "C": "C"}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ('<p id="x">', '<p id="book-a--x">'),
        ('<a href="#x">', '<a href="#book-a--x">'),
        ('<a class="r" href="b.html#eq-1">', '<a class="r" href="#book-b--eq-1">'),
        ('<a href="b.html">', '<a href="#book-b">'),
        ('<a href="../C.html">', '<a href="#C">'),
        ('<a href="../notebooks/a.ipynb" download="a">', '<a href="https://s.org/notebooks/a.ipynb" download="a">'),
        ('<a href="https://example.org/#y">', '<a href="https://example.org/#y">'),
        (
            '<use href="#m"/><g clip-path="url(#p)">',
            '<use href="#book-a--m"/><g clip-path="url(#book-a--p)">',
        ),
        ('<img src="../_static/l.svg">', '<img src="_static/l.svg">'),
        ('<img src="data:image/png;base64,A">', '<img src="data:image/png;base64,A">'),
    ],
)
def test_names_and_links_of_a_page_hold_inside_the_book(given: str, wanted: str) -> None:
    assert one_pdf.joined("book/a", given, PAGES, "https://s.org/") == wanted


def test_without_an_address_what_the_book_lacks_is_no_link() -> None:
    assert one_pdf.joined("book/a", '<a href="../notebooks/a.ipynb">n</a>', PAGES, "") == "<a>n</a>"


def test_scripts_and_buttons_of_a_page_stay_behind() -> None:
    page = (
        '<article class="bd-article"><h1>1. T<a class="headerlink" href="#t">#</a></h1><ul class="cwn-take">t</ul>'
        "<script>s</script><noscript>n</noscript><p>text</p></article><footer>f</footer>"
    )
    body = one_pdf.article(page)
    assert body == "<h1>1. T</h1><p>text</p>" and one_pdf.heading(body) == "1. T"
    with pytest.raises(ValueError, match="no article"):
        one_pdf.article("<main>elsewhere</main>")


def test_a_machine_without_a_browser_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no browser on this machine"):
        one_pdf.printed("about:blank")
