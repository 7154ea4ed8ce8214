r"""TeX formulas as MathML, which browsers draw by themselves: a page needs no script to be read.

`math-core` writes the subset that all browsers share (MathML Core). The TeX stays inside as an annotation, for copying.
"""

from __future__ import annotations

import html
import re

from math_core import LatexError, LatexToMathML

_CONVERTER = LatexToMathML(annotation=True, fancy_error=False)
_ENVIRONMENT = re.compile(r"\\begin\{(\w+\*?)\}(?:(?!\\begin\{).)*?\\end\{\1\}", re.DOTALL)
_WRITTEN = re.compile(r'(<span class="math notranslate nohighlight">)\\\((.*?)\\\)</span>', re.DOTALL)


class FormulaError(ValueError):
    """A formula that cannot be read, with the TeX and the reason."""


def one_display(tex: str) -> str:
    r"""Return a displayed formula as one: paragraphs become lines, and bare lines are aligned, as Sphinx does it.

    Example:
        >>> one_display(r"a &= b \\ c &= d")
        '\\begin{aligned}a &= b \\\\ c &= d\\end{aligned}'
        >>> one_display(r"\begin{aligned} a &= b \\ c &= d \end{aligned}")
        '\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}'
    """
    lines = r" \\ ".join(part.strip() for part in re.split(r"\n\s*\n", tex) if part.strip())
    bare, found = lines, 1
    while found:
        bare, found = _ENVIRONMENT.subn("", bare)
    return rf"\begin{{aligned}}{lines}\end{{aligned}}" if r"\\" in bare else lines


def to_mathml(tex: str, *, display: bool = False) -> str:
    r"""Return the `<math>` element of a formula.

    Args:
        tex: what stands between dollar signs.
        display: on lines of its own.

    Raises:
        FormulaError: the formula is not TeX, or TeX that `math-core` does not know.

    Example:
        >>> to_mathml("c")
        '<math><semantics><mi>c</mi><annotation encoding="application/x-tex">c</annotation></semantics></math>'
    """
    try:
        return _CONVERTER.convert_with_local_state(one_display(tex) if display else tex, displaystyle=display)
    except LatexError as error:
        raise FormulaError(f"{error} in the formula {tex.strip()!r}") from error


def typeset(page: str) -> str:
    r"""Return HTML in which the formulas that `cwn_lite.figures` writes, `\(…\)` in captions and quizzes, are MathML.

    Raises:
        FormulaError: as `to_mathml`.
    """
    return _WRITTEN.sub(lambda found: f"{found[1]}{to_mathml(html.unescape(found[2]))}</span>", page)
