"""What others show of the site: descriptions, addresses of whoever builds it, lists of its pages."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import browse
import front_door
import outward
import pytest
from docutils import nodes

pytestmark = pytest.mark.site

FRONT = """# Book

{.cwn-lead}
What it is,
in "words".

| [](one.ipynb) | Why & how? | 65 |
| [](two.md) | What then? |  |
"""


def app(folder: Path, address: str = "") -> Any:
    (folder / "book").mkdir()
    (folder / "book" / "index.md").write_text(FRONT, encoding="utf8")
    names = {"book/index": "Book", "book/two": "Two", "book/one": "One", "CHANGELOG": "Changes"}
    titles = {name: nodes.title("", title) for name, title in names.items()}
    config = SimpleNamespace(html_baseurl=address, html_title="Site")
    env = SimpleNamespace(titles=titles, found_docs=set(titles))
    builder = SimpleNamespace(format="html")
    return SimpleNamespace(srcdir=folder, outdir=folder, config=config, env=env, builder=builder)


def described(page: str) -> str:
    found = re.findall(r'<meta name="description" property="og:description" content="([^"]{20,})">', page)
    assert len(found) == 1
    return str(found[0])


def test_every_page_says_what_it_answers() -> None:
    if not (browse.HTML / "book" / "index.html").is_file():
        pytest.skip("the book is not built: run `make book`")
    said = {
        name: described((browse.HTML / name).read_text(encoding="utf8"))
        for name in browse.pages()
        if name != "CHANGELOG.html"
    }
    assert len(set(said.values())) == len(said)
    listed = (browse.HTML / "llms.txt").read_text(encoding="utf8")
    assert all(f"({name})" in listed for name in browse.pages()) and "> How to train deep networks" in listed


def test_the_front_page_describes_all() -> None:
    assert outward.descriptions(FRONT) == {
        "book/one": "Why & how?",
        "book/two": "What then?",
        "book/index": 'What it is, in "words".',
    }


@pytest.mark.parametrize(
    ("repository", "address"),
    [
        ("https://github.com/Teacher/fork", "https://teacher.github.io/fork/"),
        ("https://github.com/teacher/fork.git", "https://teacher.github.io/fork/"),
        ("https://git.example.org/teacher/fork", ""),
        ("https://github.com/teacher", ""),
        ("", ""),
    ],
)
def test_the_address_is_that_of_whoever_builds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, repository: str, address: str
) -> None:
    monkeypatch.setenv("REPOSITORY_URL", repository)
    built = app(tmp_path)
    outward.take_address(built, built.config)
    context: dict[str, Any] = {"metatags": "<meta>"}
    outward.add_tags(built, "book/one", "page.html", context, nodes.document(None, None))  # type: ignore[arg-type]
    outward.write_lists(built, None)
    assert context["metatags"].startswith("<meta>\n") and 'content="Why &amp; how?"' in context["metatags"]
    assert (f'<meta property="og:url" content="{address}book/one.html">' in context["metatags"]) == bool(address)
    listed = (tmp_path / "llms.txt").read_text(encoding="utf8")
    assert listed.splitlines()[:3] == ["# Site", "", '> What it is, in "words".']
    pages = ["book/index", "book/one", "book/two", "CHANGELOG"]
    assert re.findall(r"\]\((.*?)\)", listed) == [f"{address}{page}.html" for page in pages]
    assert (tmp_path / "sitemap.xml").exists() == bool(address)
    if address:
        places = [place.text for place in ET.parse(tmp_path / "sitemap.xml").iter() if place.tag.endswith("loc")]
        assert places == [f"{address}{page}.html" for page in pages]


def test_the_bare_address_shows_what_the_front_page_does() -> None:
    front = '<meta charset="utf-8"><meta property="og:image" content="a"><meta name="twitter:card" content="b">'
    page = front_door.door(front_door.DOOR.read_text(encoding="utf8"), front)
    assert page.count("<meta charset") == 1 and 'url=book/index.html">' in page
    assert page.index('og:image" content="a"') < page.index('twitter:card" content="b"') < page.index("</head>")
    if (browse.HTML / "index.html").is_file():
        address, inside = (
            described((browse.HTML / name).read_text(encoding="utf8")) for name in ("index.html", "book/index.html")
        )
        assert address == inside


def test_pages_outside_the_book_are_left_alone(tmp_path: Path) -> None:
    context: dict[str, Any] = {}
    outward.add_tags(app(tmp_path), "search", "search.html", context, None)
    assert context == {}
