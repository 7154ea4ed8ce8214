"""Short author text to HTML: what a quiz or a caption may contain, and nothing more."""

import html
import re

_INLINE = re.compile(
    r"\\\$|\$(?P<math>[^$\n]+)\$|`(?P<code>[^`\n]+)`|\*(?P<em>[^*\s][^*\n]*)\*"
    r"|\[(?P<name>[^\]\n]+)\]\((?P<page>\w+\.ipynb)\)"
)


def inline(text: str) -> str:
    r"""Escape ``text``; turn ``$math$``, ``\`code\```, ``*stress*`` and links to chapters into markup without scripts.

    Math becomes ``<span class="math">\(…\)</span>``, which the site's build and notebooks typeset; without them
    the source stays readable. A dollar sign is written ``\$``. A chapter is linked as ``[name](file.ipynb)``; the site
    makes that its page.

    Args:
        text: one paragraph of plain text.

    Example:
        >>> inline("is $w<0$ & `c`?")
        'is <span class="math notranslate nohighlight">\\(w&lt;0\\)</span> &amp; <code>c</code>?'
        >>> inline("[of *size*](signals.ipynb)")
        '<a href="signals.ipynb">of <em>size</em></a>'
    """
    parts, end = [], 0
    for match in _INLINE.finditer(text):
        parts.append(html.escape(text[end : match.start()]))
        if (math := match["math"]) is not None:
            parts.append(f'<span class="math notranslate nohighlight">\\({html.escape(math)}\\)</span>')
        elif (code := match["code"]) is not None:
            parts.append(f"<code>{html.escape(code)}</code>")
        elif (stress := match["em"]) is not None:
            parts.append(f"<em>{html.escape(stress)}</em>")
        elif (name := match["name"]) is not None:
            parts.append(f'<a href="{match["page"]}">{inline(name)}</a>')
        else:
            parts.append("$")
        end = match.end()
    return "".join([*parts, html.escape(text[end:])])


def check_alt(alt: str) -> str:
    """Return ``alt`` as one line, or raise if it could not stand in for a figure.

    Args:
        alt: what the figure shows, in words; at least 20 characters.

    Raises:
        TypeError: ``alt`` is no string.
        ValueError: ``alt`` is shorter than 20 characters.

    Example:
        >>> check_alt("Two lines that cross at epoch three.")
        'Two lines that cross at epoch three.'
    """
    if not isinstance(alt, str):
        raise TypeError(f"alt must be a string that says what the figure shows, got {type(alt).__name__}")
    line = " ".join(alt.split())
    if len(line) < 20:
        raise ValueError(
            f"alt is too short to stand in for the figure: {line!r}; say what it shows, in 20 characters or more"
        )
    return line
