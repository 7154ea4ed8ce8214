"""The squared norm of rows that keeps the signal through a leaky ReLU, against random layers."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

import cwn_lite as cwn


def test_the_ends_of_the_leaky_relu() -> None:
    assert cwn.leaky_relu_c(0.0) == pytest.approx(cwn.C_CENTERED)
    assert cwn.leaky_relu_c(0.0, centralize=False) == cwn.C_HE
    assert cwn.leaky_relu_c(1.0) == cwn.leaky_relu_c(1.0, centralize=False) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((float("nan"),), ValueError, "slope must be finite, got nan"),
        (("0.2",), TypeError, "slope must be a number"),
        ((0.2, "yes"), TypeError, "centralize must be True or False"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cwn.leaky_relu_c(*arguments)


@pytest.mark.parametrize("slope", [-1.0, 0.0, 0.01, 0.2, 0.5, 2.0])
@pytest.mark.parametrize("centralize", [False, True])
def test_the_constant_keeps_the_variance(slope: float, centralize: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    inputs = F.leaky_relu(torch.randn(20_000, 256, generator=draw), slope)
    rows = torch.randn(64, 256, generator=draw)
    c = cwn.leaky_relu_c(slope, centralize)
    rows = cwn.project_rows(rows, c) if centralize else cwn.project_rows(rows, c, centralize=False)
    outputs = inputs @ rows.T
    kept = outputs.var(0).mean() if centralize else outputs.square().mean()
    assert kept.item() == pytest.approx(1, abs=0.02 if centralize else 0.25)


def test_without_centring_the_constant_keeps_the_second_moment() -> None:
    values = F.leaky_relu(torch.randn(4_000_000, generator=torch.Generator().manual_seed(0)), 0.2)
    assert cwn.leaky_relu_c(0.2, centralize=False) * values.square().mean().item() == pytest.approx(1, abs=0.005)
    assert cwn.leaky_relu_c(0.2) * values.var().item() == pytest.approx(1, abs=0.005)
