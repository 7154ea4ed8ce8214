"""`fold`: equal outputs, nothing left where a scale follows a linear map, and a reason wherever it cannot be done."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

import cwn_lite as cwn

CONTROL_FLOW = "UntraceableError: symbolically traced variables cannot be used as inputs to control flow"


def lively(model: nn.Module) -> nn.Module:
    """Float64, eval mode, noise that must not matter, and scales and biases of either sign."""
    for module in model.modules():
        if isinstance(module, cwn.ScaleBias):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            module.noise_std = 0.5
    return model.double().eval()


def scales(model: nn.Module) -> list[str]:
    return [name for name, m in model.named_modules() if isinstance(m, cwn.ScaleBias)]


def check(model: nn.Module, *inputs: Tensor, kept: dict[str, str]) -> nn.Module:
    """Fold and compare outputs, names and reasons of what is kept, and the original before and after."""
    model = lively(model)
    before = copy.deepcopy(model.state_dict())
    all_scales = scales(model)
    folded = cwn.fold(model)
    expected = model(*inputs)
    torch.testing.assert_close(folded(*inputs), expected, rtol=1e-12, atol=1e-12 * float(expected.detach().abs().max()))
    reasons = {line.name: line.reason for line in cwn.report(folded) if line.action == "kept"}
    assert reasons == kept
    assert scales(folded) == list(kept) and not folded.training
    assert [line.name for line in cwn.report(folded)] == all_scales == scales(model), "the original keeps its scales"
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    places = {p.data_ptr() for p in model.parameters()}
    assert not any(p.data_ptr() in places for p in folded.parameters()), "and shares no memory with the copy"
    return folded


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda b: nn.Linear(5, 4, bias=b), (3, 5)),
        (lambda b: nn.Conv1d(2, 4, 3, bias=b), (3, 2, 8)),
        (lambda b: nn.Conv2d(6, 4, 3, stride=2, padding=1, groups=2, bias=b), (2, 6, 7, 7)),
        (lambda b: nn.Conv2d(4, 4, 3, padding=1, groups=4, padding_mode="reflect", bias=b), (2, 4, 5, 5)),
        (lambda b: nn.Conv3d(2, 4, (1, 2, 3), dilation=2, bias=b), (2, 2, 4, 5, 6)),
        (lambda b: nn.ConvTranspose1d(3, 4, 4, stride=2, bias=b), (2, 3, 6)),
        (lambda b: nn.ConvTranspose2d(6, 4, 3, stride=2, output_padding=1, groups=2, bias=b), (2, 6, 4, 4)),
        (lambda b: nn.ConvTranspose3d(4, 4, 2, groups=4, bias=b), (2, 4, 3, 3, 3)),
    ],
    ids=["linear", "conv1d", "grouped", "depthwise", "conv3d", "transposed 1d", "transposed grouped", "transposed 3d"],
)
def test_every_layer_kind_absorbs_its_scale(layer, shape: tuple[int, ...], bias: bool) -> None:
    folded = check(nn.Sequential(layer(bias), cwn.ScaleBias(4)), torch.randn(shape).double(), kept={})
    assert type(folded[0]) is type(layer(bias)) and type(folded[1]) is nn.Identity
    assert folded[0].bias.shape == (4,)
    assert str(cwn.report(folded)) == "1  ScaleBias  folded  into 0"


def test_eval_mode_is_asked_for_and_named() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Sequential(cwn.ScaleBias(4)))
    with pytest.raises(ValueError, match=r"training mode \(1\.0\); call model\.eval\(\)"):
        cwn.fold(net)
    net.eval()[1][0].train()
    with pytest.raises(ValueError, match=r"training mode \(1\.0\)"):
        cwn.fold(net)
    with pytest.raises(ValueError, match=r"training mode \(model\)"):
        cwn.fold(nn.Sequential(nn.Linear(3, 4)))


def test_scales_in_front_of_a_linear_map_stay() -> None:
    """Pre-activation: scale, ReLU, convolution. Only the one behind a convolution can go."""
    net = nn.Sequential(cwn.ScaleBias(2), nn.ReLU(), nn.Conv2d(2, 4, 3), cwn.ScaleBias(4), nn.ReLU(), cwn.ScaleBias(4))
    kept = {"0": "it follows an input, no linear map", "5": "it follows ReLU 4, no linear map"}
    check(net, torch.randn(2, 2, 5, 5).double(), kept=kept)


class Fork(nn.Module):
    """One convolution, used a second time in a way that ``use`` says."""

    def __init__(self, use: str) -> None:
        super().__init__()
        self.use = use
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.scale, self.other = cwn.ScaleBias(3), cwn.ScaleBias(3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        if self.use == "residual":
            return self.other(self.scale(h) + h)
        if self.use == "two scales":
            return self.scale(h) + self.other(h)
        if self.use == "functional":
            return self.scale(h) + self.other(F.conv2d(x, self.conv.weight, padding=1))
        if self.use == "called twice":
            return self.scale(h) + self.other(self.conv(h).relu())
        if self.use == "in place":
            h.relu_()
            return self.other(self.scale(h).relu())
        return self.other(self.scale(h) + self.conv.bias.view(1, 3, 1, 1))


ELSEWHERE = "conv or its parameters may be used elsewhere too"


@pytest.mark.parametrize(
    ("use", "scale", "other"),
    [
        ("residual", "conv also feeds add()", "it follows add(), no linear map"),
        ("two scales", "conv also feeds other", "conv also feeds scale"),
        ("functional", ELSEWHERE, "it follows conv2d(), no linear map"),
        ("called twice", "conv also feeds conv, relu()", "it follows relu(), no linear map"),
        ("in place", "conv also feeds relu_()", "it follows relu(), no linear map"),
        ("bias", ELSEWHERE, "it follows add(), no linear map"),
    ],
)
def test_a_linear_map_with_another_use_keeps_its_scale(use: str, scale: str, other: str) -> None:
    check(Fork(use), torch.randn(2, 3, 5, 5).double(), kept={"scale": scale, "other": other})


def test_a_scale_behind_two_layers_stays() -> None:
    shared = cwn.ScaleBias(4)
    net = nn.Sequential(nn.Linear(4, 4), shared, nn.ReLU(), nn.Linear(4, 4), shared)
    check(net, torch.randn(3, 4).double(), kept={"1": "it is fed by several layers: 0, 3"})


def test_a_pair_used_twice_under_other_names_is_folded_once() -> None:
    linear, scale = nn.Linear(4, 4), cwn.ScaleBias(4)
    folded = check(nn.Sequential(linear, scale, nn.Tanh(), linear, scale), torch.randn(3, 4).double(), kept={})
    assert type(folded[1]) is type(folded[4]) is nn.Identity and folded[0] is folded[3]


def test_tied_weights_part_where_their_scales_differ() -> None:
    net = nn.Sequential(
        nn.Linear(4, 4), cwn.ScaleBias(4), nn.Tanh(), nn.Linear(4, 4), cwn.ScaleBias(4), nn.Linear(4, 4)
    )
    net[3].weight = net[5].weight = net[0].weight
    net[3].bias = net[0].bias
    check(net, torch.randn(3, 4).double(), kept={})


class Branching(nn.Module):
    """Control flow that depends on the data, around parts that a tracer can read, with layers in two places each."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.scale = nn.Linear(4, 4), cwn.ScaleBias(4)
        shared = nn.Linear(4, 4)
        self.positive = nn.Sequential(nn.Linear(4, 4), cwn.ScaleBias(4), nn.ReLU(), shared, cwn.ScaleBias(4))
        self.negative = nn.ModuleDict({"path": nn.Sequential(nn.Tanh(), shared, nn.Linear(4, 4), cwn.ScaleBias(4))})
        self.last = self.negative["path"][2]

    def forward(self, x: Tensor) -> Tensor:
        h = self.scale(self.stem(x))
        return self.positive(h) if h.sum() > 0 else self.last(self.negative["path"](h))


def test_parts_of_an_untraceable_forward_are_folded() -> None:
    """Not the pair in the untraceable part itself, nor a layer that another part uses too, or may use.

    What cannot be traced may iterate over a Sequential, so its layers count only if an example shows what they do.
    """
    kept = {
        "positive.1": f"{ELSEWHERE.replace('conv', 'positive.0')} (the forward raised {CONTROL_FLOW})",
        "scale": f"its place in the forward pass could not be traced (the forward raised {CONTROL_FLOW})",
        "positive.4": "positive.3 also feeds negative.path.2",
        "negative.path.3": f"{ELSEWHERE.replace('conv', 'negative.path.2')} (the forward raised {CONTROL_FLOW})",
    }
    taken = set()
    for _ in range(8):  # either branch
        net, x = Branching(), torch.randn(1, 4).double()
        check(net, x, kept=dict(sorted(kept.items(), key=lambda item: scales(net).index(item[0]))))
        folded = cwn.fold(net, example_inputs=x)
        assert cwn.report(folded).names("folded") == ("positive.1",)
        torch.testing.assert_close(folded(x), net(x))
        taken.add(bool(net.scale(net.stem(x)).sum() > 0))
    assert taken == {True, False}


class Optional(nn.Module):
    """What lies between layer and scale depends on an argument that is left out or given."""

    def __init__(self, between: bool) -> None:
        super().__init__()
        self.linear, self.scale, self.between = nn.Linear(4, 4), cwn.ScaleBias(4), between

    def forward(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        h = self.linear(x)
        if (extra is None) == self.between:
            h = h.relu()
        return self.scale(h) if extra is None else self.scale(h) + extra


@pytest.mark.parametrize("between", [True, False])
def test_an_optional_argument_is_traced_both_ways(between: bool) -> None:
    x = torch.randn(3, 4).double()
    reasons = {"scale": "it is fed by several layers: linear, relu()"}
    check(Optional(between), x, kept=reasons)
    check(Optional(between), x, torch.ones(3, 4).double(), kept=reasons)


def test_a_parametrized_weight_keeps_its_scale_until_the_parametrization_is_removed() -> None:
    net = nn.Sequential(cwn.weight_standardization(nn.Linear(4, 5)), cwn.ScaleBias(5))
    x = torch.randn(3, 4).double()
    check(net, x, kept={"1": "the weight of 0 is parametrized; remove the parametrization first"})
    parametrize.remove_parametrizations(net[0], "weight")
    check(net, x, kept={})


def test_a_scale_along_another_axis_stays() -> None:
    """A Linear acts on the last axis, a scale on axis 1: of `(N, 3, 5)` these are not the same."""
    net = nn.Sequential(nn.Linear(4, 5), cwn.ScaleBias(3))
    check(net, torch.randn(2, 3, 4).double(), kept={"1": "0 has 5 outputs, not 3"})


def test_a_model_without_scales_and_one_that_is_a_scale() -> None:
    plain = check(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), torch.randn(2, 3).double(), kept={})
    assert len(cwn.report(plain)) == 0 and str(cwn.report(plain)) == ""
    check(cwn.ScaleBias(3), torch.randn(2, 3).double(), kept={"": "it follows an input, no linear map"})


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)])
def test_dtype_memory_format_and_flags_are_kept(dtype: torch.dtype, tolerance: float) -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), cwn.ScaleBias(4), nn.ConvTranspose2d(4, 6, 3, groups=2), cwn.ScaleBias(6)
    )
    net = lively(net).to(dtype).to(memory_format=torch.channels_last)
    net[0].weight.requires_grad_(False)
    folded = cwn.fold(net)
    for i in (0, 2):
        assert folded[i].weight.dtype == folded[i].bias.dtype == dtype
        assert folded[i].weight.is_contiguous(memory_format=torch.channels_last)
        assert folded[i].weight.requires_grad == folded[i].bias.requires_grad == net[i].weight.requires_grad
        assert isinstance(folded[i].weight, nn.Parameter) and folded[i].weight.is_leaf
    x = torch.randn(2, 3, 6, 6, dtype=dtype)
    expected = net(x).detach()
    assert (folded(x) - expected).abs().max() <= tolerance * expected.abs().max()


def test_a_folded_model_is_plain() -> None:
    """No class of this library is left in it."""
    net = lively(nn.Sequential(nn.Linear(3, 4), cwn.ScaleBias(4), nn.ReLU(), nn.Linear(4, 2)))
    folded = cwn.fold(net)
    assert all(type(m).__module__.startswith("torch.nn") for m in folded.modules())
    assert list(folded.state_dict()) == ["0.weight", "0.bias", "3.weight", "3.bias"]
    assert torch.equal(copy.deepcopy(folded)(torch.ones(1, 3).double()), folded(torch.ones(1, 3).double()))
