"""Every link, reference and citation inside the book leads somewhere."""

from pathlib import Path

import pytest
from bookcheck.links import check, citation_keys
from bookcheck.pages import BOOK, all_paths, from_markdown, load


@pytest.mark.parametrize("path", all_paths(), ids=lambda path: path.name)
def test_book(path: Path) -> None:
    assert check(load(path), path.parent) == []


GOOD = """(here)=
# A heading of its own

$$ x $$ (eq:planted:x)

```{exercise} Title
:label: ex-planted
```

[page](errata.md), [part](errata.md#errata-table4), [own](#a-heading-of-its-own), [site](https://example.org/x),
{ref}`here`, {ref}`text <here>`, {eq}`eq:planted:x`, {doc}`errata`, {doc}`text <references>`,
{cite}`ikami2021,he2015`, {cite:t}`he2015`, {ref}`ex-planted`, [](here), `[code](nowhere.md)`
"""


def test_good() -> None:
    assert check(from_markdown(GOOD), BOOK, frozenset()) == []


@pytest.mark.parametrize(
    "bad",
    [
        "[a](nowhere.md)",
        "![an image](nowhere.svg)",
        "[a](errata.md#nowhere)",
        "[a](#nowhere)",
        "{ref}`nowhere`",
        "{ref}`text <nowhere>`",
        "{eq}`eq:planted:nowhere`",
        "{doc}`nowhere`",
        "{cite}`nobody1900`",
        "{cite:p}`ikami2021, nobody1900`",
    ],
)
def test_bad(bad: str) -> None:
    assert len(check(from_markdown(bad), BOOK, frozenset())) == 1


def test_the_bibliography_is_read() -> None:
    assert {"ikami2021", "qiao2019"} <= citation_keys() and len(citation_keys()) > 30
