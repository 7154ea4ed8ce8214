"""The font of the formulas: STIX Two Math, cut down to the characters that the built pages use.

It comes out of the installed `ziamath` package, whose font is under the SIL Open Font License; the licence and the
authors stay in the file's own fields. Whole it has 1.5 MB, of this book's characters some 50 kB.
"""

from __future__ import annotations

import html
import io
import re
import unicodedata
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

NAME = "stix-two-math.woff2"
FEATURES = ("ssty", "dtls", "flac", "ccmp")
"""Of OpenType: forms for scripts, for letters below accents, composition."""
RADICAL = 1.08
"""Width of the larger radical signs, in widths of the smallest."""
_FORMULA = re.compile(r"<math\b.*?</math>", re.DOTALL)
_SLANTED = {
    unicodedata.normalize("NFKC", chr(code)): chr(code)
    for code in range(0x1D400, 0x1D800)
    if unicodedata.name(chr(code), "").startswith("MATHEMATICAL ITALIC")
} | {"h": "ℎ"}


def font_file() -> Path:
    """Return the whole font.

    Raises:
        ExtensionError: the package that has it is not installed.
    """
    spec = find_spec("ziamath")
    path = Path(spec.origin).parent / "fonts" / "STIXTwoMath-Regular.ttf" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise ExtensionError("The font of the formulas is missing: pip install ziamath (requirements.txt has it)")
    return path


def characters(page: str) -> set[str]:
    """Return the characters in a page's formulas, and those that a browser adds: slanted letters, radical signs.

    Example:
        >>> sorted(characters("<p>no</p><math><msqrt><mi>x</mi></msqrt><annotation>y</annotation></math>"))
        ['x', '√', '𝑥']
    """
    formulas = "".join(_FORMULA.findall(page))
    formulas = re.sub(r"<annotation.*?</annotation>", "", formulas, flags=re.DOTALL)
    plain = set(html.unescape(re.sub(r"<[^>]+>", "", formulas)))
    slanted = {_SLANTED[character] for character in plain if character in _SLANTED}
    return plain | slanted | ({"√"} if re.search(r"<m(?:sqrt|root)\b", formulas) else set())


def radicals(font: TTFont) -> list[str]:
    """Return the glyphs of the radical sign, the smallest first, then what the largest are built of."""
    radical = font.getBestCmap().get(ord("√"))
    if radical is None:
        return []
    variants = font["MATH"].table.MathVariants
    sizes = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(radical)]
    names = [record.VariantGlyph for record in sizes.MathGlyphVariantRecord]
    return list(dict.fromkeys([radical, *names, *(part.glyph for part in sizes.GlyphAssembly.PartRecords)]))


def narrow_radicals(font: TTFont) -> None:
    """Make every size of the radical sign about as wide as the smallest.

    Chromium keeps room for the widest size behind every root, however small it is: 0.4 em after the root of c.
    """
    smallest, *larger = radicals(font) or [""]
    widths, outlines = font["hmtx"], font["glyf"]
    for name in larger:
        advance, bearing = widths[name]
        width = round(widths[smallest][0] * RADICAL)
        outlines[name].coordinates.scale((width / advance, 1))
        outlines[name].coordinates.toInt()
        outlines[name].recalcBounds(outlines)
        widths[name] = width, round(bearing * width / advance)


def cut(wanted: Iterable[str]) -> bytes:
    """Return the font with these characters and what they stretch into, as WOFF2."""
    options = subset.Options(
        flavor="woff2", layout_features=list(FEATURES), hinting=False, name_IDs=["*"], recalc_timestamp=False
    )
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=sorted(map(ord, wanted)))
    stream = io.BytesIO()
    with subset.load_font(str(font_file()), options) as font:
        cutter.subset(font)
        narrow_radicals(font)
        subset.save_font(font, stream, options)
    return stream.getvalue()


def write_font(app: Sphinx, error: Exception | None) -> None:
    """Write the font that the pages need beside their style sheets."""
    if error is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    used = [characters(page.read_text(encoding="utf8")) for page in sorted(out.rglob("*.html"))]
    (out / "_static" / NAME).write_bytes(cut(set().union(*used)))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("build-finished", write_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
