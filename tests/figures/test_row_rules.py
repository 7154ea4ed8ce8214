"""The rules of the ideas on one row: against the lab's own steps, and the still figure."""

from __future__ import annotations

import math
import re
from itertools import combinations
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.text import Text
from torch import nn

import cwn_lite as cwn
from cwn_lite import figures
from cwn_lite.figures.explorable import explorable_html
from cwn_lite.figures.row_rules import GRADIENT, RULES, row_rules
from cwn_lite.figures.sphere import on_sphere
from cwn_lite.lab.since import IDEAS, moves
from cwn_lite.lab.since.directions import Mano, OverItsSize

SETTINGS: list[dict[str, float]] = [
    {},
    {"angle": 40.0, "size": 2.5, "rate": 0.2},
    {"angle": 155.0, "size": 0.3, "rate": 1.1},
]
C = cwn.C_HE


def start(settings: dict[str, float]) -> tuple[torch.Tensor, torch.Tensor, float]:
    w = on_sphere(math.sqrt(C), math.radians(settings.get("angle", 290.0)))[None]
    g = settings.get("size", 1.0) * torch.tensor([GRADIENT], dtype=torch.float64)
    return w, g, settings.get("rate", 0.8)


@pytest.mark.parametrize("settings", SETTINGS)
def test_one_step_is_the_lab_s(settings: dict[str, float]) -> None:
    """Of a matrix of one row, with no step before; here both constraint sets have the paper's norm."""
    w, g, lr = start(settings)
    found = row_rules(**settings)
    back = {"cwo": lambda v: cwn.project_rows(v, C), "ngpt": lambda v: cwn.project_rows(v, C, centralize=False)}
    tangent = moves.tangent(w, g, centralize=False)
    wanted = {
        "plain": moves.descend(w, g, lr),
        "cwo": cwn.projected_step(w, g, lr, C),
        "ngpt": back["ngpt"](moves.descend(w, g, lr)),
        "nero": back["cwo"](moves.relative(w, OverItsSize(0.999)(w, g), lr)),
        "req": back["cwo"](moves.relative(w, OverItsSize(0.99, orthogonal=True)(w, g), lr)),
        "mano": moves.descend(w, Mano()(w, g), lr),
    }
    exact = {
        "muon": moves.relative(w, moves.unit(g), lr),
        "macro": back["ngpt"](moves.relative(w, moves.unit(tangent), lr)),
    }
    for name, rows in {**wanted, **exact}.items():
        assert found[name].point == pytest.approx(rows[0].tolist(), abs=1e-12), name
    # The polar factor by products has a tenth of room.
    assert moves.spectral(w, g, lr, C)[0].tolist() == pytest.approx(found["muon"].point, abs=0.12 * lr * math.sqrt(C))


@pytest.mark.parametrize("length", [1.0, 0.6, 2.0])
def test_a_row_that_is_reparameterized(length: float) -> None:
    """One step of SGD on the row behind, by autograd."""
    w, g, lr = start({})
    layer = nn.Linear(3, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(length * w)
    cwn.weight_standardization(layer, gain=math.sqrt(C))
    (layer.weight * g).sum().backward()
    torch.optim.SGD(layer.parameters(), lr=lr).step()
    assert row_rules(length=length)["ws"].point == pytest.approx(layer.weight[0].tolist(), abs=1e-12)


@pytest.mark.parametrize("settings", SETTINGS)
def test_what_each_rule_keeps(settings: dict[str, float]) -> None:
    found = row_rules(**settings)
    assert set(found) == set(RULES)
    for name, now in found.items():
        assert (abs(now.square - C) < 1e-9) == (name in {"ngpt", "macro", "ws", "nero", "req", "cwo"}), name
        assert (abs(now.offset) < 1e-9) == (name in {"ws", "nero", "req", "cwo"}), name
    rate = settings.get("rate", 0.8)
    assert found["req"].turned == pytest.approx(math.atan(rate))
    assert found["macro"].turned == pytest.approx(math.atan(rate))


def test_every_rule_is_one_of_the_lab_s() -> None:
    assert set(RULES) <= set(IDEAS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"size": 0.0}, "size"), ({"rate": -1.0}, "rate"), ({"length": 0.0}, "length"), ({"angle": math.inf}, "angle")],
)
def test_bad_input_is_named(settings: dict[str, Any], message: str) -> None:
    for call in (row_rules, figures.draw_row_rules):
        with pytest.raises(ValueError, match=message):
            call(**settings)


def test_the_still_figure_names_all_rules() -> None:
    fig = figures.draw_row_rules()
    names = {name for text in fig.axes[1].texts for name in text.get_text().split(", ")}
    assert set(RULES.values()) <= names
    plt.close(fig)


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_letters_of_the_still_figure_can_be_read_on_a_phone(settings: dict[str, float]) -> None:
    """At least ten pixels where the page is 390 wide, 342 of them for the figure, and no two texts on each other."""
    fig = figures.draw_row_rules(**settings)
    fig.canvas.draw()
    shrunk = 342 / (fig.get_figwidth() * 96)
    texts = [text for ax in fig.axes for text in ax.texts]
    assert all(text.get_fontsize() * 96 / 72 * shrunk >= 10 for text in texts)
    boxes = [Text.get_window_extent(text) for text in texts]  # without the line to the point
    assert not [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)]
    assert all(fig.bbox.x0 <= box.x0 and box.x1 <= fig.bbox.x1 for box in boxes)
    plt.close(fig)


def test_the_fragment_is_whole_alone_and_asks_nothing_of_the_network() -> None:
    page = explorable_html("row-rules", {}, alt="A sphere, a row on it and where a step takes it.")
    assert not re.search(r"""\sid=|\bsrc=|@import|\burl\(|\bfetch\(|\bimport\b[ (]|from ["']""", page)
    declared = re.findall(r"^(?:export )?(?:function|const|let) (\w+)", page, re.MULTILINE)
    assert len(declared) == len(set(declared))  # the modules share one scope there
