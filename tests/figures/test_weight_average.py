"""The average of a turning row: the formula against averages that were taken, and the still figure."""

from __future__ import annotations

import math
import re
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch

from cwn_lite import figures
from cwn_lite.figures.explorable import explorable_html
from cwn_lite.figures.weight_average import DECAYS, draw_weight_average, weight_average


def averaged(angles: torch.Tensor, decay: float) -> torch.Tensor:
    """The average of rows at these angles, (..., steps, 3), on the circle of rows with zero mean and length one."""
    circle = torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, -2.0]]).double()
    circle = circle / circle.norm(dim=1, keepdim=True)
    rows = angles.cos()[..., None] * circle[0] + angles.sin()[..., None] * circle[1]
    average = rows[..., 0, :]
    for row in rows.unbind(-2)[1:]:
        average = decay * average + (1 - decay) * row
    return average


@pytest.mark.parametrize("decay", DECAYS[:6])
@pytest.mark.parametrize("angle", [0.0, 0.015, 0.3, 2.0])
def test_an_average_of_rows_that_turn_one_way(decay: float, angle: float) -> None:
    angles = angle * torch.arange(3000.0).double()
    found, average = weight_average(decay=decay, angle=angle), averaged(angles, decay)
    assert float(average.norm()) == pytest.approx(found.steady, rel=1e-9)
    newest = averaged(angles[-1:], decay)
    cosine = float(average @ newest / average.norm())
    assert cosine == pytest.approx(math.cos(found.lag), abs=1e-9)
    if angle:  # the angle itself, not only its cosine: as far behind as said
        behind = averaged(angles[-1:] - found.lag, decay)
        assert float(average @ behind / average.norm()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.98])
@pytest.mark.parametrize("angle", [0.1, 1.0])
def test_an_average_of_rows_that_turn_at_random(decay: float, angle: float) -> None:
    torch.manual_seed(0)
    signs = torch.randint(2, (20_000, 400)) * 2 - 1
    average = averaged((angle * signs).double().cumsum(1), decay)
    found = weight_average(decay=decay, angle=angle)
    assert float(average.square().sum(1).mean().sqrt()) == pytest.approx(found.random, rel=0.02)
    assert found.steady < found.random < 1


@pytest.mark.parametrize("decay", DECAYS)
def test_the_mean_age(decay: float) -> None:
    ages = torch.arange(60_000.0).double()
    assert float((ages * (1 - decay) * decay**ages).sum()) == pytest.approx(weight_average(decay=decay).age, rel=1e-9)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"decay": 1.0}, ValueError, "decay must be below 1, got 1"),
        ({"decay": -0.1}, ValueError, "decay must not be negative"),
        ({"decay": "0.9"}, TypeError, "decay must be a"),
        ({"angle": 4.0}, ValueError, "angle must be at most pi, got 4"),
    ],
)
def test_bad_input_is_named(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    for call in (weight_average, draw_weight_average):
        with pytest.raises(error, match=message):
            call(**settings)


def test_the_still_figure_draws_these_numbers() -> None:
    fig = figures.draw_weight_average(decay=0.9, angle=0.1)
    (ax,) = fig.axes
    found = weight_average(decay=0.9, angle=0.1)
    points = [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert [math.hypot(*point) for point in points] == pytest.approx([found.steady, 1.0])
    assert all(math.atan2(*point) == pytest.approx(found.lag) for point in points)
    # matplotlib's stubs say Patch, and add_patch() was given circles.
    assert [patch.radius for patch in ax.patches] == pytest.approx([1.0, found.random])  # type: ignore[attr-defined]  # stubs: Patch
    plt.close(fig)


def test_the_fragment_is_whole_alone_and_asks_nothing_of_the_network() -> None:
    page = explorable_html("weight-average", {}, alt="A circle of rows, and their average inside of it.")
    assert not re.search(r"""\sid=|\bsrc=|@import|\burl\(|\bfetch\(|\bimport\b[ (]|from ["']""", page)
    declared = re.findall(r"^(?:export )?(?:function|const|let) (\w+)", page, re.MULTILINE)
    assert len(declared) == len(set(declared))  # the modules share one scope there
