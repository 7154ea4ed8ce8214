"""Take out of the built pages what the theme writes and this book does not need.

An icon library of 1.5 MB for eight icons (book/assets/page.css draws them), a live-kernel client, source maps,
labels that hide the visible text from a screen reader, and landmarks that are missing. Done on the written files,
because the theme has no setting for any of it.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

# (pattern, replacement), applied to every page in this order.
EDITS = [
    (
        r"\s*<!-- So that users can add custom icons -->\s*<script[^>]*fontawesome\.js[^>]*></script>",
        "",
    ),
    (r"\s*<script[^>]*fontawesome\.js[^>]*></script>", ""),
    (r"\s*<link[^>]*sphinx-thebe\.css[^>]*>", ""),
    (
        r'\s*<script type="text/x-thebe-config">.*?</script>\s*<script>kernelName = .*?</script>',
        "",
    ),
    # The theme's script would change it from "auto", and every element would be styled once more.
    (
        r'dataset\.theme = localStorage\.getItem\("theme"\) \|\| "auto";',
        'dataset.theme = ["light", "dark"].find((mode) => mode === document.documentElement.dataset.mode) ||'
        ' (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");',
    ),
    (r'(<meta name="viewport"[^>]*>)(.*?)<meta name="viewport"[^>]*>', r"\1\2"),
    (r'(<meta name="viewport"[^>]*>)(.*?)<meta name="viewport"[^>]*>', r"\1\2"),
    # A name that differs from the visible words cannot be spoken to.
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    (
        r'(<button class="btn search-button-field[^>]*) title="Search" aria-label="Search"',
        r"\1",
    ),
    # Entries of the bibliography stand in a list, and the role that sphinxcontrib-bibtex gives them is withdrawn.
    (r'role="doc-biblioentry"', 'role="listitem"'),
    # Names, punctuation and spaces of code have the colour of its text: half of a chapter's elements, for nothing.
    (r'<span class="(?:n|nn|p|w)">([^<]*)</span>', r"\1"),
    # Everything visible belongs to a landmark.
    (
        r'<div id="pst-primary-sidebar" class="([^"]*)">',
        r'<div id="pst-primary-sidebar" class="\1" role="complementary" aria-label="Book">',
    ),
]
THEME = "scripts/pydata-sphinx-theme.js"
# It makes wide boxes places that the keyboard reaches: measured and marked one by one, folded ones too, each of which
# the browser lays out for that alone. Here all are measured first, and what is folded when it is opened.
TAB_STOPS = (
    ".forEach(e=>{e.tabIndex=e.scrollWidth>e.clientWidth||e.scrollHeight>e.clientHeight?0:-1})},t=_(e,300);",
    ".forEach((e,n,o)=>{n||[...o].filter(e=>e.checkVisibility())"
    ".map(e=>[e,e.scrollWidth>e.clientWidth||e.scrollHeight>e.clientHeight?0:-1])"
    '.forEach(([e,t])=>{e.tabIndex=t})})},t=_(e,300);document.addEventListener("toggle",t,!0);',
)
UNUSED = (
    "**/*.map",
    "locales",
    "vendor",
    "scripts/fontawesome.js*",
    "sphinx-thebe.*",
    "images/logo_*",
    "webpack-macros.html",
    "sbt-webpack-macros.html",
)


def lean(html: str) -> str:
    """Return a page without what it does not need."""
    for pattern, replacement in EDITS:
        html = re.sub(pattern, replacement, html, count=0, flags=re.DOTALL)
    return html


def steady(script: str) -> str:
    """Return the theme's script, with `TAB_STOPS` replaced.

    Raises:
        ValueError: it has another form by now.
    """
    old, new = TAB_STOPS
    if new not in script and script.count(old) != 1:
        raise ValueError(f"{THEME} marks wide boxes otherwise than it did; does it still need TAB_STOPS?")
    return script.replace(old, new)


def clean_site(app: Sphinx, error: Exception | None) -> None:
    """Rewrite every page and delete the files that no page asks for."""
    if error is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    for page in out.rglob("*.html"):
        page.write_text(lean(page.read_text(encoding="utf8")), encoding="utf8")
    theme = out / "_static" / THEME
    if theme.is_file():  # joined with the others already, where nothing is new
        theme.write_text(steady(theme.read_text(encoding="utf8")), encoding="utf8")
    for pattern in UNUSED:
        for path in list((out / "_static").glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension; it works last."""
    app.connect("build-finished", clean_site, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
