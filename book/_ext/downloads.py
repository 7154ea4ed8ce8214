"""The book to take along: the site packed into one file, and links on the front page to what there is to take.

The packed pages open from a folder, without a server or a network. The links appear once the files have been made, so
that none leads nowhere; packed pages have none, because the files are not packed.
"""

from __future__ import annotations

import argparse
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import yaml

import cwn_lite

ROOT = Path(__file__).parents[2]
FILES = {
    "book.pdf": "The book as one PDF",
    "book.zip": "Download the whole book (works without a network)",
}
"""File at the site's root -> what the link to it says."""
NOT_PACKED = (
    "_sources",
    "_static/cards",
    "404.html",
    "llms.txt",
    "sitemap.xml",
    "objects.inv",
    ".nojekyll",
    ".buildinfo",
)
"""What only a server or another program asks for."""
DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can say: the same pages make the same file."""
_PLACE = re.compile(r"<!-- downloads -->.*?<!-- /downloads -->", re.DOTALL)


def links(front: str, sizes: dict[str, int]) -> str:
    """Return the front page with links to these files instead of those that it had.

    Args:
        front: the page, which marks the place by a pair of comments.
        sizes: bytes of each file that there is.

    Raises:
        ValueError: the page marks no place.

    Example:
        >>> print(links("<!-- downloads --><!-- /downloads -->", {"book.pdf": 1_260_000}))
        <!-- downloads --><p ...><a href="../book.pdf">The book as one PDF</a> (1.3 MB)</p><!-- /downloads -->
    """
    offers = [f'<a href="../{name}">{escape(FILES[name])}</a> ({size / 1e6:.1f} MB)' for name, size in sizes.items()]
    said = f'<p class="cwn-downloads">{" · ".join(offers)}</p>' if offers else ""
    written, places = _PLACE.subn(f"<!-- downloads -->{said}<!-- /downloads -->", front)
    if places != 1:
        raise ValueError(f"the front page must mark one place for links to downloads, it marks {places}")
    return written


def packed(html: Path) -> Iterator[Path]:
    """Yield the files of a site that a reader needs, in a fixed order."""
    for path in sorted(html.rglob("*"), key=lambda path: path.relative_to(html).as_posix()):
        name = path.relative_to(html).as_posix()
        left_out = name in FILES or any(name == other or name.startswith(f"{other}/") for other in NOT_PACKED)
        if path.is_file() and not left_out:
            yield path


def pack(html: Path, front: str) -> None:
    """Write the site into `book.zip`, in one folder.

    Args:
        html: the built site.
        front: the front page, below it.
    """
    folder = f"cwn_lite-book-{cwn_lite.__version__}"
    with zipfile.ZipFile(html / "book.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in packed(html):
            name = path.relative_to(html).as_posix()
            entry = zipfile.ZipInfo(f"{folder}/{name}", DATE)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            data = path.read_bytes()
            archive.writestr(entry, links(data.decode(), {}).encode() if name == front else data)


def offer(html: Path, front: str) -> None:
    """Let the front page link what lies beside it."""
    page = html / front
    sizes = {name: path.stat().st_size for name in FILES if (path := html / name).is_file()}
    page.write_text(links(page.read_text(encoding="utf8"), sizes), encoding="utf8")


def main(arguments: Sequence[str]) -> int:
    """Pack the site if that is asked for, and link what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("pack", "offer"))
    parser.add_argument("html", type=Path, help="the built site")
    given = parser.parse_args(arguments)
    front = f"{yaml.safe_load((ROOT / '_toc.yml').read_text(encoding='utf8'))['root']}.html"
    if given.command == "pack":
        pack(given.html, front)
    offer(given.html, front)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
