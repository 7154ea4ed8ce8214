"""Point clouds for the page: what is written into it, and the still figure."""

from __future__ import annotations

import re
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from cwn_lite import figures
from cwn_lite.figures.explorable import explorable_html, to_json
from cwn_lite.figures.point_cloud import POINTS, draw_point_cloud, point_cloud_data
from cwn_lite.lab.augment.cloud_ops import turn
from cwn_lite.lab.data import surfaces

CLOUDS = {
    name: torch.from_numpy(surfaces.cloud(name, 300, np.random.default_rng(k)))
    for k, name in enumerate(surfaces.FAMILIES)
}
MOVES = 0.01 * torch.randn(300, 3, generator=torch.Generator().manual_seed(0))


def test_the_data_are_the_clouds_to_three_digits_and_small() -> None:
    data = point_cloud_data(CLOUDS, MOVES, family=2, jitter=True)
    assert data["names"] == list(surfaces.FAMILIES) and data["start"] == {"family": 2, "jitter": True}
    most = max(POINTS)
    for flat, cloud in zip(data["clouds"], CLOUDS.values(), strict=True):
        assert np.abs(np.reshape(flat, (most, 3)) / 1000 - cloud[:most].double().numpy()).max() <= 0.0005 + 1e-12
    assert (
        np.abs(np.reshape(data["moves"], (most, 3)) / 10_000 - MOVES[:most].double().numpy()).max() <= 0.00005 + 1e-12
    )
    assert len(to_json(data)) < 60_000


@pytest.mark.parametrize(
    ("clouds", "moves", "message"),
    [
        ({"few": torch.zeros(255, 3)}, MOVES, r"few must have the shape \(points, 3\) with 256 .*got \(255, 3\)"),
        ({"flat": torch.zeros(256, 2)}, MOVES, r"flat must have the shape .*got \(256, 2\)"),
        ({"two": torch.zeros(1, 256, 3)}, MOVES, r"two must have the shape .*got \(1, 256, 3\)"),
        (CLOUDS, torch.zeros(32, 3), r"moves must have the shape .*got \(32, 3\)"),
    ],
)
def test_bad_clouds_are_named(clouds: dict[str, torch.Tensor], moves: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        point_cloud_data(clouds, moves)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"points": torch.zeros(3), "near": [0]}, ValueError, r"points must have the shape .*got \(3,\)"),
        ({"points": torch.eye(3), "near": []}, ValueError, "near is empty"),
        ({"points": torch.eye(3), "near": [0], "turn": "30"}, TypeError, "turn must be a number"),
    ],
)
def test_bad_drawings_are_refused(call: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        draw_point_cloud(**call)


def test_the_still_figure_draws_the_turned_points() -> None:
    points, angle = CLOUDS["box"][:32].double(), torch.tensor(0.5, dtype=torch.float64)
    fig = figures.draw_point_cloud(points, [3, 5, 7], turn=float(angle.rad2deg()), tilt=0.0)
    (ax,) = fig.axes
    seen = turn(points[None], torch.stack([angle.cos(), angle.sin()])[None])[0]
    offsets: Any = ax.collections[0].get_offsets()
    assert np.allclose(offsets, seen[:, :2])
    near, chosen = ax.lines[-2], ax.lines[-1]
    assert np.allclose(near.get_xydata(), seen[[5, 7], :2]) and np.allclose(chosen.get_xydata(), seen[3:4, :2])
    plt.close(fig)
    above = figures.draw_point_cloud(points, [0], turn=0.0, tilt=90.0)
    offsets = above.axes[0].collections[0].get_offsets()
    assert np.allclose(offsets, np.stack([points[:, 0], -points[:, 2]], 1))  # from above, z points down
    plt.close(above)


def test_the_fragment_is_whole_alone_and_asks_nothing_of_the_network() -> None:
    page = explorable_html("point-cloud", point_cloud_data(CLOUDS, MOVES), alt="A cloud of points in space, to turn.")
    assert not re.search(r"""\sid=|\bsrc=|@import|\burl\(|\bfetch\(|\bimport\b[ (]|from ["']""", page)
    declared = re.findall(r"^(?:export )?(?:function|const|let) (\w+)", page, re.MULTILINE)
    assert len(declared) == len(set(declared))  # the modules share one scope there
