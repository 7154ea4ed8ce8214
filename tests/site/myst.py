"""What of MyST stands in a text, as MyST's own parser reads it, and not as the rules that took it out did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import browse
import yaml
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

# Kinds of tokens that the Markdown of notebooks does not have.
OWN = {
    "colon_fence",
    "math_block_label",
    "myst_block_break",
    "myst_line_comment",
    "myst_role",
    "myst_target",
    "substitution_block",
    "substitution_inline",
}


@cache
def parser() -> MarkdownIt:
    """The parser of the book's pages, with the extensions that its configuration turns on."""
    settings = yaml.safe_load((browse.ROOT / "_config.yml").read_text(encoding="utf8"))
    config = MdParserConfig(enable_extensions=settings["parse"]["myst_enable_extensions"])
    return create_md_parser(config, RendererHTML)


def tokens(text: str) -> Iterator[Any]:
    """Yield every token of a text, those inside of lines too."""

    def walk(found: Iterable[Any]) -> Iterator[Any]:
        for token in found:
            yield token
            yield from walk(token.children or ())

    return walk(parser().parse(text))


def leftovers(text: str) -> list[str]:
    """Return what is MyST's own, and links that a notebook elsewhere cannot follow."""
    problems = []
    for token in tokens(text):
        directive = token.type == "fence" and token.info.startswith("{")
        attributes = token.type != "fence" and "class" in token.attrs and not token.type.startswith("math")
        if token.type in OWN or directive or attributes:
            problems.append(f"{token.type}: {token.info or token.content}")
        address = str(token.attrs.get("href", token.attrs.get("src", "https://")))
        if not address.startswith("https://"):
            problems.append(f"{token.type}: {address}")
    return problems
