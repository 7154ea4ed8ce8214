"""Interactive figures for static pages: an ES module and its data, inlined where the cell stands.

A module ``explorables/<name>.js`` exports ``render(el, data)``. What stands in the page before it runs is a
static figure; that figure stays where scripts do not run or fail.
"""

import html
import json
import math
import re
from importlib.resources import files
from typing import Any

from IPython.display import display
from matplotlib.figure import Figure

from cwn_lite.figures.show import to_svg
from cwn_lite.figures.text import check_alt, inline

MODULES = files("cwn_lite.figures") / "explorables"
"""The modules and style sheets; they are part of the package, installed or not."""

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+)\.js";\n', re.MULTILINE)


def explorable(
    name: str, data: Any = None, *, alt: str, caption: str = "", static: Figure | str = "", height: int = 480
) -> None:
    """Display the interactive figure ``name``; arguments as in `explorable_html`."""
    page = explorable_html(name, data, alt=alt, caption=caption, static=static, height=height)
    display({"text/html": page, "text/plain": check_alt(alt)}, raw=True)


def explorable_html(
    name: str, data: Any = None, *, alt: str, caption: str = "", static: Figure | str = "", height: int = 480
) -> str:
    r"""Return the HTML fragment of an interactive figure: style, static figure, data and module in one element.

    It refers to nothing outside itself and holds no identifiers, so several can share a page, two of a kind too.

    Args:
        name: the module's file name without ``.js``.
        data: what ``render`` gets; anything that JSON can hold. A number that is not finite becomes ``null``.
        alt: what the figure shows at the start and lets the reader do, in words; at least 20 characters.
        caption: a line under it; may hold ``$math$`` and ``\`code\```.
        static: a figure, or its finished SVG, for readers without scripts. Without it they get ``alt`` as text.
        height: pixels kept free while the page loads.

    Raises:
        ValueError: there is no such module, or ``alt`` is too short.
        FileNotFoundError: a file that it needs is missing from the package; the error says which.
        TypeError: ``data`` holds something that JSON cannot.

    Example:
        >>> page = explorable_html("projection-sphere", {"c": 2}, alt="A sphere cut by a plane through its centre.")
        >>> "<script src" in page, page.count("<figure")
        (False, 1)
    """
    alt = check_alt(alt)
    if isinstance(static, Figure):
        static = to_svg(static, alt=alt)
    still = static or f"<p>{html.escape(alt)}</p>"
    foot = f"<figcaption>{inline(caption)}</figcaption>\n" if caption else ""
    code = bundle(name)
    style = read("shared.css") + read(f"{name}.css")
    return (
        f'<figure class="explorable" data-explorable="{name}" data-alt="{html.escape(alt)}">\n'
        f"<style>\n{style}</style>\n"
        f'<div class="explorable-stage" style="--height:{height}px">'
        f'<div class="explorable-static">{still}</div></div>\n'
        f"{foot}"
        "<noscript><p>This figure can be played with where scripts run; here it stands at its start.</p></noscript>\n"
        f'<script type="application/json">{to_json(data)}</script>\n'
        f'<script type="module">\n{code}\nmount("{name}", render);\n</script>\n'
        "</figure>"
    )


def bundle(name: str) -> str:
    """Return module ``name`` with its local imports put before it: one module that imports nothing.

    Args:
        name: the module's file name without ``.js``.

    Raises:
        ValueError: there is no such module.
    """
    scripts = [file.name for file in MODULES.iterdir() if file.name.endswith(".js")]
    known = sorted(file.removesuffix(".js") for file in scripts if "export function render(" in read(file))
    if name not in known:
        raise ValueError(f"name must be one of {known}, got {name!r} (looked in {MODULES.name}/)")
    parts: dict[str, str] = {}

    def add(stem: str) -> None:
        code = read(f"{stem}.js")
        for needed in _IMPORT.findall(code):
            if needed not in parts:
                add(needed)
        parts[stem] = _IMPORT.sub("", code)

    add(name)
    code = "\n".join(parts.values())
    if "</script" in code.lower():
        raise ValueError(f"{name}.js holds '</script', which would end it early in a page")
    return code


def read(file: str) -> str:
    """Return a module or style sheet of the package.

    Args:
        file: its name.

    Raises:
        FileNotFoundError: the package was installed without it; the error says which.
    """
    return (MODULES / file).read_text(encoding="utf-8")


def to_json(data: Any) -> str:
    r"""Return ``data`` as JSON that may stand inside a script element.

    Args:
        data: nested dicts, lists, strings, numbers; a number that is not finite becomes ``null``.

    Raises:
        TypeError: JSON cannot hold it.

    Example:
        >>> to_json({"a": "</script>", "b": float("nan")})
        '{"a":"\\u003c/script\\u003e","b":null}'
    """
    text = json.dumps(_finite(data), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _finite(data: Any) -> Any:
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return data
