"""Residual branches: found by tracing, started small, and a warning where they are not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import pytest
import torch
from refusals import refused, snapshot
from torch import Tensor, nn
from torch.nn import functional as F

import cwn_lite as cwn
from cwn_lite.lab.models import ResNet, WideResNet
from cwn_lite.lab.vision import import_torchvision


class Residual(nn.Module):
    """Two convolutions and scales beside an identity or a projection, joined as told."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor] = torch.add, shortcut: bool = False) -> None:
        super().__init__()
        self.join = join
        self.conv1, self.scale1 = nn.Conv2d(4, 4, 3, padding=1), cwn.ScaleBias(4)
        self.conv2, self.scale2 = nn.Conv2d(4, 4, 3, padding=1), cwn.ScaleBias(4)
        self.shortcut = nn.Sequential(nn.Conv2d(4, 4, 1), cwn.ScaleBias(4)) if shortcut else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.scale2(self.conv2(F.relu(self.scale1(self.conv1(x)))))
        return F.relu(self.join(y, self.shortcut(x)))


def in_place(x: Tensor, y: Tensor) -> Tensor:
    x += y
    return x


JOINS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "a + b": lambda a, b: a + b,
    "b + a": lambda a, b: b + a,
    "a += b": in_place,
    "add": torch.add,
    "a.add(b)": lambda a, b: a.add(b),
    "a.add_(b)": lambda a, b: a.add_(b),
}


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
@pytest.mark.parametrize("shortcut", [False, True])
def test_each_way_of_adding_is_a_branch(join: Callable[[Tensor, Tensor], Tensor], shortcut: bool) -> None:
    model = nn.Sequential(*(Residual(join, shortcut) for _ in range(4)))
    assert cwn.scale_branches(model) == tuple(f"{i}.scale2" for i in range(4))
    for name, module in model.named_modules():
        if isinstance(module, cwn.ScaleBias):
            assert (module.weight == (0.5 if name.endswith("scale2") else 1.0)).all(), name
    assert cwn.report(model).names("started") == tuple(f"{i}.scale2" for i in range(4))


@pytest.mark.parametrize("join", [torch.mul, lambda a, b: torch.cat([a, b], 1)[:, :4], lambda a, b: a - b])
def test_what_is_no_sum_is_no_branch(join: Callable[[Tensor, Tensor], Tensor]) -> None:
    model = nn.Sequential(Residual(join))
    before = snapshot(model)
    assert cwn.scale_branches(model) == ()
    assert snapshot(model) == before


def test_a_sum_of_equal_paths_is_no_branch() -> None:
    class Fork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Sequential(nn.Conv2d(4, 4, 3), cwn.ScaleBias(4))
            self.b = nn.Sequential(nn.Conv2d(4, 4, 3), cwn.ScaleBias(4))

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x) + self.b(x)

    assert cwn.scale_branches(nn.Sequential(Fork())) == ()


class PreActivation(nn.Module):
    """The scale stands before the last ReLU and convolution, with a gate and dropout behind."""

    def __init__(self) -> None:
        super().__init__()
        self.scale1, self.conv1 = cwn.ScaleBias(4), nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.scale2, self.conv2 = cwn.ScaleBias(4), nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.gate, self.drop = nn.Linear(4, 4), nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.scale1(x)))
        y = self.conv2(F.relu(self.scale2(y)))
        y = y * torch.sigmoid(self.gate(y.mean((2, 3))))[:, :, None, None]
        return x + self.drop(y)


def test_the_last_scale_is_found_behind_gates_and_convolutions() -> None:
    model = nn.Sequential(PreActivation(), PreActivation())
    assert cwn.scale_branches(model) == ("0.scale2", "1.scale2")


def test_a_branch_that_ends_in_several_scales_starts_with_all_of_them() -> None:
    class Split(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Sequential(nn.Conv2d(4, 2, 3, padding=1), cwn.ScaleBias(2))
            self.b = nn.Sequential(nn.Conv2d(4, 2, 3, padding=1), cwn.ScaleBias(2))

        def forward(self, x: Tensor) -> Tensor:
            return x + torch.cat([self.a(x), self.b(x)], 1)

    model = nn.Sequential(Split(), Split(), Split(), Split())
    assert set(cwn.scale_branches(model)) == {f"{i}.{way}.1" for i in range(4) for way in "ab"}
    assert float(model[0].a[1].weight[0].detach()) == 0.5, "by the number of branches, not of scales"


@pytest.mark.parametrize("factor", [lambda y: 0.2 * y, lambda y: y * 0.2, lambda y: y / 5, lambda y: y.mul(0.2)])
def test_a_number_in_the_forward_counts(factor: Callable[[Tensor], Tensor]) -> None:
    """As in NF-ResNets."""
    model = nn.Sequential(*(Residual(lambda a, b: factor(a) + b) for _ in range(100)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # 1.04 ** 100 is about 50, and at 25 blocks 2.7
        cwn.constrain(torch.optim.SGD(model[:25].parameters(), lr=0.1), model[:25])
    with pytest.warns(UserWarning, match="100 residual branches .*50.5-fold"):
        cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model)
    assert len(cwn.scale_branches(model)) == 100
    assert abs(float(model[0].scale2.weight[0].detach()) - 0.5) < 1e-6
    assert len(cwn.scale_branches(model[:4])) == 4
    assert float(model[0].scale2.weight[0].detach()) == 1.0, "no more than 1"


COUNTS = {
    "resnet18": (8, "layer1.0.bn2"),
    "resnet50": (16, "layer1.0.bn3"),
    "regnet_y_400mf": (16, "trunk_output.block1.block1-0.f.c.1"),
    "mobilenet_v2": (10, "features.3.conv.3"),
    "efficientnet_b0": (9, "features.2.1.block.3.1"),
    "densenet121": (0, ""),
    "googlenet": (0, ""),
    "vgg11_bn": (0, ""),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count", "first"), [(n, *c) for n, c in COUNTS.items()], ids=list(COUNTS))
def test_branches_of_torchvision(name: str, count: int, first: str) -> None:
    options = {"init_weights": False} if name == "googlenet" else {}
    model = cwn.replace_batchnorm(getattr(import_torchvision().models, name)(**options))
    names = cwn.scale_branches(model)
    assert len(names) == count and (not names or names[0] == first)


def test_branches_of_the_lab_and_a_start_of_ones_own() -> None:
    assert len(cwn.scale_branches(cwn.replace_batchnorm(ResNet(20)))) == 9
    wide = cwn.replace_batchnorm(WideResNet(10, 16))
    names = cwn.scale_branches(wide, 0.25)
    assert names == ("1.branch.1", "2.branch.1", "3.branch.1") or len(names) == 3
    assert all((wide.get_submodule(name).weight == 0.25).all() for name in names)


def test_the_stream_stays_within_the_bound_of_the_docstring() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.scale = nn.Linear(256, 256, bias=False), cwn.ScaleBias(256)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.scale(self.linear(x))

    torch.manual_seed(0)
    model = nn.Sequential(*(Sum() for _ in range(32)))
    for block in model:
        cwn.project_(block.linear.weight, c=1.0, centralize=False)
    x = torch.randn(64, 256)

    def growth() -> float:
        return float(model(x).detach().square().mean() / x.square().mean())

    assert growth() > 1e8, "without"
    cwn.scale_branches(model)
    assert 2.2 < growth() < 1.1 * math.e


def test_constrain_warns_of_a_stream_that_would_explode_and_not_of_others() -> None:
    def attach(model: nn.Module) -> None:
        cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model)

    net = import_torchvision().models.resnet18
    with pytest.warns(UserWarning, match=r"8 residual branches .*256-fold \(layer1.0.bn2, .* 5 more\).*scale_branches"):
        attach(cwn.replace_batchnorm(net()))
    scaled = cwn.replace_batchnorm(net())
    cwn.scale_branches(scaled)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attach(scaled)
        attach(cwn.replace_batchnorm(net(zero_init_residual=True)))
        attach(net())  # its batch norms normalize


def test_what_ends_without_a_scale_is_named_unless_a_norm_is_on_the_way() -> None:
    class Bare(nn.Module):
        def __init__(self, norm: bool) -> None:
            super().__init__()
            self.norm = nn.GroupNorm(1, 4) if norm else nn.Identity()
            self.conv = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.conv(self.norm(x))

    with pytest.warns(UserWarning, match=r"end in 1\.conv have no scale"):
        assert cwn.scale_branches(nn.Sequential(Residual(), Bare(norm=False))) == ("0.scale2",)
    assert cwn.scale_branches(nn.Sequential(Residual(), Bare(norm=True))) == ("0.scale2",)


def test_bad_arguments_change_nothing() -> None:
    model = nn.Sequential(Residual())
    before = snapshot(model)
    with refused(ValueError, "scale", "-1"):
        cwn.scale_branches(model, -1)
    with refused(ValueError, "scale", "nan"):
        cwn.scale_branches(model, math.nan)
    with refused(TypeError, "model"):
        cwn.scale_branches("model")  # type: ignore[arg-type]
    with refused(ValueError, "replace_batchnorm"):
        cwn.scale_branches(nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)))
    assert snapshot(model) == before
