"""Every entry of the bibliography leads to the work itself: by DOI, arXiv number or address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pybtex.database import Entry, parse_file, parse_string

BIBLIOGRAPHY = Path(__file__).parents[2] / "book" / "references.bib"
WITHOUT = {"fisher1935": "a book from before there were identifiers, and its publisher is no more"}
"""Entry -> why it leads nowhere."""
FORMS = {"doi": r"10\.\d{4,9}/\S+", "eprint": r"\d{4}\.\d{4,5}", "url": r"https://[^\s/]+/\S*"}
ENTRIES = parse_file(str(BIBLIOGRAPHY)).entries


def problems(entry: Entry) -> list[str]:
    """Return what keeps a reader of the entry from the work."""
    given = {name: entry.fields[name] for name in FORMS if name in entry.fields}
    found = [f"{name} is malformed: {text}" for name, text in given.items() if not re.fullmatch(FORMS[name], text)]
    others = {name: text for name, text in entry.fields.items() if name not in FORMS}
    found += [f"{name} names an address that is no link: {text}" for name, text in others.items() if "arXiv" in text]
    return found if given else [*found, "leads nowhere"]


@pytest.mark.parametrize("key", sorted(ENTRIES))
def test_an_entry_leads_to_the_work(key: str) -> None:
    assert problems(ENTRIES[key]) == (["leads nowhere"] if key in WITHOUT else [])


def test_no_two_entries_are_one_work() -> None:
    places = [entry.fields[name] for entry in ENTRIES.values() for name in FORMS if name in entry.fields]
    assert len(places) == len(set(places))


def test_an_exception_is_an_entry() -> None:
    assert set(WITHOUT) <= set(ENTRIES) and all(len(reason) > 20 for reason in WITHOUT.values())


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("title = {A}", "leads nowhere"),
        ("title = {A}, note = {arXiv:1234.56789}", "no link"),
        ("title = {A}, doi = {https://doi.org/10.1000/1}", "doi is malformed"),
        ("title = {A}, eprint = {arXiv:1234.56789}", "eprint is malformed"),
        ("title = {A}, url = {http://example.org/a}", "url is malformed"),
    ],
)
def test_planted(fields: str, found: str) -> None:
    (entry,) = parse_string(f"@misc{{a, {fields}}}", "bibtex").entries.values()
    assert any(found in problem for problem in problems(entry))
