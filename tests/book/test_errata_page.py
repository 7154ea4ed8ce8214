"""The errata page itself: each entry is complete, and the tests that it names exist."""

import ast
import re

import pytest
from bookcheck.errata import Entry, entries
from bookcheck.pages import ROOT

FIELDS = ["Printed", "Right", "Why", "Effect", "Test"]


@pytest.mark.parametrize("entry", entries().values(), ids=lambda entry: entry.slug)
def test_entry(entry: Entry) -> None:
    assert entry.kind, "say what it is: Error, Gap or Claim"
    if entry.slug != "errata-protocol":  # a list
        assert list(entry.fields) == [entry.kind, *FIELDS]
    assert entry.tests, "name a test"
    for name in entry.tests:
        file, function = name.split("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, name


def test_the_page_is_read_whole() -> None:
    text = (ROOT / "book" / "errata.md").read_text(encoding="utf-8")
    assert len(entries()) == len(re.findall(r"^### ", text, re.MULTILINE)) > 15


def test_the_overview_lists_every_entry() -> None:
    text = (ROOT / "book" / "errata.md").read_text(encoding="utf-8")
    grades = set(re.findall(r"^\| \*\*((?:a|the) \w+)\*\* \|", text, re.MULTILINE))
    listed = re.findall(r"^\| \[(.+?)\]\((errata-[\w-]+)\) \| (\w+) \| ([\w ]+) \|$", text, re.MULTILINE)
    assert [row[:3] for row in listed] == [
        (entry.title, entry.slug, entry.kind.lower()) for entry in entries().values()
    ]
    assert {row[3] for row in listed} == grades and len(grades) == 3, "each grade is explained, and used"


def test_entries_that_hang_on_accents_say_so() -> None:
    for slug in ("errata-ws-gradient", "errata-ws-step"):
        assert "accent" in entries()[slug].fields["Why"]
