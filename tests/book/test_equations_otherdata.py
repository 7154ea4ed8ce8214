"""Every displayed equation of "Other data: point clouds and photographs", read from the page and evaluated."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds
from bookcheck.tight import checker
from torch.nn import functional as F

import cwn_lite as cwn
from cwn_lite.lab.augment.cloud_ops import turn
from cwn_lite.lab.nets.dgcnn import SLOPE, EdgeConv, edges, neighbours

draw = torch.Generator().manual_seed(7)


def rand(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=draw)


check = checker("otherdata")


@pytest.mark.equation("eq:otherdata:edgeconv")
def test_an_edge_convolution_is_the_lab_s() -> None:
    layer = EdgeConv(3, 2, k=4, norm=cwn.ScaleBias).double()
    norm = layer.layers[1]
    assert isinstance(norm, cwn.ScaleBias)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.7, -1.3]))
        norm.bias.copy_(torch.tensor([0.2, -0.4]))
    cloud = rand(1, 3, 9)
    near = neighbours(cloud, 4)
    out = layer(cloud)[0].detach()
    weight = layer.layers[0].weight.detach().flatten(1)
    for point, channel in itertools.product((0, 5), (0, 1)):
        known: dict[str, Any] = {
            "x_i'": float(out[channel, point]),
            r"\max_{j}": np.max,
            "f": lambda z: np.where(z > 0, z, SLOPE * z),
            r"\gamma": norm.weight[channel].item(),
            "w": weight[channel].numpy(),
            "e_{ij}": edges(cloud, near)[0, :, point].numpy(),
            r"\beta": np.full((1, 4), norm.bias[channel].item()),
            "a": SLOPE,
        }
        first, second = formula("eq:otherdata:edgeconv").split(r"\qquad")
        assert holds(first, known)
        for name in ("w", r"\gamma", r"\beta"):
            assert not holds(first, known | {name: 1.1 * known[name]}), name
        for z in (-1.5, 2.0):
            larger: Callable[..., Any] = np.maximum
            values = {"f": lambda _, z=z: F.leaky_relu(torch.tensor(z).double(), SLOPE).item(), r"\max": larger, "z": z}
            assert holds(second, values | {"a": SLOPE})
            assert holds(second, values | {"a": 2 * SLOPE}) == (z > 0)


@pytest.mark.equation("eq:otherdata:share")
def test_centring_takes_one_direction_of_n() -> None:
    """Exactly, over all signs of six weights."""
    rows = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=6)), dtype=torch.float64)
    known = {
        r"\operatorname{E}[(\mathbf 1^\top w)^2]": float(rows.sum(1).square().mean()),
        r"\operatorname{E}[\lVert w \rVert^2]": float(rows.square().sum(1).mean()),
        "n": 6.0,
    }
    check("share", known, r"\operatorname{E}[(\mathbf 1^\top w)^2]", r"\operatorname{E}[\lVert w \rVert^2]")
    kept = (
        cwn.project_rows(rows[1:-1], centralize=True, spherize=False).square().sum(1)
    )  # of equal signs nothing is left
    assert kept.sum() / len(rows) == pytest.approx(6 * (1 - 1 / 6))


@pytest.mark.equation("eq:otherdata:blind")
def test_a_centred_row_is_blind_to_the_neighbour_s_sum() -> None:
    cloud = rand(1, 3, 12)
    near = neighbours(cloud, 5)
    e = edges(cloud, near)[0, :, 4, 3]
    known = {
        r"\mathbf 1_6": np.ones(6),
        r"\mathbf 1_3": np.ones(3),
        "e_{ij}": e.numpy(),
        "x_i": cloud[0, :, 4].numpy(),
        "x_j": cloud[0, :, near[0, 4, 3]].numpy(),
    }
    check("blind", known, "e_{ij}", "x_j")
    w = cwn.project_rows(rand(1, 6))[0]
    assert torch.isclose(w @ e, w @ (e - e.mean())) and not torch.isclose(rand(6) @ e, rand(6) @ (e - e.mean()))


@pytest.mark.equation("eq:otherdata:turns")
def test_the_share_over_all_turns() -> None:
    """Of a cloud without any symmetry, and with its centre elsewhere."""
    cloud = rand(1, 20, 3) * torch.tensor([3.0, 1.0, 0.2]) + torch.tensor([0.4, -1.0, 0.3])
    near = neighbours(cloud.transpose(1, 2), 6)
    angles = torch.arange(8, dtype=torch.float64) * (2 * math.pi / 8)
    turned = turn(cloud.expand(8, -1, -1), torch.stack([angles.cos(), angles.sin()], 1)).transpose(1, 2)
    e = edges(turned, near.expand(8, -1, -1))
    own, apart = e[:, :3], e[:, 3:]
    known = {
        r"\xi": float(e.sum(1).square().sum() / 6 / e.square().sum()),
        r"\operatorname{E}[\lVert x_j \rVert^2]": float((own + apart).square().sum(1).mean()),
        r"\operatorname{E}[\lVert x_i \rVert^2]": float(own.square().sum(1).mean()),
        r"\operatorname{E}[\lVert x_j - x_i \rVert^2]": float(apart.square().sum(1).mean()),
    }
    check("turns", known, *known)


@pytest.mark.equation("eq:otherdata:half")
def test_an_edge_whose_differences_vanish() -> None:
    n, c, m, v = 8, 2.5, 0.7, 1.4
    rows = cwn.project_rows(rand(1000, n), c)
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=n // 2)), dtype=torch.float64)
    e = torch.cat([m + math.sqrt(v) * signs, torch.zeros_like(signs)], 1)  # mean m, variance v, independent
    centred = e - e.mean(1, keepdim=True)
    exact = c / (n - 1) * float(centred.square().sum(1).mean())
    known = {r"\operatorname{E}[(w^\top e)^2]": exact, "c": c, "v": v, "m": m, "n": float(n)}
    check("half", known, "c", "v", "m", "n")
    assert (e @ rows.mT).square().mean().item() == pytest.approx(exact, rel=0.1)
    # The first term is what differs from point to point, to one in n; the second is a number per channel.
    assert (e @ rows.mT).var(0, correction=0).mean().item() == pytest.approx(c * v / 2, rel=0.1)
