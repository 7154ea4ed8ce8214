"""Residual branches: found by tracing, started small, and a warning where they are not."""

from __future__ import annotations

import copy
import functools
import math
import warnings
from collections.abc import Callable

import pytest
import torch
from refusals import refused, snapshot
from torch import Tensor, nn
from torch.nn import functional as F

import cwn_lite as cwn
from cwn_lite.lab.nets.networks import ResNet, WideResNet
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
    "a - b": lambda a, b: b - a,
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


@pytest.mark.parametrize("join", [torch.mul, lambda a, b: torch.cat([a, b], 1)[:, :4]])
def test_what_is_no_sum_is_no_branch(join: Callable[[Tensor, Tensor], Tensor]) -> None:
    model = nn.Sequential(Residual(join))
    before = snapshot(model)
    assert cwn.scale_branches(model) == ()
    assert snapshot(model) == before


class Paths(nn.Module):
    """Paths with one convolution each, as in networks that merge them for inference; with or without a shortcut."""

    def __init__(self, paths: int, shortcut: bool, width: int = 16) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)) for _ in range(paths)
        )
        self.drop, self.shortcut = nn.Dropout(0.0), shortcut

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.drop(sum(path(x) for path in self.paths))
        return F.relu(x + y if self.shortcut else y)


@pytest.mark.parametrize("paths", [2, 3, 4])
@pytest.mark.parametrize("shortcut", [False, True])
def test_a_sum_of_equal_paths_is_as_large_as_one(paths: int, shortcut: bool) -> None:
    """All of them start, so that together they are one branch, or with no shortcut the stream itself."""

    def network() -> nn.Sequential:
        torch.manual_seed(0)
        blocks = (Paths(paths, shortcut) for _ in range(12))
        return cwn.replace_batchnorm(
            nn.Sequential(nn.Conv2d(16, 16, 1), nn.ReLU(), *blocks), c=cwn.C_CENTERED, classifier=()
        )

    model, x = network(), torch.randn(32, 16, 6, 6)
    names = cwn.scale_branches(model)
    assert len(names) == 12 * paths
    wanted = (paths * (12 if shortcut else 1)) ** -0.5
    assert all(model.get_submodule(name).weight.tolist() == pytest.approx([wanted] * 16) for name in names)
    before, after = (float(part(x).detach().square().mean()) for part in (model[:2], model))
    assert 0.1 < after / before < 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model)
    model = network()
    cause = "residual branches" if shortcut else "sums of equal paths"
    with pytest.warns(UserWarning, match=rf"{cause} would make .*-fold .*scale_branches"):
        cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model)


def test_at_zero_branches_are_silent_and_equal_paths_are_not() -> None:
    model = cwn.replace_batchnorm(nn.Sequential(Paths(2, False), Paths(2, True)), classifier=())
    cwn.scale_branches(model, 0.0)
    first, second = (float(block.paths[0][1].weight[0].detach()) for block in model)
    assert (first, second) == (pytest.approx(0.5**0.5), 0.0)


def test_a_map_whose_output_goes_elsewhere_too_has_its_scale() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.norm = nn.Linear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = self.second(self.first(x))
            return self.norm(y), y

    model = cwn.replace_batchnorm(Both(), c=cwn.C_CENTERED, classifier=())
    assert cwn.scale_branches(model) == ("norm",)
    assert model.norm.weight.tolist() == pytest.approx([cwn.C_CENTERED**-0.5] * 4)


def test_maps_side_by_side_make_no_longer_path() -> None:
    class Halves(nn.Module):
        """Two halves of the channels by a convolution each, beside one that makes all of them."""

        def __init__(self) -> None:
            super().__init__()
            self.whole = nn.Sequential(nn.Conv2d(4, 4, 1), cwn.ScaleBias(4))
            self.halves = nn.ModuleList(nn.Sequential(nn.Conv2d(4, 2, 1), cwn.ScaleBias(2)) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            return self.whole(x) + torch.cat([half(x) for half in self.halves], 1)

    model = nn.Sequential(Halves())
    assert set(cwn.scale_branches(model)) == {"0.whole.1", "0.halves.0.1", "0.halves.1.1"}
    assert all(model.get_submodule(f"0.{name}").weight[0] == 0.5**0.5 for name in ("whole.1", "halves.0.1"))


def test_of_the_larger_of_two_paths_both_start() -> None:
    class Larger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.paths = nn.ModuleList(nn.Sequential(nn.Conv2d(4, 4, 1), cwn.ScaleBias(4)) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            return x + torch.maximum(self.paths[0](x), self.paths[1](x))

    assert cwn.scale_branches(nn.Sequential(Larger())) == ("0.paths.0.1", "0.paths.1.1")


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


FACTORS: dict[str, Callable[[Tensor], Tensor]] = {
    "0.2 y": lambda y: 0.2 * y,
    "y 0.2": lambda y: y * 0.2,
    "y / 5": lambda y: y / 5,
    "mul": lambda y: y.mul(0.2),
    "mul, other=": lambda y: torch.mul(y, other=0.2),
    "div, other=": lambda y: torch.div(y, other=5),
}


@pytest.mark.parametrize("factor", FACTORS.values(), ids=FACTORS)
def test_a_number_in_the_forward_counts(factor: Callable[[Tensor], Tensor]) -> None:
    """As in NF-ResNets."""
    model = nn.Sequential(*(Residual(lambda a, b: factor(a) + b) for _ in range(100)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # 1.04 ** 100 is about 50, and at 25 blocks 2.7
        cwn.constrain(torch.optim.SGD(model[:25].parameters(), lr=0.1), model[:25])
    with pytest.warns(UserWarning, match="50.5-fold .*100 branches"):
        cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model)
    assert len(cwn.scale_branches(model)) == 100
    assert abs(float(model[0].scale2.weight[0].detach()) - 0.5) < 1e-6
    assert len(cwn.scale_branches(model[:4])) == 4
    assert float(model[0].scale2.weight[0].detach()) == 1.0, "no more than 1"


COUNTS = {
    "resnet18": (8, "layer1.0.bn2"),
    "resnet50": (16, "layer1.0.bn3"),
    "regnet_y_400mf": (16, "trunk_output.block1.block1-0.f.c.1"),
    # And behind linear bottlenecks, and behind gates in blocks that are no branch.
    "mobilenet_v2": (10 + 17, "features.3.conv.3"),
    "efficientnet_b0": (9 + 16 + 7, "features.2.1.block.3.1"),
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


def test_without_an_activation_before_it_a_map_starts_with_rows_of_norm_one() -> None:
    """Then linear bottlenecks keep the second moment, which the constant of activations would multiply at each."""

    class Bottleneck(nn.Sequential):
        def __init__(self) -> None:
            wide = [nn.Conv2d(64, 256, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU()]
            super().__init__(*wide, nn.Dropout(0.0), nn.Conv2d(256, 64, 1, bias=False), nn.BatchNorm2d(64))

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(64, 64, 1), *(Bottleneck() for _ in range(8)), nn.Flatten(), nn.Linear(1024, 3))
    cwn.replace_batchnorm(model, c=cwn.C_CENTERED)
    x = torch.randn(32, 64, 4, 4)
    before = float(model[:9](x).detach().square().mean())
    names = cwn.scale_branches(model)
    assert (
        names == tuple(f"{i}.1" for i in range(1, 9)) == cwn.scale_branches(model) == cwn.report(model).names("started")
    )
    assert all((model.get_submodule(name).weight == cwn.C_CENTERED**-0.5).all() for name in names)
    after = float(model[:9](x).detach().square().mean())
    assert 1 < after < 5 and before > 100 * after  # the first layer has no scale
    assert all((block[5].weight == 1).all() for block in model[1:9])


def test_of_a_branch_that_no_activation_feeds_both_factors_count() -> None:
    def of(c: float, **told: bool) -> float:
        layers = [nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)) for _ in range(4)]

        class Adds(nn.Module):
            def __init__(self, part: nn.Module) -> None:
                super().__init__()
                self.part = part

            def forward(self, x: Tensor) -> Tensor:
                y: Tensor = x + self.part(x)
                return y

        model = nn.Sequential(nn.Linear(4, 4), *map(Adds, layers), nn.Linear(4, 2))
        cwn.replace_batchnorm(model, c=c, **told)
        cwn.scale_branches(model)
        return float(layers[0][1].weight[0].detach())

    assert of(4.0) == 0.25
    assert of(4.0, spherize=False) == 0.5, "rows of any norm"


def test_branches_of_the_lab_and_a_start_of_ones_own() -> None:
    assert len(cwn.scale_branches(cwn.replace_batchnorm(ResNet(20)))) == 9
    wide = cwn.replace_batchnorm(WideResNet(10, 16))
    names = cwn.scale_branches(wide, 0.25)
    assert names == ("1.branch.1", "2.branch.1", "3.branch.1"), "before the last convolution, as the lab has it"
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
    with pytest.warns(UserWarning, match=r"fold \(8 branches: layer1.0.bn2, .* 5 more\).*scale_branches"):
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


def test_the_way_out_is_one_that_is_still_open() -> None:
    class Bare(nn.Module):
        def __init__(self, norm: bool) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(4) if norm else nn.Identity()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.linear(self.norm(x))

    def attach(model: nn.Module) -> None:
        cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model)

    first = [nn.Linear(4, 4), cwn.ScaleBias(4), nn.ReLU()]
    with pytest.warns(UserWarning, match=r"32-fold \(5 branches: .*\): they have no scale to start small"):
        attach(nn.Sequential(*first, *(Bare(norm=False) for _ in range(5)), nn.Linear(4, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # their sum grows by one for each
        attach(nn.Sequential(*copy.deepcopy(first), *(Bare(norm=True) for _ in range(20)), nn.Linear(4, 3)))


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


def blocks(forward: Callable[[nn.ModuleDict, Tensor], Tensor], count: int = 8, **shared: nn.Module) -> nn.Sequential:
    """Blocks with two branches `f` and `g`, each a convolution and a scale, and what they share."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = nn.ModuleDict(
                {name: nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), cwn.ScaleBias(4)) for name in "fg"} | shared
            )

        def forward(self, x: Tensor) -> Tensor:
            return forward(self.part, x)

    return nn.Sequential(*(Block() for _ in range(count)))


def starts(model: nn.Sequential, part: str) -> list[float]:
    return [round(float(block.part[part][1].weight[0].detach()), 4) for block in model]


def test_a_module_that_all_branches_share_does_not_hide_them() -> None:
    model = blocks(lambda part, x: x + part["drop"](part["f"](x)), drop=nn.Dropout(0.1))
    cwn.scale_branches(model)
    assert starts(model, "f") == [0.3536] * 8


def test_every_term_of_a_longer_sum_counts() -> None:
    model = blocks(lambda part, x: x + part["f"](x) + part["g"](x), count=2)
    cwn.scale_branches(model)
    assert starts(model, "f") == starts(model, "g") == [0.5, 0.5]


def test_a_branch_that_is_itself_a_sum_is_as_large_as_one() -> None:
    model = blocks(lambda part, x: x + F.relu(part["f"](x) + part["g"](x)), count=2)
    cwn.scale_branches(model)
    assert starts(model, "f") == starts(model, "g") == [0.5, 0.5]


PRODUCTS: list[Callable[[nn.ModuleDict, Tensor], Tensor]] = [
    lambda part, x: x + part["f"](x) * torch.sigmoid(part["g"](x)),
    lambda part, x: x + torch.sigmoid(part["g"](x)) * part["f"](x),
    lambda part, x: x + F.hardsigmoid(part["g"](x)).mul(part["f"](x)),
]


@pytest.mark.parametrize("product", PRODUCTS)
def test_of_a_product_the_signal_is_scaled_and_not_its_gate(product: Callable[[nn.ModuleDict, Tensor], Tensor]) -> None:
    model = blocks(product)
    cwn.scale_branches(model)
    # Twice 1/√8: the gate halves it.
    assert starts(model, "f") == [0.7071] * 8 and starts(model, "g") == [1.0] * 8


class Excited(nn.Sequential):
    """A block of a MobileNetV3 or an EfficientNet, as wide inside as outside."""

    def __init__(
        self,
        way: Callable[[nn.Module, Tensor], Tensor],
        width: int = 64,
        inside: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        conv = functools.partial(nn.Conv2d, width, width, 1, bias=False)
        super().__init__(conv(), nn.BatchNorm2d(width), inside(), Gated(way, width), conv(), nn.BatchNorm2d(width))


class Gated(nn.Module):
    def __init__(self, way: Callable[[nn.Module, Tensor], Tensor], width: int) -> None:
        super().__init__()
        self.way, self.layers = way, nn.Sequential(nn.Conv2d(width, 4, 1), nn.ReLU(), nn.Conv2d(4, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self.layers, x)


def gate(layers: nn.Module, x: Tensor) -> Tensor:
    return torch.sigmoid(layers(x.mean((2, 3), keepdim=True)))


# Ways to write a gate -> what it leaves of a signal.
GATES: dict[str, tuple[Callable[[nn.Module, Tensor], Tensor], float]] = {
    "sigmoid": (lambda layers, x: x * gate(layers, x), 0.5),
    "hardsigmoid": (lambda layers, x: F.hardsigmoid(layers(x.mean((2, 3), keepdim=True))) * x, 0.5),
    "reshaped": (lambda layers, x: x.mul(gate(layers, x).flatten(1)[:, :, None, None].expand_as(x)), 0.5),
    "before a ReLU": (lambda layers, x: F.relu(x * gate(layers, x)), 0.5),
    "before a pooling": (lambda layers, x: F.max_pool2d(x * gate(layers, x), 3, 1, 1), 0.5),
    "doubled there": (lambda layers, x: 2 * (x * gate(layers, x)), 1.0),
    "doubled before": (lambda layers, x: 2 * x * gate(layers, x), 1.0),
    "twice": (lambda layers, x: x * (gate(layers, x) * gate(layers, x)), 0.25),
    "in a row": (lambda layers, x: twice(layers, x * gate(layers, x)), 0.25),
    "an activation": (lambda _, x: x * torch.sigmoid(x), 1.0),
    "an activation behind": (lambda layers, x: F.gelu(x * gate(layers, x)), 1.0),
    "a softmax": (lambda layers, x: x * torch.softmax(layers(x), 1), 1.0),
}


def twice(layers: nn.Module, x: Tensor) -> Tensor:
    return x * torch.sigmoid(layers(x.amax((2, 3), keepdim=True)))


@pytest.mark.parametrize(("way", "left"), GATES.values(), ids=GATES)
def test_what_a_gate_halves_is_doubled_behind_the_next_map(
    way: Callable[[nn.Module, Tensor], Tensor], left: float
) -> None:
    torch.manual_seed(0)
    blocks = [nn.Sequential(Excited(way), nn.ReLU()) for _ in range(8)]
    model = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(1024, 3))
    cwn.replace_batchnorm(model, c=cwn.C_CENTERED)
    names = cwn.scale_branches(model)
    assert names == (tuple(f"{i}.0.5" for i in range(8)) if left < 1 else ())
    assert names == cwn.report(model).names("started")
    assert all((block[0][5].weight == 1 / left).all() and (block[0][1].weight == 1).all() for block in model[:8])


def test_gates_in_a_row_neither_let_the_signal_vanish_nor_explode() -> None:
    torch.manual_seed(0)
    # Without an activation before the gate the rows behind it start at norm one, too.
    for inside, start in ((nn.ReLU, 2.0), (nn.Identity, 2 * cwn.C_CENTERED**-0.5)):
        blocks = [nn.Sequential(Excited(GATES["sigmoid"][0], inside=inside), nn.ReLU()) for _ in range(8)]
        model = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(1024, 3))
        cwn.replace_batchnorm(model, c=cwn.C_CENTERED)
        x = torch.randn(32, 64, 4, 4)
        before = float(model[:8](x).detach().square().mean())
        cwn.scale_branches(model)
        assert before < 1 and all(block[0][5].weight[0].item() == pytest.approx(start) for block in model[:8])
        assert 0.1 < float(model[:8](x).detach().square().mean()) < 100


def test_a_gate_that_starts_open_or_is_not_always_there_is_left_alone() -> None:
    opened = nn.Sequential(Excited(GATES["sigmoid"][0]), nn.Flatten(), nn.Linear(1024, 3))
    nn.init.constant_(opened[0][3].layers[2].bias, 4.0)
    cwn.replace_batchnorm(opened)
    assert cwn.scale_branches(opened) == ()

    def at_times(layers: nn.Module, x: Tensor) -> Tensor:
        return x * gate(layers, x) if layers.training else x

    model = nn.Sequential(Excited(at_times), nn.Flatten(), nn.Linear(1024, 3))
    cwn.replace_batchnorm(model)
    assert cwn.scale_branches(model) == cwn.scale_branches(model.eval()) == ()


def test_an_input_may_have_any_name() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.scale, self.head = nn.Conv2d(4, 4, 1), cwn.ScaleBias(4), nn.Conv2d(4, 4, 1)

        def forward(self, relu: Tensor) -> Tensor:
            y: Tensor = self.head(self.scale(self.conv(relu)))
            return y

    assert cwn.scale_branches(Named()) == ()


def test_in_a_gated_branch_both_factors_count_and_the_stream_is_not_warned_of() -> None:
    class Adds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = Excited(GATES["sigmoid"][0])

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = x + self.part(x)
            return y

    model = nn.Sequential(*(Adds() for _ in range(16)), nn.Flatten(), nn.Linear(1024, 3))
    cwn.replace_batchnorm(model, c=cwn.C_CENTERED)
    assert len(cwn.scale_branches(model)) == 16
    assert all((block.part[5].weight == 0.5).all() for block in model[:16])
    assert any("a gate halves" in line.reason for line in cwn.report(model))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model)


def test_a_mask_made_from_the_number_of_images_is_said_to_be_unreadable() -> None:
    def forward(part: nn.ModuleDict, x: Tensor) -> Tensor:
        keep = torch.rand(x.shape[0], 1, 1, 1) < 0.9
        return x + part["f"](x) * keep / 0.9

    model = blocks(forward)
    with pytest.warns(
        UserWarning, match="forward of 0, 1, 2 and 5 more could not be traced .*set the scales there yourself"
    ):
        assert cwn.scale_branches(model) == ()
    assert starts(model, "f") == [1.0] * 8


def test_one_block_called_many_times_counts_each_time() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Residual()

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(16):
                x = self.block(x)
            return x

    model = Loop()
    assert cwn.scale_branches(model) == ("block.scale2",)
    assert float(model.block.scale2.weight[0].detach()) == 0.25


def test_blocks_that_are_skipped_at_random_are_all_found() -> None:
    def forward(part: nn.ModuleDict, x: Tensor) -> Tensor:
        if part.training and torch.rand(1).item() < 0.5:
            return x
        return x + part["f"](x)

    model = blocks(forward).train()
    cwn.scale_branches(model)
    assert starts(model, "f") == [0.3536] * 8


def test_what_cannot_be_traced_is_said() -> None:
    model = blocks(lambda part, x: x + part["f"](x) if x.sum() > 0 else x, count=2)
    with pytest.warns(UserWarning, match="could not be traced .*set the scales there yourself"):
        assert cwn.scale_branches(model) == ()


QUIET: dict[str, Callable[[nn.ModuleDict, Tensor], Tensor]] = {
    "alpha": lambda part, x: torch.add(x, part["f"](x), alpha=0.1),
    "method alpha": lambda part, x: x.add(part["f"](x), alpha=0.1),
    "sum divided": lambda part, x: (x + part["f"](x)) / math.sqrt(2),
    "true_divide": lambda part, x: x + torch.true_divide(part["f"](x), 10),
    "norm behind": lambda part, x: part["norm"](x + part["f"](x)),
    "concatenated": lambda part, x: torch.cat([x, part["f"](x)], 1)[:, :4],
}


@pytest.mark.parametrize("forward", QUIET.values(), ids=QUIET)
def test_a_stream_that_does_not_explode_is_not_warned_of(forward: Callable[[nn.ModuleDict, Tensor], Tensor]) -> None:
    model = blocks(forward, norm=nn.GroupNorm(1, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model)
    with pytest.warns(UserWarning, match="256-fold"):  # and the same with a plain sum is
        plain = blocks(lambda part, x: x + part["f"](x))
        cwn.constrain(torch.optim.SGD(plain.parameters(), lr=0.1), plain)


def test_a_layer_scale_counts() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), cwn.ScaleBias(4))
            self.gamma = nn.Parameter(torch.full((4, 1, 1), 1e-3))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.gamma * self.f(x)

    model = nn.Sequential(*(Scaled() for _ in range(8)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model)
    cwn.scale_branches(model)
    assert float(model[0].f[1].weight[0].detach()) == 1.0


def test_a_trained_model_is_not_told_to_start_anew() -> None:
    model = nn.Sequential(*(Residual() for _ in range(8)))
    nn.init.normal_(model[3].scale2.weight, 1.2, 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model)


def test_many_layers_on_a_way_take_neither_time_nor_depth() -> None:
    class Long(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Sequential(nn.Conv2d(2, 2, 1), cwn.ScaleBias(2))
            self.steps = nn.ModuleList(nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU()) for _ in range(300))

        def forward(self, x: Tensor) -> Tensor:
            y = self.head(x)
            for step in self.steps:
                y = y + step(y)
            return x + y

    model = Long()
    with pytest.warns(UserWarning, match="no scale to start small"):
        cwn.scale_branches(model)


def test_a_value_that_a_dtype_cannot_hold_is_refused() -> None:
    model = nn.Sequential(Residual()).half()
    with refused(ValueError, "0.scale2", "float16", "1000000"):
        cwn.scale_branches(model, 1e6)
    assert (model[0].scale2.weight == 1).all()
