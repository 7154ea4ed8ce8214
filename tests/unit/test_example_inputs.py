"""What a tracer cannot see, a real input shows: pairs that would change the model's numbers are refused."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import cwn_lite as cwn

X = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))


class Sly(nn.Module):
    """Uses the convolution's output a second time where tracing does not look, in one way of several."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.conv, self.scale = nn.Conv2d(3, 4, 3), cwn.ScaleBias(4, noise_std=0.5)
        self.second, self.other = nn.Conv2d(4, 4, 3), cwn.ScaleBias(4, noise_std=0.5)

    def forward(self, x: Tensor) -> Any:
        y = self.conv(x)
        z = self.scale(y)
        real = type(y) is Tensor
        if self.way == "type" and real:
            z = z + y
        if self.way == "only in training" and real and self.training:
            z = z + y
        if self.way == "kept" and real:
            self.feature = y
        if self.way == "tracing" and not torch.fx._symbolic_trace.is_fx_tracing():
            z = z * y
        if self.way == "second output" and real:
            return self.other(self.second(z)), {"y": [y]}
        return self.other(self.second(z))


WAYS = ["type", "only in training", "kept", "tracing", "second output"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("double", [True, False])
def test_the_pair_that_differs_is_refused_and_the_other_is_changed(way: str, double: bool) -> None:
    torch.manual_seed(0)
    model, x = Sly(way), X
    if double:
        model, x = model.double(), X.double()
    state = {name: p.clone() for name, p in model.state_dict().items()}
    attributes = sorted(vars(model))
    folded = cwn.fold(model.eval(), example_inputs=x)
    cwn.fuse(model.train(), example_inputs=(x,))
    assert sorted(vars(model)) == attributes and model.training
    assert all(torch.equal(p, state[name]) for name, p in model.state_dict().items())
    only_fuse = way == "only in training"
    lines = {line.name: line for line in cwn.report(model)}
    assert (lines["scale"].action, lines["scale"].code) == ("kept", "differs")
    assert lines["other"].action == "fused"
    assert cwn.report(folded).names("folded") == (("scale", "other") if only_fuse else ("other",))


def test_without_an_example_they_are_changed_and_wrong() -> None:
    """The check can fail: what it prevents happens without it."""
    model = Sly("type").eval()
    nn.init.constant_(model.scale.weight, 2.0)
    assert (cwn.fold(model)(X) - model(X)).abs().max() > 0.1


def test_a_fresh_scale_hides_nothing() -> None:
    """At a scale of 1 and a bias of 0 a wrong pair changes no number; the trial takes others."""
    model = Sly("type").eval()
    assert torch.allclose(cwn.fold(model)(X), model(X), atol=1e-5)
    assert cwn.report(cwn.fold(model, example_inputs=X)).names("kept") == ("scale",)


class Deep(nn.Module):
    """Many pairs, three of which are used elsewhere."""

    def __init__(self, wrong: set[int]) -> None:
        super().__init__()
        self.wrong = wrong
        self.convs = nn.ModuleList([nn.Conv1d(4, 4, 1) for _ in range(20)])
        self.scales = nn.ModuleList([cwn.ScaleBias(4) for _ in range(20)])

    def forward(self, x: Tensor) -> Tensor:
        for i, (conv, scale) in enumerate(zip(self.convs, self.scales, strict=True)):
            y = conv(x)
            x = x + 0.1 * scale(y)
            if i in self.wrong and type(y) is Tensor:
                x = x + y
        return x


@pytest.mark.parametrize("wrong", [set(), {0}, {3, 11, 12}, set(range(20))])
def test_exactly_the_culprits_among_many_are_refused(wrong: set[int]) -> None:
    model = cwn.fuse(Deep(wrong), example_inputs=torch.randn(2, 4, 5))
    assert cwn.report(model).names("kept") == tuple(f"scales.{i}" for i in sorted(wrong))


class Out(NamedTuple):
    y: Tensor


class Keywords(nn.Module):
    """Asks for its own dtype, takes several arguments, and answers with a named tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scale, self.norm = nn.Conv2d(3, 4, 3), cwn.ScaleBias(4), nn.BatchNorm2d(4)
        self.count = 0

    def forward(self, x: Tensor, index: Tensor, extras: dict[str, Any], flag: bool = False) -> Out:
        if x.dtype != torch.float32:
            raise TypeError("float32 is wanted")
        self.count += 1
        return Out(self.norm(self.scale(self.conv(x)))[index] + extras["shift"])


def test_several_arguments_other_dtypes_and_statistics_are_no_obstacle() -> None:
    model = Keywords()
    arguments = (X, torch.tensor([1, 0]), {"shift": torch.ones(1), "name": "x"}, True)
    assert cwn.report(cwn.fuse(model, example_inputs=arguments)).names("fused") == ("scale",)
    assert model.count == 0 and int(model.norm.num_batches_tracked) == 0 and model.training
    assert cwn.report(cwn.fold(model.eval(), example_inputs=arguments)).names("folded") == ("scale",)


def test_an_example_that_the_model_does_not_take_is_an_error_and_changes_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), cwn.ScaleBias(4))
    with pytest.raises(ValueError, match=r"model does not run on example_inputs in training mode: RuntimeError"):
        cwn.fuse(model, example_inputs=torch.randn(2, 5, 6, 6))
    assert type(model[0]) is nn.Conv2d
    with pytest.raises(ValueError, match="in eval mode"):
        cwn.fold(model.eval(), example_inputs=())


class Crossed(nn.Module):
    """Draws its noise in another order than its layers are called in, with a dropout in between."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)])
        self.scales = nn.ModuleList([cwn.ScaleBias(4, noise_std=0.9), cwn.ScaleBias(4, noise_std=0.9)])
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.convs[0](x), self.convs[1](self.dropout(x))
        return self.scales[1](b) * self.scales[0](a)


def test_dropout_and_noise_are_no_difference() -> None:
    model = Crossed()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    assert cwn.report(cwn.fuse(model, example_inputs=X)).names("fused") == ("scales.0", "scales.1")
    assert torch.equal(torch.get_rng_state(), state) and model.scales[0].noise_std == 0.9


def test_both_functions_take_it() -> None:
    for function in (cwn.fuse, cwn.fold):
        assert "example_inputs" in inspect.signature(function).parameters
