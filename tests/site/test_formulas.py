"""Formulas: TeX becomes MathML or the build fails, the font has every character, numbers and links are whole."""

from __future__ import annotations

import html
import io
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import browse
import formulas
import math_font
import mathml
import pytest
from docutils import nodes
from fontTools.ttLib import TTFont

pytestmark = pytest.mark.site

MATH = re.compile(r"<math\b.*?</math>", re.DOTALL)
NOT_PROSE = re.compile(r"<(script|style|pre|code|math)\b.*?</\1>", re.DOTALL)
RAW_TEX = re.compile(r"\\[A-Za-z({\[]|\$[^\s$][^$\n]*\$")
NUMBER = re.compile(
    r'<div class="math[^"]*" id="([^"]+)">\s*<span class="eqno">\(([\d.]+)\)<a class="headerlink" href="#([^"]+)"'
)
LINK = re.compile(r'href="([^"#]*)#(equation-[^"]+)">(.*?)</a>')


def words(page: str) -> str:
    """Return what a reader sees of HTML; an annotation is not seen."""
    seen = re.sub(r"<annotation\b.*?</annotation>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", seen))


def strays(page: str) -> list[str]:
    """Return what is left of TeX inside a page's formulas, and whole formulas of it in the text."""
    inside = [formula for formula in MATH.findall(page) if re.search(r"[\\&$]|^\s*$", words(formula))]
    return inside + [found[0] for found in RAW_TEX.finditer(words(NOT_PROSE.sub("", page)))]


@cache
def built() -> dict[str, str]:
    if not (browse.HTML / "book" / "index.html").is_file():
        pytest.skip("the book is not built: run `make book`")
    return {name: (browse.HTML / name).read_text(encoding="utf8") for name in [*browse.pages(), "genindex.html"]}


# ---- The built pages ----


def test_no_tex_is_left() -> None:
    assert {name: found for name, page in built().items() if (found := strays(page))} == {}


def test_the_formulas_are_many_and_keep_their_source() -> None:
    found = [formula for page in built().values() for formula in MATH.findall(page)]
    assert len(found) > 1000
    assert all(formula.count('<annotation encoding="application/x-tex">') == 1 for formula in found)


def test_equations_have_their_numbers_and_links_say_them() -> None:
    numbers = {(name, place): number for name, page in built().items() for place, number, _ in NUMBER.findall(page)}
    assert len(numbers) > 150
    for name, page in built().items():
        assert page.count('class="eqno"') == len(NUMBER.findall(page)) == len({n for _, n, _ in NUMBER.findall(page)})
        assert all(place == own for place, _, own in NUMBER.findall(page))
        for path, place, text in LINK.findall(page):
            if "headerlink" not in text and text != "#":
                target = str((Path("/") / name).parent.joinpath(path).resolve()).lstrip("/") if path else name
                assert words(text) == f"({numbers[target, place]})", (name, path, place)


def test_the_font_has_every_character() -> None:
    used = set().union(*(math_font.characters(page) for page in built().values()))
    font = TTFont(browse.HTML / "_static" / math_font.NAME)
    variants = {mark for table in font["cmap"].tables if table.format == 14 for mark in table.uvsDict}
    assert {"√", "𝑥", "𝛼", "ℝ"} <= used
    assert {
        character for character in used if ord(character) not in font.getBestCmap() | dict.fromkeys(variants)
    } == set()
    assert "MATH" in font and "Open Font License" in font["name"].getDebugName(13)


@pytest.mark.parametrize(
    "fault",
    [
        r"<math><mi>\alpha</mi></math>",
        "<math><mi>a</mi><mo>&amp;</mo></math>",
        "<math></math>",
        r"<p>see \(x\)</p>",
        r"<p>\alpha</p>",
        "<p>so $x^2$ is</p>",
    ],
)
def test_left_tex_is_seen(fault: str) -> None:
    fine = r"<p>5 $ or 6 $</p><code>\n $x$</code><math><mi>a</mi><annotation>\alpha &amp; b</annotation></math>"
    assert strays(fine) == []
    assert len(strays(fine + fault)) == 1


# ---- What writes them ----


def test_lines_are_aligned_also_inside_one_another() -> None:
    outer = formulas.to_mathml("\\begin{split}a &= b \\\\ c &= d\\end{split}".replace("split", "aligned"), display=True)
    bare = formulas.to_mathml("a &= b \\\\ c &= d", display=True)
    nested = formulas.to_mathml("x = \\begin{cases} a & b \\\\ c & d \\end{cases} \\\\ y", display=True)
    assert outer == bare and bare.count("<mtr>") == 2 and nested.count("<mtable") == 2
    assert formulas.to_mathml("a\n\nb", display=True).count("<mtr>") == 2
    assert not any(strays(page) for page in (outer, bare, nested))


@pytest.mark.parametrize("tex", ["a & b", r"\frac{a}", r"\unheardof x", r"\left( x", "a^b^c"])
def test_a_formula_that_cannot_be_read_is_named(tex: str) -> None:
    with pytest.raises(formulas.FormulaError, match=re.escape(repr(tex))):
        formulas.to_mathml(tex)


def test_what_figures_write_is_typeset() -> None:
    page = '<p>\\(y\\) <span class="math notranslate nohighlight">\\(a&lt;b\\)</span></p>'
    written = formulas.typeset(page)
    assert written.startswith('<p>\\(y\\) <span class="math notranslate nohighlight"><math>') and "&lt;</mo>" in written
    assert "\\(a" not in written and formulas.typeset(written) == written


@pytest.mark.parametrize("label", [None, "eq:here"])
def test_a_display_has_a_box_that_can_scroll(label: str | None) -> None:
    writer: Any = SimpleNamespace(
        body=[], builder=SimpleNamespace(config=SimpleNamespace(math_numfig=False, numfig=False))
    )
    writer.starttag = lambda node, tag, suffix, CLASS: f'<{tag} class="{CLASS}">'
    writer.add_permalink_ref = lambda node, title: writer.body.append("<a>#</a>")
    node = nodes.math_block("", "a = b", number=7 if label else None)
    with pytest.raises(nodes.SkipNode):
        mathml.visit_display(writer, node)
    whole = "".join(writer.body)
    assert ('<span class="eqno">(7)<a>#</a></span>' in whole) == bool(label)
    assert '<div class="cwn-formula"><math display="block">' in whole and whole.endswith("</math></div></div>\n")


def test_a_bad_formula_is_a_warning_and_stays_readable(caplog: pytest.LogCaptureFixture) -> None:
    writer = SimpleNamespace(encode=html.escape)
    with caplog.at_level("WARNING", logger="sphinx.mathml"):
        written = mathml.written(cast(Any, writer), nodes.math("", r"a & \oops"), display=False)
    assert written == r"<code>a &amp; \oops</code>"


def test_radical_signs_are_about_as_wide_as_the_smallest() -> None:
    with TTFont(math_font.font_file()) as whole, TTFont(io.BytesIO(math_font.cut({"√", "x"}))) as font:
        before, after = ([f["hmtx"][name][0] for name in math_font.radicals(f)] for f in (whole, font))
    assert len(before) == len(after) > 4
    assert before[0] == after[0] and max(after) < 1.1 * after[0]
    assert max(before) > 1.4 * before[0], "the font is as it should be: nothing needs to be narrowed"
