"""Modules as others write them. Not in a test file, in which pytest would rewrite the asserts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import cwn_lite as cwn


class Checking(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scale = nn.Conv2d(3, 4, 3), cwn.ScaleBias(4)

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == 3
        assert x.dim() == 4 and x.shape[2] > 2, f"too small: {x.shape}"
        if x.shape[3] % 2 != 1:
            raise ValueError(f"odd width wanted, got {x.shape}")
        if not x.is_floating_point():
            raise TypeError("floats")
        return self.scale(self.conv(x))


class BatchNormAct(nn.BatchNorm2d):
    """As timm writes it: batch norm, dropout and activation in one forward."""

    def __init__(self, num_features: int, act: nn.Module, drop: nn.Module | None = None) -> None:
        super().__init__(num_features)
        self.drop, self.act = drop or nn.Identity(), act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(x)))


class Report(nn.Module):
    """Names of its own that a library might want."""

    bond = 7

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body, self.scale = body, nn.Identity()

    def report(self) -> str:
        return "mine"

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.body(x))


def pair() -> nn.Sequential:
    """A convolution and a lively scale, the same ones at each call, in float64."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), cwn.ScaleBias(4)).double()
    nn.init.uniform_(model[1].weight, 0.5, 1.5)
    nn.init.normal_(model[1].bias)
    return model
