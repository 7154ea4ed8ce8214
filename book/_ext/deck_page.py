"""Slides as one HTML file: style, script, figures, formulas and their font inside, so that it opens anywhere.

Without scripts the slides follow each other; the script shows one at a time. It is the book's own and knows a few keys.
"""

from __future__ import annotations

import base64
import html
import re
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

import formulas
import math_font
from chapter_links import LINK
from cwn_lite.figures.text import inline
from deck import Shown, Slide

HERE = Path(__file__).parent
PALETTE = HERE.parent / "assets" / "palette.css"
SIZES = {"short": 33, "long": 45}
"""Signs up to which a formula is written in a size; in a third one beyond."""
RELATIONS = "=+−<>≤≥≈×⟺→"
"""Signs with space around them."""
MANY = 6
"""Lines of a table beyond which it is written smaller."""
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;)\w+;")
_QUOTED = re.compile(r"\{paper\}`(?P<number>[^`<]+?)\s*<[^`>]+>`")
"""A number of the paper in a point; what is printed is the number."""
_TAG = re.compile(r"\s*\\tag\{(?P<number>[^{}]*)\}")
_HEADING = re.compile(r"<(/?)h[1-6]>")
_IMAGE = re.compile(r'<img [^>]*alt="([^"]*)"[^>]*>')
_SVG = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
_CAPTION = re.compile(r"<figcaption>(.*?)</figcaption>", re.DOTALL)


def page(slides: list[Slide], *, book: str, number: str, question: str, minutes: int, font: bool = True) -> str:
    """Return a deck.

    Args:
        slides: the first has the chapter's title.
        book: its title.
        number: of the chapter.
        question: that it answers.
        minutes: that the whole takes.
        font: whether the formulas' font is put in; without it the reader's own serves.
    """
    names: dict[str, int] = {}
    ends = [*(slide.starts for slide in slides[1:]), minutes]
    sections = [
        _section(slide, _name(slide.title, names), end, minutes, head=_head(number, question, minutes, len(slides)))
        if at == 0
        else _section(slide, _name(slide.title, names), end, minutes)
        for at, (slide, end) in enumerate(zip(slides, ends, strict=True))
    ]
    body = "\n".join(sections)
    style = PALETTE.read_text(encoding="utf8") + (HERE / "deck.css").read_text(encoding="utf8")
    if font and (used := math_font.characters(body)):
        data = base64.b64encode(math_font.cut(used)).decode()
        source = f"url(data:font/woff2;base64,{data}) format('woff2')"
        style = f'@font-face {{ font-family: "STIX Two Math"; src: {source}; }}\n{style}'
    title = html.escape(f"{_plain(slides[0].title)}: slides, {book}")
    script = (HERE / "deck.js").read_text(encoding="utf8")
    return (
        '<!DOCTYPE html>\n<html lang="en" data-theme="auto">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{title}</title>\n<link rel="icon" href="data:,">\n<style>\n{style}</style>\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def marked(text: str) -> str:
    r"""Return a note's Markdown as HTML; its headings are those of a level below the slide's.

    Example:
        >>> marked("## So\n\n*a* < b")
        '<h3>So</h3>\n<p><em>a</em> &lt; b</p>\n'
    """
    return _IMAGE.sub(r"(\1)", _HEADING.sub(r"<\1h3>", _parser().render(text)))


def marked_line(text: str) -> str:
    """Return one line of Markdown as HTML."""
    return str(_parser().renderInline(_QUOTED.sub(r"\g<number>", text))).strip()


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    return parser.use(dollarmath_plugin, renderer=_math, allow_labels=False, double_inline=True)


def _math(tex: str, options: dict[str, bool]) -> str:
    number = _TAG.search(tex)
    made = formulas.to_mathml(_TAG.sub("", tex).strip(), display=options["display_mode"])
    return made + (f' <span class="eqno">({number["number"]})</span>' if number else "")


def _section(slide: Slide, name: str, end: int, minutes: int, head: str = "") -> str:
    level = "h1" if head else "h2"
    points = "".join(f"<li>{marked_line(point)}</li>" for point in slide.points)
    shown = KINDS[slide.shown.kind](slide.shown) if slide.shown else ""
    kind = "opening" if head else f"with-{slide.shown.kind}" if slide.shown else "plain"
    when = f"From minute {slide.starts} to {end} of {minutes}." if end > slide.starts else f"Minute {end} of {minutes}."
    face = [
        f'<{level} id="{name}-title">{marked_line(slide.title)}</{level}>',
        head,
        f"<ul>{points}</ul>" if points else "",
        f'<div class="shown">{shown}</div>' if shown else "",
    ]
    heading = marked_line(slide.title)
    return (
        f'<section id="{name}" class="{kind}" aria-labelledby="{name}-title">\n'
        f'<div class="face">{"".join(face)}</div>\n'
        f'<details class="notes"><summary>Speaker notes<span class="unseen">: {heading}</span></summary>\n'
        f'<div class="said"><p class="when">{when}</p>\n{marked(slide.notes)}</div></details>\n</section>'
    )


def _head(number: str, question: str, minutes: int, count: int) -> str:
    chapter = f"Chapter {number}" if number else "Slides"
    return (
        f'<p class="question">{marked_line(question)}</p>'
        f'<p class="about">{chapter}, {count} slides for about {minutes} minutes. '
        "Text and figures: CC BY 4.0. Code: MIT.</p>"
    )


def _formula(shown: Shown) -> str:
    made = formulas.to_mathml(shown.source.rstrip(" .,;\\").rstrip(), display=True)
    width = signs(ET.fromstring(_ENTITY.sub(lambda entity: html.unescape(entity[0]), made)))
    size = next((name for name, most in SIZES.items() if width <= most), "longest")
    number = f'<span class="eqno">({shown.label})</span>' if shown.label else ""
    return f'<div class="formula {size}">{made}{number}</div>'


def signs(element: ET.Element) -> float:
    r"""Return about how many signs of text size a formula is wide.

    Example:
        >>> signs(ET.fromstring(formulas.to_mathml(r"\frac{a + b}{c}")))
        3.6
    """
    tag = element.tag.rpartition("}")[2]
    parts = [signs(child) for child in element]
    if tag == "annotation":
        return 0.0
    if tag in ("mfrac", "munder", "mover", "munderover", "mtable"):
        return max(parts, default=0.0)
    if tag in ("msub", "msup", "msubsup"):
        return parts[0] + 0.7 * max(parts[1:])
    if tag == "mspace":
        return 2 * float(re.sub(r"[^\d.]", "", element.get("width", "")) or 0)
    text = element.text or ""
    return sum(parts) + (1.6 if tag == "mo" and text in RELATIONS else 1.0) * len(text)


def _figure(shown: Shown) -> str:
    """A drawing with its caption; one that can be played with brings its live form, which the script opens."""
    drawn, caption = _SVG.search(shown.source), _CAPTION.search(shown.source)
    foot = f"<figcaption>{_linkless(formulas.typeset(caption[1]))}</figcaption>" if caption else ""
    still = drawn[0] if drawn else f"<p>{html.escape(shown.label)}</p>"
    live = ""
    if 'class="explorable"' in shown.source:
        live = f'<template class="live">{_SVG.sub("", _linkless(formulas.typeset(shown.source)))}</template>'
    return f"<figure>{still}{foot}</figure>{live}"


def _question(shown: Shown) -> str:
    choices = "".join(f"<li>{_small(choice['text'])}</li>" for choice in shown.source["choices"])
    return f"<p>{_small(shown.source['prompt'])}</p><ol>{choices}</ol>"


def _exercises(shown: Shown) -> str:
    items = "".join(
        f"<li>{marked_line(title)}{f' <small>{kind}</small>' if kind else ''}</li>" for title, kind in shown.source
    )
    return f"<ol>{items}</ol>"


def _code(shown: Shown) -> str:
    return f"<pre>{highlight(shown.source, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip()}</pre>"


def _markdown(shown: Shown) -> str:
    """A table or text; a long table is written smaller."""
    lines = sum(line.startswith("|") for line in shown.source.splitlines())
    made = marked(shown.source)
    return made.replace("<table>", '<table class="many">') if lines > MANY else made


KINDS: dict[str, Callable[[Shown], str]] = {
    "formula": _formula,
    "html": _figure,
    "markdown": _markdown,
    "text": lambda shown: f"<pre>{html.escape(shown.source)}</pre>",
    "code": _code,
    "question": _question,
    "exercises": _exercises,
}


def _small(text: str) -> str:
    """Text of quizzes and captions, which knows less Markdown."""
    return _linkless(formulas.typeset(inline(text)))


def _linkless(text: str) -> str:
    """Links between chapters would lead nowhere in a file that is alone."""
    return re.sub(rf"{LINK.pattern}(.*?)</a>", r"\2", text, flags=re.DOTALL)


def _name(title: str, taken: dict[str, int]) -> str:
    """The name of a slide in addresses: its title, numbered where it comes again."""
    bare = unicodedata.normalize("NFKD", _plain(title)).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", bare).strip("-") or "slide"
    taken[name] = taken.get(name, 0) + 1
    return name if taken[name] == 1 else f"{name}-{taken[name]}"


def _plain(text: str) -> str:
    return re.sub(r"[$\\{}*`]", "", text)
