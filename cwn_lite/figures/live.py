"""A figure with sliders that run the chapter's own code again, and its still twin where nothing can run.

The output holds both, and a front end takes the richest that it knows: a live panel in a notebook, the still figure on
a code host. Where a notebook is run for print, the environment variable `STILL` says so, and there is no panel at all.
"""

import html
import os
from importlib.util import find_spec

from IPython import get_ipython
from IPython.display import display

from cwn_lite.figures.panel import Dial, Draw, panel_of, picture_of, starts
from cwn_lite.figures.text import check_alt

STILL = "CWN_LITE_STILL"
"""Name of the environment variable that, set to anything, makes every `live` figure a still one."""

VIEW = "application/vnd.jupyter.widget-view+json"


def live(draw: Draw, /, *, alt: str, **dials: Dial) -> None:
    """Display what ``draw`` draws, with a slider for each of its arguments where a kernel can answer them.

    Args:
        draw: takes a keyword for each dial and returns a figure and a sentence that says what is seen in it. Its
            random draws leave those of the notebook as they were.
        alt: what the figure shows whatever the values, in words; at least 20 characters.
        dials: keyword of ``draw`` -> its slider.

    Raises:
        ValueError: there is no dial, or ``alt`` is too short.
        TypeError: ``draw`` returns something else.
        Exception: whatever ``draw`` raises at the start.
    """
    first = picture_of(draw, alt, starts(dials))
    bundle = {"text/html": _still(first, dials), "text/plain": check_alt(alt)}
    if not why_still():
        bundle[VIEW] = panel_of(draw, alt, dials, first)._repr_mimebundle_()[VIEW]
    display(bundle, raw=True)


def why_still() -> str:
    """Return why sliders would be dead here: `STILL` is set, no kernel, no ipywidgets; empty where they live.

    Example:
        >>> why_still() != ""  # a doctest has no kernel
        True
    """
    if os.environ.get(STILL):
        return f"{STILL} is set"
    if getattr(get_ipython(), "kernel", None) is None:
        return "there is no kernel"
    return "" if find_spec("ipywidgets") else "ipywidgets is not installed"


def _still(picture: str, dials: dict[str, Dial]) -> str:
    """The figure at its start, and where it is live."""
    *labels, last = [html.escape(dial.label) for dial in dials.values()]
    named = f"{', '.join(labels)} and {last}" if labels else last
    missing = "ipywidgets" in why_still()
    where = "With ipywidgets installed" if missing else "In the notebook"
    offer = f"{where} this figure is live: sliders change the {named}, and the code runs again."
    inside = picture.replace("</figcaption>", f" <em>{offer}</em></figcaption>")
    return f'<figure class="cwn-figure" style="margin:1.5rem 0">{inside}</figure>'
