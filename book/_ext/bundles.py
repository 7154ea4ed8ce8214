"""One style sheet and one script for all pages, instead of the thirty files of the theme and its extensions.

The order within each stays. The script is deferred, so that text is drawn before it runs; what a search needs, its
index above all, is left to the search page. Done last, on the written pages, because Sphinx joins no files.
"""

from __future__ import annotations

import posixpath
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from sphinx.application import Sphinx

STATIC = "_static"
STYLE, SCRIPT = "book.css", "book.js"
SEARCH = ("searchtools.js", "language_data.js", "searchindex.js")
SETTINGS = "documentation_options.js"
"""So small that it stands in the page: inline scripts go on from it, before a deferred script could run."""
_STYLE = re.compile(r'\s*<link\b(?=[^>]*\brel="stylesheet")[^>]*\bhref="([^"]+)"[^>]*>')
_SCRIPT = re.compile(r'\s*<script\b([^>]*)\bsrc="([^"]+)"[^>]*></script>')
_PRELOAD = re.compile(r'\s*<link rel="preload" as="script"[^>]*>')
_IMPORT = re.compile(r"@import\s+(?:url\()?[\"']?([^\"')]+)[\"']?\)?;")
_URL = re.compile(r"url\(\s*([\"']?)(?!data:|#|\w+:|/)([^\"')]+)\1\s*\)")
# An icon font that is not served, and its two thousand icons; assets/page.css draws the eight that are used.
_ICON_FONT = re.compile(r"@font-face\s*\{[^}]*vendor/fontawesome[^}]*\}")
_ICONS = re.compile(r'(?:\.fa-[\w-]+:before,?)+\{content:"\\[^{}]*\}')


def named(page: str, reference: str) -> str:
    """Return which file of the site a page means, as a path below its root.

    Example:
        >>> named("book/index.html", "../_static/page.css?v=1")
        '_static/page.css'
    """
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), reference.partition("?")[0]))


def wanted(page: str, html: str) -> tuple[list[str], list[str]]:
    """Return the style sheets and the scripts of a page, those that wait for its end last; without the search's."""
    styles = [named(page, href) for href in _STYLE.findall(html)]
    scripts = [(named(page, src), "defer" in attributes) for attributes, src in _SCRIPT.findall(html)]
    kept = [(name, waits) for name, waits in scripts if posixpath.basename(name) not in (*SEARCH, SETTINGS)]
    return styles, [name for name, _ in sorted(kept, key=lambda script: script[1])]


def one_style(root: Path, names: Iterable[str]) -> str:
    """Return style sheets as one that lies in the static folder, with what they import."""
    return "\n".join(_sheet(root, name) for name in names)


def _sheet(root: Path, name: str) -> str:
    text = (root / name).read_text(encoding="utf8").removeprefix('@charset "UTF-8";')
    text = _ICONS.sub("", _ICON_FONT.sub("", text))
    text = _URL.sub(lambda url: f"url({posixpath.relpath(named(name, url[2]), STATIC)})", text)
    return _IMPORT.sub(lambda other: _sheet(root, named(name, other[1])), text)


def one_script(root: Path, names: Iterable[str]) -> str:
    """Return scripts as one; the first line keeps the strict mode of one file from the others."""
    return ";\n" + "".join(f"{(root / name).read_text(encoding='utf8')}\n;\n" for name in names)


def joined(page: str, html: str, settings: str, versions: tuple[str, str]) -> str:
    """Return a page that asks for the two joined files.

    Args:
        page: its path below the site's root.
        html: the page.
        settings: text of `SETTINGS`.
        versions: of the style sheet and of the script, so that a browser does not keep an old one.
    """
    up = "../" * page.count("/") + STATIC
    style = f'\n<link rel="stylesheet" href="{up}/{STYLE}?v={versions[0]}">'
    script = f'\n<script defer src="{up}/{SCRIPT}?v={versions[1]}"></script>'
    seen: set[str] = set()

    def once(text: str) -> str:
        first = text not in seen
        seen.add(text)
        return text if first else ""

    def replace(found: re.Match[str]) -> str:
        name = posixpath.basename(named(page, found[2]))
        if name == SETTINGS:
            return f"\n<script>{settings}</script>{once(script)}"
        if name in SEARCH:
            return f'\n<script defer src="{found[2]}"></script>' if page == "search.html" else ""
        return once(script)

    html = _STYLE.sub(lambda _: once(style), _PRELOAD.sub("", html))
    return _SCRIPT.sub(replace, html)


def quiet_in_a_folder(settings: str) -> str:
    """Return settings by which the search shows excerpts where it can: from a folder browsers read no other page.

    Example:
        >>> quiet_in_a_folder("SHOW_SEARCH_SUMMARY: true,")
        'SHOW_SEARCH_SUMMARY: location.protocol !== "file:",'
    """
    return settings.replace("SHOW_SEARCH_SUMMARY: true", 'SHOW_SEARCH_SUMMARY: location.protocol !== "file:"')


def join_site(app: Sphinx, error: Exception | None) -> None:
    """Join the files, point every page at them and delete the parts."""
    if error is not None or app.builder.format != "html":
        return
    root = Path(app.outdir)
    pages = {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf8") for path in sorted(root.rglob("*.html"))
    }
    # A page without settings has no part of the theme: the redirect at the front, or a page joined before.
    pages = {page: html for page, html in pages.items() if SETTINGS in html}
    lists = [wanted(page, html) for page, html in pages.items()]
    styles, scripts = (list(dict.fromkeys(name for each in lists for name in each[kind])) for kind in (0, 1))
    if not pages:
        return
    texts = one_style(root, styles), one_script(root, scripts)
    settings = quiet_in_a_folder((root / STATIC / SETTINGS).read_text(encoding="utf8"))
    versions = tuple(f"{zlib.crc32(text.encode()):08x}" for text in texts)
    for page, html in pages.items():
        (root / page).write_text(joined(page, html, settings, (versions[0], versions[1])), encoding="utf8")
    for name in (*styles, *scripts, f"{STATIC}/basic.css", f"{STATIC}/{SETTINGS}"):
        (root / name).unlink(missing_ok=True)
    for name, text in zip((STYLE, SCRIPT), texts, strict=True):
        (root / STATIC / name).write_text(text, encoding="utf8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension; it works after all that change the pages."""
    app.connect("build-finished", join_site, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
