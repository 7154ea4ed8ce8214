"""The site's bare address leads to the front page, and shows others what the front page would.

Who shares the address shares this page: programs that look at it follow no redirect, so it has the front page's tags.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOOR = ROOT / "book" / "assets" / "front-door.html"
_TAG = re.compile(r'<meta (?:property="og:|name="(?:description|twitter:))[^>]*>')
_REFRESH = re.compile(r'<meta http-equiv="refresh" content="0; url=([^"]+)">')


def door(page: str, front: str) -> str:
    r"""Return the page at the bare address, with the tags of the front page.

    Example:
        >>> door("<head>\n</head>", '<head><meta property="og:title" content="T"><meta charset="utf-8"></head>')
        '<head>\n<meta property="og:title" content="T">\n</head>'
    """
    tags = "".join(f"{tag}\n" for tag in _TAG.findall(front))
    return page.replace("</head>", f"{tags}</head>", 1)


def main(arguments: Sequence[str]) -> int:
    """Write the page into a built site."""
    (html,) = map(Path, arguments)
    page = DOOR.read_text(encoding="utf8")
    leads = _REFRESH.search(page)
    if leads is None:
        raise ValueError(f"{DOOR.name} leads nowhere")
    front = (html / leads[1]).read_text(encoding="utf8")
    (html / "index.html").write_text(door(page, front), encoding="utf8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
