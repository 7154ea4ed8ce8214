"""What stands at the foot of a page: the library's version, the date of the text, what ran it, and three ways back.

The date is that of the last commit that touched the page's source. It is left out where nothing knows it: outside of
git, in a checkout without its history, and for a page with changes that are not committed. The ways back, to the
source, to an editor and to a report, are there where REPOSITORY_URL names a home.
"""

from __future__ import annotations

import platform
import subprocess
from datetime import date
from html import escape
from pathlib import Path
from typing import Any

import torch
from docutils import nodes
from sphinx.application import Sphinx

import cwn_lite
from origin import Origin


def day(path: Path) -> date | None:
    """Return on which day a file was last committed, nothing where that is not known."""
    shallow = _git(path.parent, "rev-parse", "--is-shallow-repository")
    if shallow != "false" or _git(path.parent, "status", "--porcelain", "--", path.name):
        return None
    committed = _git(path.parent, "log", "-1", "--format=%cs", "--", path.name)
    return date.fromisoformat(committed) if committed else None


def _git(folder: Path, *arguments: str) -> str:
    """What git says, nothing where it fails or is not there."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def foot(path: str, title: str, origin: Origin, changed: date | None) -> str:
    """Return the foot of a page.

    Args:
        path: of its source, from the repository's root; empty for a page that has none, such as the search.
        title: the page's.
        origin: the book's home.
        changed: the day of its last change, if that is known.

    Example:
        >>> foot("", "Search", Origin(), None)
        '<p class="cwn-foot"><span>cwn_lite ...</span></p>'
    """
    parts = [f"cwn_lite {cwn_lite.__version__}"]
    if changed:
        parts.append(f"Text of <time>{changed.isoformat()}</time>")
    if path.endswith(".ipynb"):
        parts.append(f"Run with Python {platform.python_version()}, PyTorch {torch.__version__}")
    body = f"Page: {path}\nCommit: {origin.commit or 'not known'}\n\n"
    ways = [
        (origin.source(path), "Source of this page"),
        (origin.edit(path), "Edit it"),
        (origin.report(f"{title}: ", body), "Report a fault"),
    ]
    parts += [f'<a href="{escape(address)}">{name}</a>' for address, name in ways if path and address]
    return f'<p class="cwn-foot">{" ".join(f"<span>{part}</span>" for part in parts)}</p>'


def add_foot(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Put the foot below what the theme has there."""
    path, title, changed = "", "", None
    if doctree is not None:
        source = Path(app.env.doc2path(page))
        path, title = source.relative_to(app.srcdir).as_posix(), app.env.titles[page].astext()
        changed = day(source)
    written = foot(path, title, Origin.of(app), changed)
    context["theme_extra_footer"] = f"{context.get('theme_extra_footer', '')}\n{written}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("html-page-context", add_foot)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
