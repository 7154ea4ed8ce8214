"""A grid of trainings: what a cell shows, its ground, and the still figure."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import pytest

from cwn_lite import figures
from cwn_lite.figures.explorable import MODULES, explorable_html
from cwn_lite.figures.style import luminance
from cwn_lite.figures.training_grid import QUANTITIES, SHADES, TRAINS, cell_value, draw_training_grid, shade

RUNS = [None, 49.9, 50.0, 2.1]


def run(seed: int, error: float | None, **recipe: Any) -> SimpleNamespace:
    recipe = {"depth": 6, "weight_decay": 0.0, "lr": 0.1, "init_scale": 1.0} | recipe
    return SimpleNamespace(recipe=recipe, seed=seed, status="diverged" if error is None else "done", test_error=error)


def test_a_cell_has_its_runs_in_the_order_of_seeds() -> None:
    runs = [run(2, 3.0), run(0, None), run(1, 7.0), run(0, 9.0, lr=1.0)]
    first, second = figures.training_grid({"plain": runs})
    assert first == {"method": "plain", "layers": 6, "decay": 0.0, "lr": 0.1, "length": 1.0, "runs": [None, 7.0, 3.0]}
    assert second["lr"] == 1.0 and second["runs"] == [9.0]


def test_what_a_cell_shows() -> None:
    expected = {"error": 26.0, "worst": 49.9, "trained": 2, "diverged": 1}
    assert {quantity: cell_value(RUNS, quantity) for quantity in QUANTITIES} == pytest.approx(expected)
    assert [cell_value([None, 90.0], quantity) for quantity in QUANTITIES] == [None, None, 0, 1]
    with pytest.raises(ValueError, match="quantity must be one of error, worst, trained, diverged, got 'mean'"):
        cell_value(RUNS, "mean")


def test_the_ground_tells_how_many_train() -> None:
    assert [shade([3.0] * k + [90.0] * (3 - k)) for k in range(4)] == [0, 1, 2, 3]


def test_each_number_can_be_read_on_its_ground_in_both_themes() -> None:
    """`show` gives black and `INK` the page's colour; what stands on a painted ground must keep its own."""
    for ground in (*SHADES, *plt.get_cmap("cividis")([k / 20 for k in range(21)])):
        ink = figures.ink_on(ground)
        low, high = sorted(luminance(color) + 0.05 for color in (ground, ink))
        assert high / low > 4.5
        fig, ax = plt.subplots()
        ax.text(0.5, 0.5, "7", color=ink, fontsize=40)
        assert ink in figures.to_svg(fig, alt="The number seven on nothing at all.")


def test_the_still_figure_draws_these_numbers() -> None:
    runs = [
        run(seed, error, lr=lr)
        for lr, errors in ((0.1, [1.0, 2.0]), (1.0, [None, 4.0]))
        for seed, error in enumerate(errors)
    ]
    cells = figures.training_grid({"ws-scaled": runs, "ours": [run(0, 90.0)]})
    fig = draw_training_grid(cells, ("ws-scaled", "ours"), "worst")
    one, two = fig.axes
    assert [text.get_text() for text in one.texts] == ["2", "4"] and [text.get_text() for text in two.texts] == ["–"]
    assert [ax.get_title(loc="center") for ax in fig.axes] == ["scaled WS", "CWO"]
    assert [figures.ink_on(SHADES[i]) for i in (3, 1)] == [text.get_color() for text in one.texts]
    assert fig.get_figwidth() < 5  # inches: read on a phone, where its letters shrink with it
    plt.close(fig)
    with pytest.raises(ValueError, match="there is no cell of 'bn'"):
        draw_training_grid(cells, ("bn",))


def test_the_moving_figure_has_the_same_constants() -> None:
    code = (MODULES / "training-grid.js").read_text(encoding="utf8")
    assert f"const TRAINS = {TRAINS};" in code
    assert dict(re.findall(r'^  (\w+): "(.*)",$', code, re.MULTILINE)) == QUANTITIES
    style = (MODULES / "training-grid.css").read_text(encoding="utf8")
    for i, ground in enumerate(SHADES):
        assert f"shade-{i} {{ background: {ground}; color: {figures.ink_on(ground)}; }}" in style
    assert figures.LABELS["ours"] == "CWO"


def test_the_fragment_is_whole_alone_and_asks_nothing_of_the_network() -> None:
    page = explorable_html("training-grid", {"cells": [], "names": {}}, alt="A grid of trainings by rate and length.")
    assert not re.search(r"""\sid=|\bsrc=|@import|\burl\(|\bfetch\(|\bimport\b[ (]|from ["']""", page)
    declared = re.findall(r"^(?:export )?(?:function|const|let) (\w+)", page, re.MULTILINE)
    assert len(declared) == len(set(declared))  # the modules share one scope there
