"""The forest plot: what it draws of each line, and what it refuses."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from cwn_lite.figures import COLORS, INK, Interval, draw_forest, to_svg

GROUPS = {
    "BN": [Interval("ahead", -1.0, -1.5, -0.5, 5), Interval("behind", 2.0, 0.5, 9.0, 3)],
    "GN": [Interval("unknown", 0.1, -math.inf, math.inf, 1), Interval("none trained", None, 0.0, 0.0, 0)],
}


def drawn() -> Axes:
    fig = draw_forest(GROUPS, xlabel="points", limit=4.0, better="better", worse="worse")
    plt.close(fig)
    return fig.axes[0]


def test_each_interval_is_drawn_where_it_lies() -> None:
    lines = [line for line in drawn().lines if line.get_linewidth() == 1.6]
    assert [tuple(line.get_xdata()) for line in lines] == [(-1.5, -0.5), (0.5, 4.0), (-4.0, 4.0)]


def test_the_side_of_zero_is_seen_in_the_colour() -> None:
    lines = [line for line in drawn().lines if line.get_linewidth() == 1.6]
    assert [to_hex(line.get_color()).upper() for line in lines] == [COLORS["ours"], INK, COLORS["plain"]]


def test_ends_outside_become_arrows() -> None:
    arrows = [(float(line.get_xdata()[0]), line.get_marker()) for line in drawn().lines if line.get_marker() in "<>"]
    assert arrows == [(4.0, ">"), (-4.0, "<"), (4.0, ">")]


def test_every_label_and_heading_stands_once() -> None:
    texts = [text.get_text() for text in drawn().texts]
    wanted = [*GROUPS, *(line.label for lines in GROUPS.values() for line in lines), "better", "worse"]
    counts = [f"n = {line.n}" for lines in GROUPS.values() for line in lines]
    assert sorted(texts) == sorted([*wanted, *counts])


def test_it_is_inlined_with_its_words() -> None:
    fig = draw_forest(GROUPS, xlabel="points", limit=4.0)
    assert 'role="img"' in to_svg(fig, alt="Four intervals around zero, one below the other.")


@pytest.mark.parametrize(("groups", "limit", "problem"), [({}, 4.0, "no line"), (GROUPS, 0.0, "limit=0.0")])
def test_nothing_to_draw(groups: dict[str, list[Interval]], limit: float, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        draw_forest(groups, xlabel="points", limit=limit)
