"""What others show of a page before it is opened: its description, Open Graph's tags, a list for language models.

A chapter's description is the question it answers, from the front page's table. Where the environment variable
REPOSITORY_URL names a home on GitHub, its Pages are taken for the site's address: pages then name their own, and there
is a site map. Without it nothing outside is named.
"""

from __future__ import annotations

import os
import re
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

FRONT = "book/index"
_ROW = re.compile(r"^\| \[\]\(([\w-]+)\.\w+\) \| (.+?) \|(?:[ \d]*\|)?$", re.MULTILINE)
_LEAD = re.compile(r"^\{\.cwn-lead\}\n(.+?)\n\n", re.MULTILINE | re.DOTALL)


def descriptions(front: str) -> dict[str, str]:
    """Return what the front page's source says of each page, itself included, by document.

    Example:
        >>> descriptions("| [](start.ipynb) | Where to begin? | 20 |")
        {'book/start': 'Where to begin?'}
    """
    found = {f"book/{name}": text for name, text in _ROW.findall(front)}
    lead = _LEAD.search(front)
    return found | ({FRONT: " ".join(lead[1].split())} if lead else {})


def pages_address(repository: str) -> str:
    """Return where GitHub serves the pages of a repository, or nothing for another host.

    Example:
        >>> pages_address("https://github.com/teacher/fork.git")
        'https://teacher.github.io/fork/'
    """
    home = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?", repository)
    return f"https://{home[1].lower()}.github.io/{home[2]}/" if home else ""


def tags(title: str, site: str, description: str, address: str) -> str:
    """Return a page's `<meta>` elements; what is empty is left out."""
    named = {"og:title": title, "og:site_name": site, "og:type": "article", "og:url": address}
    lines = [f'<meta property="{key}" content="{escape(value)}">' for key, value in named.items() if value]
    if description:
        lines.append(f'<meta name="description" property="og:description" content="{escape(description)}">')
    return "\n".join(lines)


def site_map(addresses: list[str]) -> str:
    """Return the site map of these pages."""
    places = "".join(f"<url><loc>{escape(address)}</loc></url>\n" for address in addresses)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    return f"{head}{places}</urlset>\n"


def list_of_pages(site: str, lead: str, entries: list[tuple[str, str, str]]) -> str:
    """Return the text of `llms.txt`.

    Args:
        site: its title.
        lead: what it is, in a sentence.
        entries: title, address and description of each page.
    """
    lines = [f"- [{title}]({address}){f': {text}' if text else ''}" for title, address, text in entries]
    return f"# {site}\n\n> {lead}\n\n## Pages\n\n" + "\n".join(lines) + "\n"


def take_address(app: Sphinx, config: Config) -> None:
    """Let Sphinx write each page's own address, too."""
    config.html_baseurl = config.html_baseurl or pages_address(os.environ.get("REPOSITORY_URL", ""))


def known(app: Sphinx) -> dict[str, str]:
    """Return the descriptions of the book that is built."""
    front = Path(app.srcdir) / f"{FRONT}.md"
    return descriptions(front.read_text(encoding="utf8")) if front.is_file() else {}


def add_tags(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Describe a page in its head."""
    if doctree is None:
        return
    base = app.config.html_baseurl
    address = f"{base}{page}.html" if base else ""
    written = tags(app.env.titles[page].astext(), app.config.html_title, known(app).get(page, ""), address)
    context["metatags"] = f"{context.get('metatags', '')}\n{written}"


def write_lists(app: Sphinx, error: Exception | None) -> None:
    """Write `llms.txt`, and the site map where the site's address is known."""
    if error is not None or app.builder.format != "html":
        return
    base, said, out = app.config.html_baseurl, known(app), Path(app.outdir)
    order = [name for name in [FRONT, *said] if name in app.env.titles]
    others = sorted(set(app.env.found_docs) - set(order))
    entries = [
        (app.env.titles[name].astext(), f"{base}{name}.html", said.get(name, ""))
        for name in dict.fromkeys([*order, *others])
    ]
    text = list_of_pages(app.config.html_title, said.get(FRONT, ""), entries)
    (out / "llms.txt").write_text(text, encoding="utf8")
    if base:
        (out / "sitemap.xml").write_text(site_map([address for _, address, _ in entries]), encoding="utf8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("config-inited", take_address)
    app.connect("html-page-context", add_tags)
    app.connect("build-finished", write_lists)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
