"""The letters of a still figure can be read on a phone, and are no larger than the text around them on a desktop.

An exponent or an index is 0.7 of its letter, as in every formula; the rule is about the letter.
"""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure

from cwn_lite import figures

COLUMN = 342
"""Pixels that a page's text is wide on a phone 390 pixels wide; an SVG of more than that shrinks to it."""
LEAST, MOST = 9, 17
"""Pixels of a letter's size: the least on a phone, and the size of the text on a desktop."""
POINT = 4 / 3
ALT = "A figure whose letters are measured, and nothing else."
HTML = Path(__file__).parents[2] / "_build" / "html"
SVG = re.compile(r'<svg\b[^>]*\bviewBox="0 0 (?P<width>[\d.]+) [\d.]+"[^>]*>(?P<body>.*?)</svg>', re.DOTALL)
# matplotlib draws a glyph at a hundredth of its size, moved, perhaps turned, and upside down; images start with scale.
LETTERS = re.compile(r'"translate\([^)]*\)(?: rotate\([^)]*\))? scale\(([\d.]+) -\1\)')

generator = torch.Generator().manual_seed(0)
EXPLOSION = {
    **{
        name: torch.randn(shape, generator=generator).tolist()
        for name, shape in (("weights", (24, 6, 6)), ("inputs", (8, 6)), ("cotangent", (6,)))
    },
    "start": {"sigma": 0.01, "depth": 16, "gain": math.sqrt(6), "decay": 0.0},
}
RUNS = [
    {"method": method, "label": label, "seed": seed, "curve": [{"epoch": e, "test_error": 50 / e} for e in (1, 2, 3)]}
    for method, label in figures.LABELS.items()
    for seed in (0, 1)
]
CELLS = [
    {"method": method, "layers": layers, "decay": decay, "lr": lr, "length": length, "runs": [3.0, 4.0, None]}
    for method, lengths in (("ws-scaled", (0.1, 1.0, 10.0)), ("ours", (1.0,)))
    for layers, decay in ((6, 0.0), (12, 0.005))
    for lr in (0.01, 1.0)
    for length in lengths
]
LINES = [figures.Interval("torchvision's ResNet-18: recommended", -1.0, -1.5, -0.5, 5)] * 2
STILL: dict[str, Callable[[], Figure]] = {
    "curves": lambda: figures.curves(RUNS),
    "draw_batch_company": figures.draw_batch_company,
    "draw_batch_noise": figures.draw_batch_noise,
    "draw_equilibrium": figures.draw_equilibrium,
    "draw_forest": lambda: figures.draw_forest({"BN": LINES}, xlabel="points", limit=4, better="up", worse="down"),
    "draw_point_cloud": lambda: figures.draw_point_cloud(torch.eye(3), [0, 2], turn=0.0, tilt=0.0),
    "draw_residual_stream": figures.draw_residual_stream,
    "draw_row_agreement": figures.draw_row_agreement,
    "draw_row_rules": figures.draw_row_rules,
    "draw_seed_intervals": figures.draw_seed_intervals,
    "draw_signals": figures.draw_signals,
    "draw_step_cost": figures.draw_step_cost,
    "draw_training_grid": lambda: figures.draw_training_grid(CELLS, ["ws-scaled", "ours"]),
    "draw_weight_average": figures.draw_weight_average,
    "explosion": lambda: figures.explosion(EXPLOSION),
    "sphere": figures.sphere,
}
"""Each function that returns a still figure -> how to call it."""


def wrong(page: str) -> Iterator[str]:
    """Yield for each figure of a page whose letters are too small or too large what they measure."""
    for drawing in SVG.finditer(page):
        width = float(drawing["width"])
        sizes = [100 * float(size) for size in LETTERS.findall(drawing["body"])]
        if not sizes:
            continue
        least, most = min(sizes) * min(POINT, COLUMN / width), max(sizes) * POINT
        if least < LEAST or most > MOST:
            said = drawing.group()[:120]
            yield f"{width:.0f} pt wide, letters {least:.1f} px on a phone, {most:.1f} px on a desktop: {said}"


def measured(fig: Figure) -> list[str]:
    return list(wrong(figures.to_svg(fig, alt=ALT)))


def labelled(width: float | None = None, **text: float) -> Figure:
    """Return a figure with every kind of letters; ``text`` goes to its annotation."""
    fig, ax = plt.subplots(figsize=(width, 3.2) if width else None)
    ax.semilogy([1, 10, 100], [1, 10, 100], label="a line")
    ax.set(xlabel="across", ylabel="upwards", title="a title")
    ax.annotate("a word", (10, 10), **text)
    ax.legend(title="a legend")
    fig.legend(loc="outside lower center")
    return fig


@pytest.fixture(autouse=True)
def style() -> Iterator[None]:
    with plt.rc_context():
        figures.use_style()
        yield


def test_the_style_obeys() -> None:
    assert measured(labelled()) == []


@pytest.mark.parametrize(
    ("fig", "said"),
    [
        (lambda: labelled(fontsize=8), "letters 7.6 px on a phone"),
        (lambda: labelled(width=6.4), "letters 7.4 px on a phone"),
        (lambda: labelled(fontsize=14), "18.7 px on a desktop"),
        (lambda: labelled(rotation=30, fontsize=6), "letters 5.7 px on a phone"),
    ],
)
def test_small_letters_a_wide_figure_and_large_letters_are_found(fig: Callable[[], Figure], said: str) -> None:
    (found,) = measured(fig())
    assert said in found


def test_an_image_is_no_letter() -> None:
    fig, ax = plt.subplots()
    ax.imshow([[0, 1], [1, 0]])
    assert measured(fig) == []


def test_every_function_that_draws_is_measured() -> None:
    functions = {name: getattr(figures, name) for name in figures.__all__ if callable(getattr(figures, name))}
    draw = {name for name, f in functions.items() if typing.get_type_hints(f).get("return") is Figure}
    assert draw == set(STILL)


@pytest.mark.parametrize("name", STILL)
def test_a_still_figure_obeys(name: str) -> None:
    assert measured(STILL[name]()) == []


@pytest.mark.site
def test_every_figure_of_the_built_pages_obeys() -> None:
    if not (HTML / "book" / "index.html").is_file():
        pytest.skip("the book is not built: run `make book`")
    pages = {path.name: path.read_text(encoding="utf8") for path in (HTML / "book").glob("*.html")}
    drawn = sum(bool(LETTERS.search(svg["body"])) for page in pages.values() for svg in SVG.finditer(page))
    assert drawn > 30
    assert {name: found for name, page in pages.items() if (found := list(wrong(page)))} == {}
