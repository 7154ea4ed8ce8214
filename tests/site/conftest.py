"""The browser and the server, started once for each file: two at a time in one process would clash."""

from __future__ import annotations

from collections.abc import Iterator

import browse
import pytest
from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    if browse.executable() is None:
        pytest.skip(f"no browser on this machine (looked for {', '.join(browse.BROWSERS)})")
    with browse.browser() as running:
        yield running


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    if not (browse.HTML / "book" / "index.html").is_file():
        pytest.skip("the book is not built: run `make book`")
    with browse.served(browse.HTML) as address:
        yield address
