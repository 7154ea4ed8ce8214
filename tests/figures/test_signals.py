"""Signals through depth: the recursions against random networks, and the still figure."""

from __future__ import annotations

import math
import re
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from torch.nn import functional as F

import cwn_lite as cwn
from cwn_lite import figures
from cwn_lite.figures.explorable import explorable_html
from cwn_lite.figures.signals import BLOCKS, MOST, signals


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(
    ("slope", "centralize", "c"),
    [(0.0, True, 2.0), (0.0, False, 2.0), (0.3, True, 2.5), (0.3, False, 1.5), (1.0, True, 1.0)],
)
def test_a_wide_random_network_follows_the_recursions(slope: float, centralize: bool, c: float, block: str) -> None:
    n, layers = 1000, 5
    draw = torch.Generator().manual_seed(0)
    scale = {"plain": 1.0, "sum": 1.0, "scaled": layers**-0.5}[block]
    outputs = [torch.randn(n, 16, generator=draw, dtype=torch.float64).requires_grad_()]
    for _ in range(layers):
        random = torch.randn(n, n, generator=draw, dtype=torch.float64)
        branch = cwn.project_rows(random, c, centralize=centralize) @ F.leaky_relu(outputs[-1], slope)
        outputs.append(scale * branch + (0 if block == "plain" else outputs[-1]))
        outputs[-1].retain_grad()
    outputs[-1].backward(torch.randn(n, 16, generator=draw, dtype=torch.float64))
    stack = signals(layers=layers, c=c, slope=slope, centralize=centralize, block=block)
    moments = [float(y.detach().square().mean()) for y in outputs]
    lengths = [float(y.grad.square().sum()) for y in outputs]  # type: ignore[union-attr]  # retained
    assert [q / moments[0] for q in moments] == pytest.approx(stack.signal, rel=0.1)
    assert [g / lengths[-1] for g in lengths] == pytest.approx(stack.gradient, rel=0.1)


def test_what_keeps_what() -> None:
    for slope in (0.0, 0.2, 0.7):
        kept = signals(c=cwn.leaky_relu_c(slope), slope=slope)
        assert kept.forward == pytest.approx(1) and kept.backward > 1
        returned = signals(c=cwn.leaky_relu_c(slope, centralize=False), slope=slope)
        assert returned.backward == pytest.approx(1) and returned.forward < 1
    both = signals(c=1, slope=1)
    assert both.forward == both.backward == 1


@pytest.mark.parametrize("layers", [1, 7, MOST])
def test_scaled_branches_stay_bounded(layers: int) -> None:
    stack = signals(layers=layers, c=cwn.C_CENTERED, block="scaled")
    assert stack.signal[-1] <= math.e and stack.gradient[0] <= math.exp(cwn.C_CENTERED / 2)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"layers": 0}, ValueError, "layers must be at least 1"),
        ({"layers": 51}, ValueError, "layers must be at most 50, got 51"),
        ({"layers": 2.0}, TypeError, "layers must be an integer"),
        ({"c": 0}, ValueError, "c must be positive"),
        ({"slope": 1.1}, ValueError, "slope must be at most 1, got 1.1"),
        ({"slope": -0.1}, ValueError, "slope must not be negative"),
        ({"centralize": 1}, TypeError, "centralize must be True or False"),
        ({"block": "dense"}, ValueError, "block must be one of plain, sum, scaled, got 'dense'"),
    ],
)
def test_bad_input_is_named(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    for call in (signals, figures.draw_signals):
        with pytest.raises(error, match=message):
            call(**settings)


def test_the_still_figure_draws_these_numbers() -> None:
    fig = figures.draw_signals(layers=12, c=2.5, slope=0.2, block="sum")
    (ax,) = fig.axes
    stack = signals(layers=12, c=2.5, slope=0.2, block="sum")
    assert [list(line.get_ydata()) for line in ax.lines] == [
        pytest.approx(list(stack.signal)),
        pytest.approx(list(stack.gradient)),
    ]
    low, high = ax.get_ylim()
    assert low <= min(stack.signal) and high >= max(stack.gradient)
    plt.close(fig)


def test_the_fragment_is_whole_alone_and_asks_nothing_of_the_network() -> None:
    page = explorable_html("signals", {}, alt="Two lines: a signal that fades through layers, a gradient that is kept.")
    assert not re.search(r"""\sid=|\bsrc=|@import|\burl\(|\bfetch\(|\bimport\b[ (]|from ["']""", page)
    declared = re.findall(r"^(?:export )?(?:function|const|let) (\w+)", page, re.MULTILINE)
    assert len(declared) == len(set(declared))  # the modules share one scope there
