"""One look for every figure of the book: neutral ink that follows the page, colours that survive both themes.

A line colour must reach a contrast of 3:1 on white and on near-black alike, because the same inlined SVG is read on
both. That leaves a narrow band of luminance; within it the hues are Okabe and Ito's, or as near as the band allows,
and the methods also differ by dash, since no ten hues in one band survive every colour deficiency.
"""

from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.colors import to_rgb

INK = "#010203"
"""Stands for the page's text colour: `show` writes it as `currentColor`, so axes and text follow the theme."""

COLORS = {
    "ours": "#D55E00",
    "bn": "#0072B2",
    "gn": "#009E73",
    "ws": "#A86090",
    "ws+bn": "#786CD8",
    "ws+gn": "#8F6B4A",
    "plain": "#808080",
    "wn": "#BA19FF",
    "cwn": "#7D92B2",
    "ws-scaled": "#CC1414",
}
"""Method -> line colour."""

QUANTITIES = {
    "magenta": "#A032A0",
    "teal": "#006E64",
    "olive": "#969632",
}
"""Line colours for what is no method: a signal and its gradient, layers, variants. A method keeps its own colour."""

DASHES: dict[str, tuple[float, ...]] = {
    "ours": (),
    "bn": (6.0, 2.0),
    "gn": (2.0, 1.4),
    "ws": (8.0, 2.0, 2.0, 2.0),
    "ws+bn": (4.0, 1.2),
    "ws+gn": (5.0, 1.5, 1.2, 1.5),
    "plain": (1.0, 1.4),
    "wn": (9.0, 2.0),
    "cwn": (3.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    "ws-scaled": (12.0, 2.0, 4.0, 2.0),
}
"""Method -> dash pattern in multiples of the line width; empty is solid. For `ax.plot(..., dashes=...)`."""

LABELS = {
    "ours": "CWO",
    "bn": "BN",
    "gn": "GN",
    "ws": "WS",
    "ws+bn": "WS+BN",
    "ws+gn": "WS+GN",
    "plain": "plain",
    "wn": "WN",
    "cwn": "CWN",
    "ws-scaled": "scaled WS",
}
"""Method -> the name that stands in tables and beside lines."""

STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.prop_cycle": cycler(color=list(COLORS.values())),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "figure.figsize": (5.0, 3.2),
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "grid.alpha": 0.14,
    "grid.color": INK,
    "grid.linewidth": 0.8,
    "hatch.color": INK,
    "legend.facecolor": "none",
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.markersize": 5,
    "mathtext.fontset": "stix",
    "patch.edgecolor": INK,
    "savefig.facecolor": "none",
    "svg.fonttype": "path",
    "svg.hashsalt": "cwn_lite",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 10,
    "ytick.color": INK,
    "ytick.labelsize": 10,
}
"""The matplotlib settings that `use_style` applies.

All letters are of one size, and a figure is no wider than a phone can show with letters of at least nine pixels: its
column of 342 pixels shrinks an SVG to its own width. Two panels that need more stand one below the other."""


def use_style() -> None:
    """Apply the book's matplotlib style to every figure made from here on.

    Example:
        >>> use_style()
        >>> mpl.rcParams["svg.fonttype"]
        'path'
    """
    mpl.rcParams.update(STYLE)


def luminance(color: Any) -> float:
    """Return the relative luminance of a colour, 0 for black and 1 for white, as WCAG defines it.

    Args:
        color: whatever matplotlib takes; its opacity is ignored.

    Example:
        >>> luminance("white"), luminance("black")
        (1.0, 0.0)
    """
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(color)]
    return round(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2], 9)


def ink_on(color: Any) -> str:
    """Return the colour of a text on a painted ground: white or all but black, whichever has more contrast.

    Not `INK` and not black: `show` gives those the colour of the page's text, and a painted ground has no part in
    the page's theme.

    Args:
        color: of the ground; opaque.

    Example:
        >>> ink_on("#ffe945"), ink_on("#00204d")
        ('#010101', '#ffffff')
    """
    ground = luminance(color) + 0.05
    return "#010101" if ground / (luminance("#010101") + 0.05) > 1.05 / ground else "#ffffff"
