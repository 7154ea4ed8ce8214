"""A matplotlib figure as SVG inside the page, so that its ink is the page's ink."""

import hashlib
import html
import io
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

from cwn_lite.figures.style import INK
from cwn_lite.figures.text import check_alt, inline

_REFERENCE = re.compile(r'(?:xlink:href="#|url\(#)([^")]+)')
_ID = re.compile(r' id="([^"]*)"')
_PLACE = re.compile(r' (?:d|x|y|width|height)="[^"]*"|translate\([^)]*\)')
_LONG = re.compile(r"\d+\.\d{3,}")


def show(fig: Figure, *, alt: str, caption: str = "") -> None:
    r"""Display ``fig`` as inlined SVG with a text alternative, and close it.

    Inlined as HTML and not as an image, because only then does ``currentColor`` mean the colour of the page's text.

    Args:
        fig: the figure; closed afterwards.
        alt: what it shows, in words; at least 20 characters.
        caption: a line under it; may hold ``$math$`` and ``\`code\```.

    Raises:
        ValueError: ``alt`` is missing or too short.
    """
    alt = check_alt(alt)
    foot = f"<figcaption>{inline(caption)}</figcaption>" if caption else ""
    page = f'<figure class="cwn-figure" style="margin:1.5rem 0">{to_svg(fig, alt=alt)}{foot}</figure>'
    display({"text/html": page, "text/plain": alt}, raw=True)


def to_svg(fig: Figure, *, alt: str) -> str:
    """Return ``fig`` as one ``<svg>`` element, the same bytes each time, and close it.

    Text becomes paths, `INK` and black become ``currentColor``, the background is transparent, and identifiers carry
    a hash of the content, so that many of them can stand in one page.

    Args:
        fig: the figure; closed afterwards.
        alt: what it shows, in words; at least 20 characters.

    Raises:
        ValueError: ``alt`` is missing or too short.

    Example:
        >>> fig, ax = plt.subplots()
        >>> _ = ax.plot([0, 1], [0, 1])
        >>> to_svg(fig, alt="A straight line that rises from 0 to 1.")[:24]
        '<svg role="img" aria-lab'
    """
    alt = check_alt(alt)
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "cwn_lite"}):
        fig.savefig(buffer, format="svg", transparent=True)
    plt.close(fig)
    return _inlined(buffer.getvalue(), alt)


def _inlined(svg: str, alt: str) -> str:
    """Make matplotlib's document an element that can share a page with others."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*</defs>\s*|\n\s+(?=<)", "", svg)
    svg = _PLACE.sub(lambda place: _LONG.sub(lambda n: f"{float(n[0]):.2f}", place[0]), svg)  # of a point: enough
    # Only what is pointed at keeps an identifier; matplotlib names every group.
    prefix = "f" + hashlib.sha256((svg + alt).encode()).hexdigest()[:8]
    names = {name: f"{prefix}-{i}" for i, name in enumerate(dict.fromkeys(_REFERENCE.findall(svg)))}
    svg = _ID.sub(lambda m: f' id="{names[m[1]]}"' if m[1] in names else "", svg)
    svg = _REFERENCE.sub(lambda m: m[0][: -len(m[1])] + names[m[1]], svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(rf"{INK}|#000000|(?<=[ :])black(?=[;\"])", "currentColor", svg)
    head, body = svg.split(">", 1)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', head)
    assert box is not None  # matplotlib always writes one
    width = round(float(box[1]) * 4 / 3)  # points to CSS pixels
    style = f"width:100%;max-width:{width}px;height:auto;display:block;margin:0 auto"
    style += ";stroke-linejoin:round;stroke-linecap:butt"
    return (
        f'<svg role="img" aria-label="{html.escape(alt)}" {box[0]} fill="currentColor" style="{style}"'
        f' xmlns="http://www.w3.org/2000/svg">{body}'
    )
