"""Figures with sliders: at the ends of every range, one by one and at all corners, the chapter's code draws.

Runs the cells tagged `setup` and those that call `figures.live`, in a process of its own. So a chapter's set-up holds
all that its sliders need, and what they need can be run alone.
"""

import contextlib
import io
import re
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
from matplotlib.figure import Figure

from bookcheck.pages import Cell, from_notebook
from cwn_lite import figures

CALL = re.compile(r"\bfigures\.live\(")
PATIENCE = 20  # seconds for one move of a slider on a busy machine; two are aimed at on a quiet one

Call = tuple[figures.panel.Draw, str, dict[str, figures.Dial]]


def cells(notebook: dict[str, Any]) -> list[Cell]:
    """Return the code cells to run for the sliders of a notebook."""
    return [cell for cell in from_notebook(notebook).code if "setup" in cell.tags or CALL.search(cell.source)]


def judge(notebook: dict[str, Any]) -> list[str]:
    """Return what fails where sliders stand at the ends of their ranges; runs the notebook's code in this process."""
    calls = list(_calls(notebook))
    return [problem for call in calls for problem in _problems(*call)] if calls else ["no call of figures.live"]


def _calls(notebook: dict[str, Any]) -> Iterator[Call]:
    """Yield what `figures.live` is called with, while the names of the notebook are as they were then."""
    found: list[Call] = []

    def live(draw: figures.panel.Draw, /, *, alt: str, **dials: figures.Dial) -> None:
        found.append((draw, alt, dials))

    namespace: dict[str, Any] = {"__name__": "__main__"}
    with mock.patch.object(figures, "live", live):
        for cell in cells(notebook):
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                exec(compile(cell.source, f"<cell {cell.index}>", "exec"), namespace)
            yield from found
            found.clear()


def _problems(draw: figures.panel.Draw, alt: str, dials: dict[str, figures.Dial]) -> list[str]:
    problems = []
    at = "the start"
    drawn: dict[tuple[float, ...], tuple[Figure, str]] = {}

    def watched(**values: float) -> tuple[Figure, str]:
        key = tuple(values.values())
        if key in drawn:
            return drawn[key]
        began = time.perf_counter()
        figure, said = drawn[key] = draw(**values)
        took = time.perf_counter() - began
        if not finite(figure):
            problems.append(f"{draw.__name__} at {at}: the figure has no data, or some that are not finite")
        if took > PATIENCE:
            problems.append(f"{draw.__name__} at {at}: {took:.0f} s for one figure")
        return figure, said

    panel = figures.live_panel(watched, alt=alt, **dials)
    *sliders, back, _, picture = panel.children
    start = picture.value
    seen = {}
    for setting in _settings(dials):
        at = ", ".join(f"{key}={value:g}" for key, value in setting.items())
        try:
            for slider, value in zip(sliders, setting.values(), strict=True):
                slider.value = value
        except Exception as error:
            problems.append(f"{draw.__name__} at {at}: {type(error).__name__}: {error}")
        seen[at] = picture.value
    if len(set(seen.values())) < len(seen):
        problems.append(f"{draw.__name__}: some settings look alike, so a slider changes nothing")
    drawn.clear()
    back.click()
    if picture.value != start:
        problems.append(f"{draw.__name__}: the same values give another figure than at the start")
    return problems


def _settings(dials: dict[str, figures.Dial]) -> list[dict[str, float]]:
    """Both ends of each range, the others at their start; then all corners, a step apart as in a Gray code."""
    start = {key: dial.start for key, dial in dials.items()}
    ends = {key: (dial.values[0], dial.values[-1]) for key, dial in dials.items()}
    corners: list[dict[str, float]] = [{}]
    for key, (low, high) in ends.items():
        corners = [{**c, key: low} for c in corners] + [{**c, key: high} for c in reversed(corners)]
    return [{**start, key: end} for key, pair in ends.items() for end in pair] + corners


def finite(figure: Figure) -> bool:
    """Return whether every panel of a figure has a line with data, all of them finite."""
    lines = [[line.get_xydata() for line in ax.lines] for ax in figure.axes]
    return bool(lines) and all(part and all(np.isfinite(xy).all() and len(xy) for xy in part) for part in lines)
