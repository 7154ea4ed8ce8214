"""Sliders above a figure: each move runs the code that draws it, and what fails is said in the figure's place."""

import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from cwn_lite.figures.show import to_svg
from cwn_lite.figures.text import check_alt, inline

Draw = Callable[..., tuple[Figure, str]]


@dataclass(frozen=True)
class Dial:
    """What a slider is called, the values that it takes, in rising order, and the one at which it starts."""

    label: str
    values: tuple[float, ...]
    start: float

    def __post_init__(self) -> None:
        said = [name(value) for value in self.values]
        if not self.label.strip():
            raise ValueError("label is empty; say what the slider changes")
        if len(said) < 2 or not all(map(math.isfinite, self.values)) or list(self.values) != sorted(self.values):
            raise ValueError(f"values of {self.label!r} must be two or more finite numbers that rise, got {said}")
        if len(set(said)) < len(said):
            raise ValueError(f"values of {self.label!r} look alike on the slider: {said}")
        if self.start not in self.values:
            raise ValueError(f"start of {self.label!r} must be one of {said}, got {name(self.start)}")


def live_panel(draw: Draw, /, *, alt: str, **dials: Dial) -> Any:
    """Return the panel that `live` displays: a box of ipywidgets, the sliders first, in the order of the dials.

    What ``draw`` raises is shown in the figure's place and raised once more. Arguments as in `live`.

    Raises:
        ModuleNotFoundError: ipywidgets is not installed.
    """
    return panel_of(draw, alt, dials, picture_of(draw, alt, starts(dials)))


def name(value: float) -> str:
    """Return a value as its slider shows it.

    Example:
        >>> name(2.93373), name(50)
        ('2.934', '50')
    """
    return f"{value:.4g}"


def starts(dials: dict[str, Dial]) -> dict[str, float]:
    """Return the values at which the sliders start; there must be one."""
    if not dials:
        raise ValueError("dials are missing; give at least one, such as depth=Dial('layers', (10, 50), 10)")
    return {key: dial.start for key, dial in dials.items()}


def picture_of(draw: Draw, alt: str, values: dict[str, float]) -> str:
    """Return the figure at some values, as HTML; leaves no figure open and no random number used."""
    before = set(plt.get_fignums())
    try:
        with torch.random.fork_rng(devices=[]):
            drawn = draw(**values)
        if not (isinstance(drawn, tuple) and len(drawn) == 2 and isinstance(drawn[0], Figure)):
            raise TypeError(f"draw must return a figure and a sentence, got {type(drawn).__name__}")
        figure, said = drawn
        return f"{to_svg(figure, alt=f'{check_alt(alt)} {said}')}<figcaption>{inline(said)}</figcaption>"
    finally:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)


def panel_of(draw: Draw, alt: str, dials: dict[str, Dial], first: str) -> Any:
    """Return the panel around the picture of the start, which is computed already."""
    import ipywidgets as widgets

    sliders = {
        key: widgets.SelectionSlider(
            options=[(name(value), value) for value in dial.values],
            value=dial.start,
            description=dial.label,
            continuous_update=False,
            style={"description_width": "9em"},
            layout=widgets.Layout(width="100%", max_width="32em"),
        )
        for key, dial in dials.items()
    }
    back = widgets.Button(description="Back to the start")
    state, picture = widgets.HTML(), widgets.HTML(first)

    def redraw(_: object = None) -> None:
        values = {key: slider.value for key, slider in sliders.items()}
        said = ", ".join(f"{dials[key].label} {name(value)}" for key, value in values.items())
        state.value = f'<p role="status">Computing: {html.escape(said)} …</p>'
        try:
            picture.value = picture_of(draw, alt, values)
        except BaseException as error:
            picture.value = ""  # an old figure would not belong to these values
            what = html.escape(f"{type(error).__name__}: {error}")
            state.value = (
                f'<p role="alert">No figure for {html.escape(said)}:<br><code>{what}</code><br>'
                "Move a slider, or press <em>Back to the start</em>.</p>"
            )
            raise
        state.value = f'<p role="status">Shown: {html.escape(said)}.</p>'

    def go_back(_: object) -> None:
        for key, slider in sliders.items():
            slider.unobserve(redraw, "value")
            slider.value = dials[key].start
            slider.observe(redraw, "value")
        redraw()

    for slider in sliders.values():
        slider.observe(redraw, "value")
    back.on_click(go_back)
    return widgets.VBox([*sliders.values(), back, state, picture])
