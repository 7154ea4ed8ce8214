"""Which page of a PDF a named place is on, read from the file itself: as Chromium writes it, its objects lie open."""

from __future__ import annotations

import re
from collections.abc import Iterable

_OBJECT = re.compile(rb"^(\d+) 0 obj\n(.*?)\nendobj", re.DOTALL | re.MULTILINE)
_REFERENCE = re.compile(rb"(\d+) 0 R")
_PLACE = re.compile(rb"/([\w.-]+) \[(\d+) 0 R /XYZ")


def objects(pdf: bytes) -> dict[int, bytes]:
    """Return the objects of a file, by number."""
    return {int(number): body for number, body in _OBJECT.findall(pdf)}


def pages(found: dict[int, bytes]) -> list[int]:
    """Return which of the objects are the pages, in their order.

    Raises:
        ValueError: there is no catalogue that names them.
    """

    def below(number: int) -> list[int]:
        kids = re.search(rb"/Kids \[(.*?)\]", found[number], re.DOTALL)
        if kids is None:
            return [number]
        return [page for kid in _REFERENCE.findall(kids[1]) for page in below(int(kid))]

    return below(_named(found, b"Pages"))


def _named(found: dict[int, bytes], entry: bytes) -> int:
    """Return the object that an entry of the catalogue names."""
    for body in found.values():
        if body.startswith(b"<</Type /Catalog"):
            place = re.search(rb"/%b (\d+) 0 R" % entry, body)
            if place:
                return int(place[1])
    raise ValueError(f"the file has no catalogue that names its {entry.decode()}; did Chromium write it?")


def places(pdf: bytes) -> dict[str, int]:
    """Return the page of every named place that a link leads to, counted from one."""
    found = objects(pdf)
    order = {page: i for i, page in enumerate(pages(found), 1)}
    return {name.decode(): order[int(page)] for name, page in _PLACE.findall(found[_named(found, b"Dests")])}


def starts(pdf: bytes, names: Iterable[str]) -> dict[str, int]:
    """Return the pages of these places.

    Raises:
        KeyError: one of them is not in the file.
    """
    known = places(pdf)
    return {name: known[name] for name in names}


def count(pdf: bytes) -> int:
    """Return the number of pages."""
    return len(pages(objects(pdf)))
