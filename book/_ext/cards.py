"""A picture of each page for those who share its address: number, title, the question it answers, the book's name.

Open Graph asks for absolute addresses, so pictures are drawn where the site's address is known, and only there.
"""

from __future__ import annotations

import io
import textwrap
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Arc, Circle
from PIL import Image
from sphinx.application import Sphinx

import outward
from chapter_numbers import chapter_number

WIDTH, HEIGHT = 1200, 630
"""Pixels, as Open Graph's readers crop them."""
PAPER, INK, MUTED, ACCENT = "#fdfcfa", "#1b222c", "#57606c", "#0b5a7d"
"""The book's own, from palette.css."""
BLUE, ORANGE = "#2f83ad", "#d55e00"
"""The logo's."""
COLOURS = 64
FOLDER = "_static/cards"
LEFT, MEASURE = 72, 800
"""Where the text stands, in pixels."""


def lines(text: str, size: float, most: int) -> list[str]:
    """Return text in at most so many lines of the card's measure, the last with an ellipsis if it is longer."""
    columns = round(MEASURE / (size * 0.58))
    return textwrap.wrap(text, columns, max_lines=most, placeholder=" …", break_long_words=False)


def card(site: str, number: str, title: str, question: str) -> bytes:
    """Return a picture as a PNG, the same bytes each time.

    Args:
        site: the book's name.
        number: of the chapter; empty for another page.
        title: of the page.
        question: what it answers; may be empty.
    """
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor=PAPER)
    canvas = FigureCanvasAgg(figure)
    page = figure.add_axes((0, 0, 1, 1))
    page.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    page.set_axis_off()

    def write(text: str, top: float, size: float, color: str, weight: str = "normal") -> None:
        font = FontProperties(family="DejaVu Sans", size=size * 0.72, weight=weight)
        page.text(LEFT, top, text, color=color, va="top", fontproperties=font, parse_math=False)

    if site != title:
        write(site, 60, 28, MUTED)
    top = 150.0
    if number:
        write(f"Chapter {number}", top, 30, ACCENT, "bold")
        top += 56
    heading = lines(title, 58, 3)
    for line in heading:
        write(line, top, 58, INK, "bold")
        top += 72
    for line in lines(question, 32, 6 - len(heading)):
        write(line, top + 22, 32, MUTED)
        top += 44
    _sphere(page)
    canvas.draw()
    drawn = Image.frombytes("RGBA", (WIDTH, HEIGHT), bytes(canvas.buffer_rgba())).convert("RGB").quantize(COLOURS)
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _sphere(page: Any) -> None:
    """The logo: the sphere, where a plane cuts it, and a row on both."""
    x, y, radius = 1020, 440, 130
    page.add_patch(Circle((x, y), radius, facecolor=BLUE + "24", edgecolor=BLUE, linewidth=8))
    for start, dashes in ((180, "-"), (0, (0, (0.1, 2)))):  # the half behind is dotted
        page.add_patch(
            Arc(
                (x, y),
                2 * radius,
                0.7 * radius,
                angle=-20,
                theta1=180 - start,
                theta2=360 - start,
                edgecolor=BLUE,
                linewidth=8,
                linestyle=dashes,
                capstyle="round",
            )
        )
    page.plot([x + 68], [y + 14], "o", color=ORANGE, markersize=44)
    page.plot([0, WIDTH], [HEIGHT - 5, HEIGHT - 5], color=ACCENT, linewidth=9)


def place(page: str) -> str:
    """Return where the picture of a page lies below the site's root.

    Example:
        >>> place("book/start")
        '_static/cards/book-start.png'
    """
    return f"{FOLDER}/{page.replace('/', '-')}.png"


def words(app: Sphinx, page: str) -> tuple[str, str, str, str]:
    """Return the book's name, a page's number, title and question."""
    question = outward.known(app).get(page, "")
    return app.config.html_title, chapter_number(app.env, page), app.env.titles[page].astext(), question


def tags(base: str, page: str, words: tuple[str, str, str, str]) -> str:
    """Return the `<meta>` elements that name the picture; its text alternative is what is written on it."""
    site, number, title, question = words
    said = ". ".join(text for text in (site, f"Chapter {number}: {title}" if number else title, question) if text)
    named = {
        "og:image": f"{base}{place(page)}",
        "og:image:type": "image/png",
        "og:image:width": WIDTH,
        "og:image:height": HEIGHT,
        "og:image:alt": said,
    }
    lines = [f'<meta property="{key}" content="{escape(str(value))}">' for key, value in named.items()]
    return "\n".join([*lines, '<meta name="twitter:card" content="summary_large_image">'])


def add_tags(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Name a page's picture in its head, if the site's address is known."""
    if doctree is not None and app.config.html_baseurl:
        written = tags(app.config.html_baseurl, page, words(app, page))
        context["metatags"] = f"{context.get('metatags', '')}\n{written}"


def draw_all(app: Sphinx, error: Exception | None) -> None:
    """Draw the pictures that the pages name."""
    if error is not None or app.builder.format != "html" or not app.config.html_baseurl:
        return
    for page in sorted(app.env.found_docs):
        path = Path(app.outdir) / place(page)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(card(*words(app, page)))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("html-page-context", add_tags)
    app.connect("build-finished", draw_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
