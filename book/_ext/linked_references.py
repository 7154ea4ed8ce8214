"""The style of the bibliography: pybtex's plain one, in which a long address is shown as the name of its host."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pybtex.plugin import register_plugin
from pybtex.richtext import HRef
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.template import FieldIsMissing, Node, node
from sphinx.application import Sphinx

NAME = "linked"


@node
def link(children: list[Any], context: dict[str, Any]) -> HRef:
    """Return a link to the address of an entry."""
    address = context["entry"].fields.get("url")
    if not address:
        raise FieldIsMissing("url", context["entry"])
    return HRef(address, urlsplit(address).netloc.removeprefix("www."))


class LinkedStyle(PlainStyle):
    """Plain, with short links."""

    def format_url(self, e: object) -> Node:
        """Return the link of an entry that has an address."""
        return link()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the style."""
    register_plugin("pybtex.style.formatting", NAME, LinkedStyle)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
