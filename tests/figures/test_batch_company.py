"""One value in ever new company: the numbers against torch's batch norm, and the still figure."""

from __future__ import annotations

import math
import re
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from cwn_lite import figures
from cwn_lite.figures.batch_company import BINS, COMPANIES, SIZES, batch_company, draw_batch_company, scatter, shares
from cwn_lite.figures.explorable import explorable_html


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("value", [-3.0, 0.0, 1.5])
def test_the_outputs_are_those_of_batch_norm(size: int, value: float) -> None:
    norm = torch.nn.BatchNorm1d(1, affine=False, eps=1e-30).double()
    for draw in (0, 7, COMPANIES - 1):
        company = batch_company(size=size, value=value, draw=draw)
        assert len(company.values) == size and company.values[0] == value
        out = norm(torch.tensor(company.values)[:, None])[:, 0].numpy()
        assert np.allclose(company.outputs, out, atol=1e-9)
        assert company.over_all[draw] == company.outputs[0]
        assert company.mean == pytest.approx(company.values.mean())
        assert company.divisor == pytest.approx(company.values.std())


def test_the_others_are_normal_and_differ_from_draw_to_draw() -> None:
    others = np.concatenate([batch_company(size=64, draw=draw).values[1:] for draw in range(0, COMPANIES, 5)])
    assert abs(others.mean()) < 0.05 and others.std() == pytest.approx(1, abs=0.03)
    assert len(np.unique(others)) == len(others)


def test_what_the_chapter_says_of_the_figure() -> None:
    for size in SIZES:
        out = batch_company(size=size, value=3.0).over_all
        assert abs(out).max() <= math.sqrt(size - 1) * (1 + 1e-12)
    assert scatter(batch_company(size=64).over_all)[1] < scatter(batch_company(size=8).over_all)[1]
    mean, deviation = scatter(np.array([1.0, 3.0]))
    assert (mean, deviation) == (2.0, 1.0)


def test_the_histogram_counts_everything_once() -> None:
    for size, value in ((2, 0.5), (3, -3.0), (64, 3.0)):
        parts = shares(batch_company(size=size, value=value).over_all)
        assert len(parts) == round((BINS[1] - BINS[0]) / BINS[2]) and parts.sum() == pytest.approx(1)
    assert np.count_nonzero(shares(batch_company(size=2).over_all)) == 2


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"size": 5}, ValueError, "size must be one of 2, 3, 4, .*got 5"),
        ({"size": 2.0}, TypeError, "size must be an integer"),
        ({"value": 3.1}, ValueError, "value must lie from −3 to 3, got 3.1"),
        ({"value": math.nan}, ValueError, "value must be finite"),
        ({"draw": 500}, ValueError, "draw must be below 500, got 500"),
        ({"draw": -1}, ValueError, "draw must"),
    ],
)
def test_bad_input_is_named(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    for call in (batch_company, draw_batch_company):
        with pytest.raises(error, match=message):
            call(**settings)


def test_the_still_figure_draws_these_numbers() -> None:
    fig = figures.draw_batch_company(size=8, value=-1.0, draw=3)
    company = batch_company(size=8, value=-1.0, draw=3)
    for ax, values in zip(fig.axes, (company.values, company.outputs), strict=False):
        others, yours = (np.asarray(line.get_xdata()) for line in ax.lines[:2])
        assert np.array_equal(others, values[1:]) and np.array_equal(yours, values[:1])
    (stairs,) = fig.axes[2].patches
    # matplotlib's stubs say Patch, and stairs() adds a StepPatch.
    assert np.array_equal(stairs.get_data().values, shares(company.over_all))  # type: ignore[attr-defined]  # stubs: Patch
    plt.close(fig)


def test_the_fragment_is_whole_alone_and_asks_nothing_of_the_network() -> None:
    page = explorable_html("batch-company", {}, alt="Three strips of values before and after batch norm.")
    assert not re.search(r"""\sid=|\bsrc=|@import|\burl\(|\bfetch\(|\bimport\b[ (]|from ["']""", page)
    declared = re.findall(r"^(?:export )?(?:function|const|let) (\w+)", page, re.MULTILINE)
    assert len(declared) == len(set(declared))  # the modules share one scope there
