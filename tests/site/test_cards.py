"""The pictures that others show of a page: small, always the same, and named where the site's address is known."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import browse
import cards
import outward
import pytest
from docutils import nodes
from PIL import Image

pytestmark = pytest.mark.site

SITE = "Networks without activation normalization"
ADDRESS = "https://teacher.github.io/fork/"
FRONT = "{.cwn-lead}\nWhat it is.\n\n| [](one.ipynb) | Why & how? | 65 |\n"
LONG = "A title of a chapter that says all that can be said and then goes on to say some more of it " * 3
DOCUMENT: Any = nodes.document(None, None)  # type: ignore[arg-type]


def app(folder: Path, address: str) -> Any:
    (folder / "book").mkdir()
    (folder / "book" / "index.md").write_text(FRONT, encoding="utf8")
    names = {"book/index": SITE, "book/one": "One <br>"}
    env = SimpleNamespace(
        titles={name: nodes.title("", title) for name, title in names.items()},
        found_docs=set(names),
        toc_secnumbers={"book/one": {"": (3,)}},
    )
    config = SimpleNamespace(html_baseurl=address, html_title=SITE)
    return SimpleNamespace(srcdir=folder, outdir=folder, config=config, env=env, builder=SimpleNamespace(format="html"))


@pytest.mark.parametrize(
    ("number", "title", "question"), [("3", "One", "Why?"), ("", SITE, ""), ("17", LONG, LONG), ("1", "$x$ & _y_", "%")]
)
def test_a_card_is_small_and_always_the_same(number: str, title: str, question: str) -> None:
    drawn = cards.card(SITE, number, title, question)
    assert drawn == cards.card(SITE, number, title, question)
    assert len(drawn) < 60_000
    picture = Image.open(io.BytesIO(drawn))
    assert (picture.format, picture.size, picture.info) == ("PNG", (1200, 630), {})
    paper = picture.convert("RGB").getpixel((2, 2))
    edge = picture.convert("RGB").crop((0, 602, 890, 612))  # under the text, above the line at the foot
    assert edge.getcolors() == [(8900, paper)], "the text is longer than its picture"


def test_cards_differ_by_what_is_written() -> None:
    whole = ("3", "One", "Why?")
    others = [("4", *whole[1:]), ("3", "Two", "Why?"), (*whole[:2], "How?")]
    assert cards.card(SITE, *whole) not in [cards.card(SITE, *other) for other in others]


@pytest.mark.parametrize("address", [ADDRESS, ""])
def test_a_page_names_its_picture_where_the_address_is_known(tmp_path: Path, address: str) -> None:
    built = app(tmp_path, address)
    context: dict[str, Any] = {"metatags": "<meta>"}
    cards.add_tags(built, "book/one", "page.html", context, DOCUMENT)
    cards.draw_all(built, None)
    named = dict(re.findall(r'<meta (?:property|name)="([\w:]+)" content="([^"]*)">', context["metatags"]))
    if not address:
        assert named == {} and not (tmp_path / "_static").exists()
        return
    assert named["og:image"] == f"{ADDRESS}_static/cards/book-one.png"
    assert named["og:image:alt"] == f"{SITE}. Chapter 3: One &lt;br&gt;. Why &amp; how?"
    assert (named["og:image:width"], named["og:image:height"]) == ("1200", "630")
    drawn = (tmp_path / named["og:image"].removeprefix(ADDRESS)).read_bytes()
    assert drawn == cards.card(SITE, "3", "One <br>", "Why & how?")


def test_pages_outside_the_book_have_none(tmp_path: Path) -> None:
    context: dict[str, Any] = {}
    cards.add_tags(app(tmp_path, ADDRESS), "search", "search.html", context, None)
    assert context == {}


def test_a_card_of_every_page_of_the_book_holds_its_words() -> None:
    front = (browse.ROOT / "book" / "index.md").read_text(encoding="utf8")
    for name, question in outward.descriptions(front).items():
        assert len(cards.lines(question, 32, 4)) <= 4
        assert not any(line.endswith("…") for line in cards.lines(question, 32, 4)), f"{name}: {question}"
