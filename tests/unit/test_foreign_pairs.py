"""Pairs that only look like a linear map and its scale are kept, with the reason, and the numbers stay right."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from foreign import pair
from torch import Tensor, nn
from torch.ao.nn.qat import Conv2d as QuantizationAwareConv2d
from torch.ao.quantization import get_default_qat_qconfig
from torch.nn.utils import parametrizations, parametrize

import cwn_lite as cwn
from cwn_lite.fused import FusedConv2d, FusedScaleBias
from cwn_lite.lab.vision import import_torchvision

X = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1)).double()


def clamp_output(module: nn.Module, args: Any, out: Tensor) -> Tensor:
    return out.clamp(-0.3, 0.3)


def clamp_input(module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
    return (args[0].clamp(-0.3, 0.3),)


def patch(module: nn.Module) -> None:
    original = module.forward
    module.forward = lambda x: original(x).clamp(-0.3, 0.3)


HOOKS: dict[str, tuple[Callable[[nn.Module], Any], str]] = {
    "forward hook": (lambda m: m.register_forward_hook(clamp_output), "a forward hook"),
    "hook with keywords": (
        lambda m: m.register_forward_hook(lambda module, args, kw, out: -out, with_kwargs=True),
        "a forward hook",
    ),
    "pre-hook": (lambda m: m.register_forward_pre_hook(clamp_input), "a forward pre-hook"),
    "backward hook": (lambda m: m.register_full_backward_hook(lambda m, i, o: (2 * i[0],)), "a backward hook"),
    "backward pre-hook": (lambda m: m.register_full_backward_pre_hook(lambda m, o: (2 * o[0],)), "a backward hook"),
    "patched": (patch, "a forward that was set on the object"),
}


def results(model: nn.Module) -> list[Tensor]:
    x = X.clone().requires_grad_()
    y = model(x)
    y.square().sum().backward()
    return [y.detach(), x.grad]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("kind", HOOKS)
def test_what_is_hooked_is_kept(kind: str, place: int) -> None:
    attach, words = HOOKS[kind]
    model = pair()
    attach(model[place])
    expected = results(model)
    for changed in (cwn.fold(copy.deepcopy(model).eval()), cwn.fuse(model)):
        (line,) = cwn.report(changed)
        assert (line.action, line.code, line.reason) == ("kept", "hooked", f"{place} has {words}")
        if kind != "patched" or changed is model:  # a copy of a patched layer calls the forward of the original
            for got, right in zip(results(changed), expected, strict=True):
                assert torch.equal(got, right)


def test_a_hook_on_a_container_between_the_two_breaks_the_pair() -> None:
    layers = pair()
    model = nn.Sequential(nn.Sequential(layers[0]), layers[1], nn.Sequential(*copy.deepcopy(layers)))
    model[2].register_forward_hook(clamp_output)  # around a pair, not between
    model[0].register_forward_hook(clamp_output)
    model = nn.Sequential(model, nn.Conv2d(4, 1, 1).double())
    model[0][2] = nn.Sequential(nn.Conv2d(4, 4, 1).double(), copy.deepcopy(layers[1]))
    expected = model(X)
    for changed in (cwn.fold(copy.deepcopy(model).eval()), cwn.fuse(model)):
        first, second = cwn.report(changed)
        assert first.action == "kept" and first.reason == "it follows a forward hook of 0.0, no linear map"
        assert second.action in ("fused", "folded")
        torch.testing.assert_close(changed(X), expected)


def test_a_hook_that_is_removed_is_no_obstacle() -> None:
    model = pair()
    model[0].register_forward_hook(clamp_output).remove()
    assert cwn.report(cwn.fuse(model)).names("fused") == ("1",)


class Doubling(nn.Conv2d):
    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return 2 * super()._conv_forward(x, weight, bias)


class Renamed(nn.Conv2d):
    """Computes what a Conv2d does."""

    def extra(self) -> str:
        return "kept"


def test_a_subclass_with_another_forward_is_neither_fused_nor_folded() -> None:
    qat = QuantizationAwareConv2d(3, 4, 3, qconfig=get_default_qat_qconfig("fbgemm"))
    for layer, kind in ((qat, "Conv2d"), (Doubling(3, 4, 3), "Doubling")):
        model = nn.Sequential(layer, cwn.ScaleBias(4)).eval()
        nn.init.uniform_(model[1].weight, 0.5, 1.5)
        expected = model(X.float())
        folded = cwn.fold(model)
        assert torch.allclose(folded(X.float()), expected, atol=1e-6)
        for changed in (folded, cwn.fuse(model)):
            (line,) = cwn.report(changed)
            assert line.action == "kept" and line.code == "own_forward"
            assert line.reason == f"0 is a {kind}, which has a forward of its own"


def test_a_subclass_with_torchs_forward_is_folded_and_keeps_its_class() -> None:
    model = nn.Sequential(Renamed(3, 4, 3), pair()[1]).double().eval()
    folded = cwn.fold(model)
    assert type(folded[0]) is Renamed and type(folded[1]) is nn.Identity
    torch.testing.assert_close(folded(X), model(X))
    (line,) = cwn.report(cwn.fuse(model))
    assert line.action == "kept" and "would lose what it adds" in line.reason


def test_a_feature_extractor_is_folded_in_eval_mode() -> None:
    vision = import_torchvision()
    from torchvision.models.feature_extraction import create_feature_extractor  # once torchvision can be imported

    torch.manual_seed(0)
    model = create_feature_extractor(vision.models.densenet121(num_classes=5), {"classifier": "y"}).double()
    model = cwn.replace_batchnorm(model, noise_std=0.3).eval()
    folded = cwn.fold(model)
    assert not any(module.training for module in folded.modules())
    x = torch.randn(2, 3, 32, 32).double()
    torch.testing.assert_close(folded(x)["y"], folded(x)["y"], rtol=0, atol=0)
    torch.testing.assert_close(folded(x)["y"], model(x)["y"], rtol=1e-8, atol=1e-10)


def test_mode_of_each_part_is_kept_by_fold() -> None:
    model = nn.Sequential(*pair(), nn.Dropout(0.5)).eval()
    model[2].train()  # a dropout that is meant to go on, at inference
    assert [m.training for m in cwn.fold(model)] == [False, False, True]


@pytest.mark.parametrize("late", [True, False])
def test_parametrized_after_it_was_fused(late: bool) -> None:
    model = pair()
    if late:
        cwn.fuse(model)
    parametrizations.weight_norm(model[0])
    expected = model.eval()(X)
    folded = cwn.fold(model)
    torch.testing.assert_close(folded(X), expected)
    assert cwn.report(folded).names("kept") == ("1",) and not isinstance(folded[0], FusedConv2d)
    cwn.unfuse(model)
    assert not isinstance(model[0], FusedConv2d) and type(model[1]) is cwn.ScaleBias
    torch.testing.assert_close(model(X), expected)
    parametrize.remove_parametrizations(model[0], "weight")
    assert type(model[0]) is nn.Conv2d
    torch.testing.assert_close(cwn.fold(model)(X), expected)


def exchange(model: nn.Module, path: str, new: nn.Module) -> None:
    holder, _, name = path.rpartition(".")
    setattr(model.get_submodule(holder), name, new)


class Spread(nn.Module):
    """Layer and scale in containers of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.convs, self.scales = nn.ModuleList([pair()[0]]), nn.ModuleList([pair()[1]])

    def forward(self, x: Tensor) -> Tensor:
        return self.scales[0](self.convs[0](x))


@pytest.mark.parametrize(
    ("path", "new"),
    [
        ("scales.0", nn.Identity()),
        ("scales.0", pair()[1]),
        ("scales", nn.ModuleList([nn.Identity()])),
        ("convs.0", nn.Conv2d(3, 4, 1).double()),
        ("convs", nn.ModuleList([nn.Conv2d(3, 4, 1).double()])),
    ],
)
def test_exchanging_one_of_a_fused_pair_leaves_the_other_unfused(path: str, new: nn.Module) -> None:
    plain, fused = Spread(), cwn.fuse(Spread())
    assert isinstance(fused.convs[0], FusedConv2d) and isinstance(fused.scales[0], FusedScaleBias)
    torch.testing.assert_close(fused(X), plain(X))
    for model in (plain, fused):
        exchange(model, path, copy.deepcopy(new))
    torch.testing.assert_close(fused(X), plain(X))
    torch.testing.assert_close(cwn.fuse(fused)(X), plain(X))


def test_a_part_of_a_fused_model_works_alone_and_copies_alone() -> None:
    torch.manual_seed(0)
    whole = cwn.fuse(nn.Sequential(nn.Sequential(*pair(), nn.ReLU()), nn.Linear(4, 2).double()))
    part = nn.Sequential(*list(whole[0].children())[:2])
    expected = pair()(X)
    torch.testing.assert_close(part(X), expected)
    torch.testing.assert_close(copy.deepcopy(part)(X), expected)
    alone = copy.deepcopy(part[0])
    torch.testing.assert_close(alone(X), pair()[0](X))  # without its scale


def test_data_parallel_copies_are_refused() -> None:
    for layer in cwn.fuse(pair()):
        with pytest.raises(RuntimeError, match=r"DistributedDataParallel, or call cwn_lite\.unfuse"):
            layer._replicate_for_data_parallel()
    for layer in pair():
        layer._replicate_for_data_parallel()


def test_a_fused_model_refuses_an_image_without_a_batch_axis_as_the_unfused_does() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))
    square = torch.randn(3, 4, 4)  # as high as there are channels: the wrong axis would fit
    for change in (lambda m: m, cwn.replace_batchnorm, cwn.fuse):
        model = change(model)
        with pytest.raises(ValueError, match=r"expected 4"):
            model(square)
