"""Intervals over a few seeds: Student's where differences are normal, and what failing runs make of them."""

from __future__ import annotations

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from cwn_lite import figures
from cwn_lite.figures.draws import normals, uniforms
from cwn_lite.figures.explorable import explorable_html
from cwn_lite.figures.seed_intervals import EXPERIMENTS, LOSS, SEEDS, SHOWN, STUDENT, seed_intervals
from cwn_lite.lab.results.stats import paired_difference


def test_uniform_numbers_are_uniform() -> None:
    assert stats.kstest(uniforms(4, 20_000), "uniform").pvalue > 0.01


def test_quantiles_are_students() -> None:
    assert pytest.approx([stats.t.ppf(0.975, k) for k in range(1, SEEDS[1])], abs=1e-6) == list(STUDENT)


@pytest.mark.parametrize("failing", [0.0, 0.3])
@pytest.mark.parametrize("seeds", [2, 5, 10])
def test_each_interval_is_the_paired_one(seeds: int, failing: float) -> None:
    found = seed_intervals(seeds=seeds, gap=1.5, failing=failing)
    z, u = (draw.reshape(EXPERIMENTS, -1) for draw in (normals(3, 20_000), uniforms(4, 20_000)))
    for e in range(20):
        d = {j: 1.5 + z[e, j] + LOSS * (u[e, j] < failing) for j in range(seeds)}
        wanted = paired_difference(d, dict.fromkeys(d, 0.0))
        assert (found.low[e], found.high[e]) == pytest.approx((wanted.low, wanted.high), abs=1e-4)


def test_coverage_is_as_promised_without_failures_and_not_with_them() -> None:
    for seeds in (3, 5, 10):
        normal = seed_intervals(seeds=seeds)
        assert abs(normal.covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / EXPERIMENTS)
    assert seed_intervals(seeds=3, failing=0.2).covered < 0.6
    assert seed_intervals(seeds=5, failing=0.1).covered < 0.5
    assert abs(seed_intervals(seeds=5, failing=0.2, trained=True).covered - 0.95) < 0.03


def test_no_interval_where_too_few_are_left() -> None:
    found = seed_intervals(seeds=2, failing=1.0, trained=True)
    assert np.isnan(found.low).all() and (found.covered, found.decided) == (0.0, 0.0)
    assert seed_intervals(seeds=2, failing=0.5).truth == 1.0 + LOSS / 2


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"seeds": 1}, ValueError, "seeds"),
        ({"seeds": 11}, ValueError, "at most 10, got 11"),
        ({"seeds": 3.0}, TypeError, "seeds must be an integer"),
        ({"failing": 1.5}, ValueError, "at most 1, got 1.5"),
    ],
)
def test_bad_input_is_named(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        seed_intervals(**settings)


def test_the_still_figure_draws_the_first_experiments() -> None:
    (ax,) = figures.draw_seed_intervals(seeds=5, failing=0.2).axes
    found = seed_intervals(seeds=5, failing=0.2)
    lines = [line for line in ax.lines if line.get_linewidth() >= 2]
    assert len(lines) == SHOWN
    thick = [line.get_linewidth() == 3 for line in lines]
    assert thick == [not low <= found.truth <= high for low, high in zip(found.low[:SHOWN], found.high, strict=False)]
    plt.close("all")


def test_the_fragment_is_whole() -> None:
    assert "experiments" in explorable_html("seed-intervals", {}, alt="Intervals of many experiments with few seeds.")
