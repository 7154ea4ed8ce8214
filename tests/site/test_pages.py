"""The built pages, as files: the book is there and its front page is not empty."""

from pathlib import Path

import pytest

HTML = Path(__file__).parents[2] / "_build" / "html"

pytestmark = pytest.mark.site


def test_the_front_page_is_built() -> None:
    assert "<h1>" in (HTML / "book" / "index.html").read_text(encoding="utf8"), "run `make book` first"
