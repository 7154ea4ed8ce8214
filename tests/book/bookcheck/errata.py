"""The entries of the errata page: what each prints, displays and is tested by."""

import re
from dataclasses import dataclass
from functools import cache

from bookcheck.pages import BOOK

ENTRY = re.compile(
    r"^\((?P<slug>errata-[\w-]+)\)=\n### (?P<title>.+?)\n(?P<body>.*?)(?=^\(errata-|^## |\Z)", re.DOTALL | re.MULTILINE
)
FIELD = re.compile(
    r"^\*\*(?P<name>[A-Z]\w+)\.\*\*[ ]?(?P<text>.*?)(?=^\*\*[A-Z]\w+\.\*\*|\Z)", re.DOTALL | re.MULTILINE
)
INLINE = re.compile(r"(?<!\$)\$(?!\$)(.+?)\$", re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """One erratum."""

    slug: str
    title: str
    fields: dict[str, str]

    @property
    def kind(self) -> str:
        return next((name for name in ("Error", "Gap", "Claim") if name in self.fields), "")

    @property
    def printed(self) -> list[str]:
        """The formulas quoted from the paper."""
        return INLINE.findall(self.fields["Printed"])

    @property
    def tests(self) -> list[str]:
        return re.findall(r"`([\w/.]+::\w+)`", self.fields.get("Test", ""))


@cache
def entries() -> dict[str, Entry]:
    """Return the entries by slug, in the order of the page."""
    text = (BOOK / "errata.md").read_text(encoding="utf-8")
    return {
        match["slug"]: Entry(
            match["slug"], match["title"], {field["name"]: field["text"] for field in FIELD.finditer(match["body"])}
        )
        for match in ENTRY.finditer(text)
    }
