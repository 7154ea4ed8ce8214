"""Rows that agree: the formula against singular values, and the still figure."""

from __future__ import annotations

import math
import re
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch

import cwn_lite as cwn
from cwn_lite import figures
from cwn_lite.figures.explorable import explorable_html
from cwn_lite.figures.row_agreement import ROWS, draw_row_agreement, row_agreement


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("cosine", [0.0, 0.1, 0.7, 1.0])
def test_the_values_are_the_singular_values_of_such_rows(rows: int, cosine: float) -> None:
    """Orthogonal zero-mean rows, of which each takes a share of one more."""
    basis = torch.linalg.qr(torch.cat([torch.ones(1, 9 * rows), torch.randn(rows + 1, 9 * rows)]).double().mT).Q.mT
    common, own = basis[1], basis[2:]
    w = cwn.project_rows(math.sqrt(cosine) * common + math.sqrt(1 - cosine) * own, c=cwn.C_CENTERED)
    values = torch.linalg.svdvals(w)
    stretch = row_agreement(rows=rows, cosine=cosine)
    assert float(values[0]) == pytest.approx(stretch.largest, rel=1e-9)
    assert values[1:].tolist() == pytest.approx([stretch.others] * (rows - 1), rel=1e-6, abs=1e-6)
    assert w.norm(dim=1).tolist() == pytest.approx([stretch.norm] * rows, rel=1e-9)
    assert stretch.largest <= stretch.limit * (1 + 1e-12)


def test_random_rows_stretch_no_further_than_said() -> None:
    torch.manual_seed(0)
    w = cwn.project_rows(torch.randn(256, 9 * 256), c=cwn.C_CENTERED)
    assert float(torch.linalg.matrix_norm(w, 2)) == pytest.approx(row_agreement(rows=256).random, rel=0.03)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"rows": 3}, ValueError, "rows must be one of 2, 4, .*got 3"),
        ({"rows": 2.0}, TypeError, "rows must be an integer"),
        ({"cosine": 1.1}, ValueError, "cosine must be at most 1, got 1.1"),
        ({"cosine": -0.1}, ValueError, "cosine must not be negative"),
    ],
)
def test_bad_input_is_named(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    for call in (row_agreement, draw_row_agreement):
        with pytest.raises(error, match=message):
            call(**settings)


def test_the_still_figure_draws_these_numbers() -> None:
    fig = figures.draw_row_agreement(rows=16, cosine=0.25)
    (ax,) = fig.axes
    stretch = row_agreement(rows=16, cosine=0.25)
    wanted = [stretch.largest, stretch.others, stretch.norm]
    # matplotlib's stubs say Patch, and barh() adds Rectangles.
    assert [patch.get_width() for patch in ax.patches] == pytest.approx(wanted)  # type: ignore[attr-defined]
    assert [text.get_text() for text in ax.texts] == [f"{value:.2f}" for value in wanted]
    assert [line.get_xdata()[0] for line in ax.lines] == pytest.approx([stretch.random, stretch.limit])
    plt.close(fig)


def test_the_fragment_is_whole_alone_and_asks_nothing_of_the_network() -> None:
    page = explorable_html("row-agreement", {}, alt="Three bars of what rows stretch an input by.")
    assert not re.search(r"""\sid=|\bsrc=|@import|\burl\(|\bfetch\(|\bimport\b[ (]|from ["']""", page)
    declared = re.findall(r"^(?:export )?(?:function|const|let) (\w+)", page, re.MULTILINE)
    assert len(declared) == len(set(declared))  # the modules share one scope there
