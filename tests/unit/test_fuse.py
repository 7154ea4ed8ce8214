"""A fused model computes what the unfused one does: outputs, gradients, draws; and nothing else changes."""

import copy
import io
import itertools
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import cwn_lite as cwn
from cwn_lite.fuse import unfuse
from cwn_lite.fused import FusedMap, FusedScaleBias, bond

KINDS = {
    "linear": (lambda bias: nn.Linear(6, 8, bias=bias), (5, 6)),
    "conv1d": (lambda bias: nn.Conv1d(6, 8, 3, bias=bias), (5, 6, 9)),
    "conv2d": (lambda bias: nn.Conv2d(6, 8, 3, 2, 1, bias=bias), (5, 6, 9, 9)),
    "grouped": (lambda bias: nn.Conv2d(6, 8, 3, groups=2, bias=bias), (5, 6, 9, 9)),
    "reflecting": (lambda bias: nn.Conv2d(6, 8, 3, padding=1, padding_mode="reflect", bias=bias), (5, 6, 9, 9)),
    "conv3d": (lambda bias: nn.Conv3d(6, 8, 2, bias=bias), (5, 6, 4, 4, 4)),
    "transposed1d": (lambda bias: nn.ConvTranspose1d(6, 8, 3, bias=bias), (5, 6, 9)),
    "transposed2d": (lambda bias: nn.ConvTranspose2d(6, 8, 3, 2, 1, 1, groups=2, bias=bias), (5, 6, 4, 4)),
    "transposed3d": (lambda bias: nn.ConvTranspose3d(6, 8, 2, bias=bias), (5, 6, 3, 3, 3)),
}


def randomize(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, cwn.ScaleBias):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return model


def run(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Output, gradient of the input and of each parameter, under one seed."""
    torch.manual_seed(7)
    x = x.clone().requires_grad_()
    model.zero_grad()
    y = model(x)
    y.square().sum().backward()
    return [y.detach(), x.grad, *[p.grad for p in model.parameters()]]


def assert_same(a: nn.Module, b: nn.Module, x: torch.Tensor, tolerance: float = 1e-10) -> None:
    for mine, theirs in zip(run(a, x), run(b, x), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_and_gradients_are_those_of_the_unfused(kind: str, training: bool, bias: bool) -> None:
    torch.manual_seed(0)
    make, shape = KINDS[kind]
    plain = randomize(nn.Sequential(make(bias), cwn.ScaleBias(8, noise_std=0.4))).double().train(training)
    fused = cwn.fuse(copy.deepcopy(plain))
    assert cwn.report(fused).names("fused") == ("1",)
    assert isinstance(fused[0], FusedMap) and isinstance(fused[0], type(plain[0]))
    assert_same(fused, plain, torch.randn(shape, dtype=torch.float64))


class Block(nn.Module):
    """Fusable in the branch; not fusable on the stream."""

    def __init__(self, noise: float) -> None:
        super().__init__()
        self.before = cwn.ScaleBias(6, noise_std=noise)
        self.conv = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.after = cwn.ScaleBias(6, noise_std=noise)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + F.relu(self.after(self.conv(F.relu(self.before(x)))))


def deep(noise: float = 0.3) -> nn.Module:
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), cwn.ScaleBias(6, noise_std=noise), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    return randomize(nn.Sequential(*stem, Block(noise), *head)).double()


IMAGES = torch.randn(5, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_a_network_keeps_its_function_its_draws_and_its_names() -> None:
    plain, fused = deep(), deep()
    names, parameters = list(fused.state_dict()), list(fused.parameters())
    assert cwn.fuse(fused) is fused
    assert cwn.report(fused).names("fused") == ("1", "3.after") and cwn.report(fused).names("kept") == ("3.before",)
    assert "no linear map" in str(cwn.report(fused))
    assert list(fused.state_dict()) == names
    assert all(a is b for a, b in zip(fused.parameters(), parameters, strict=True))
    assert_same(fused, plain, IMAGES)
    cwn.set_noise(fused, 0.9, "linear")
    cwn.set_noise(plain, 0.9, "linear")
    assert_same(fused, plain, IMAGES)
    assert not torch.equal(run(fused, IMAGES)[0], run(fused.eval(), IMAGES)[0])
    assert_same(fused, plain.eval(), IMAGES)


def test_unfuse_leaves_no_word_of_fusing_in_the_report() -> None:
    fused = cwn.fuse(deep()).eval()
    folded = [line.action for line in cwn.report(cwn.fold(fused))]
    assert sorted(folded) == ["folded", "folded", "kept"], "one line for each scale"
    assert len(cwn.report(fused)) == 3 and len(cwn.report(cwn.unfuse(fused))) == 0


def test_unfuse_gives_the_plain_classes_back() -> None:
    model = unfuse(cwn.fuse(deep()))
    assert not any(isinstance(module, FusedMap | FusedScaleBias) for module in model.modules())
    assert [type(m) for m in model.modules()] == [type(m) for m in deep().modules()]
    assert not hasattr(model[0], "_cwn_bond")
    assert_same(model, deep(), IMAGES)


def test_fusing_twice_is_fusing_once() -> None:
    once, twice = cwn.fuse(deep()), cwn.fuse(cwn.fuse(deep()))
    assert str(cwn.report(once)) == str(cwn.report(twice))
    assert_same(once, twice, IMAGES)


def test_checkpoints_go_both_ways() -> None:
    plain, fused = deep(), cwn.fuse(deep())
    for source, target in itertools.permutations((plain, fused)):
        randomize(source)
        stored = io.BytesIO()
        torch.save(source.state_dict(), stored)
        stored.seek(0)
        target.load_state_dict(torch.load(stored, weights_only=True))
        assert_same(source, target, IMAGES)
    fused.load_state_dict(copy.deepcopy(plain.state_dict()), assign=True)
    assert_same(fused, plain, IMAGES)


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_is_fused_with_its_own_scales(copy_of: Callable[[nn.Module], nn.Sequential]) -> None:
    model = cwn.fuse(nn.Sequential(nn.Conv2d(3, 6, 3), cwn.ScaleBias(6)).double())
    other = copy_of(model)
    assert bond(other[0]).scale is other[1]
    nn.init.constant_(other[1].weight, 5.0)
    torch.testing.assert_close(other(IMAGES), 5 * model(IMAGES) - 4 * model[1].bias.reshape(1, -1, 1, 1))


def test_training_with_the_constraint_is_the_same() -> None:
    plain, fused = deep(), deep()
    ends = []
    for model in (plain, fused):
        optimizer = torch.optim.SGD(cwn.param_groups(model, weight_decay=1e-3), lr=0.1, momentum=0.9)
        constraint = cwn.constrain(optimizer, model)
        if model is fused:
            cwn.fuse(model)
        torch.manual_seed(3)
        for _ in range(5):
            optimizer.zero_grad()
            F.cross_entropy(model(IMAGES), torch.arange(5) % 4).backward()
            optimizer.step()
        assert constraint.violation() < 1e-12
        ends.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(*ends, rtol=1e-10, atol=1e-10)
    after = cwn.constrain(torch.optim.SGD(fused.parameters(), lr=0.1), fused)  # fused first, constrained later
    assert after.names == ("0.weight", "3.conv.weight")


def test_fold_takes_a_fused_model_and_leaves_it_fused() -> None:
    fused = cwn.fuse(deep()).eval()
    folded = cwn.fold(fused)
    assert cwn.report(folded).names("folded") == ("1", "3.after")
    torch.testing.assert_close(folded(IMAGES), fused(IMAGES), rtol=1e-10, atol=1e-10)
    assert isinstance(fused[0], FusedMap) and type(folded[0]) is nn.Conv2d


def test_channels_last_stays_channels_last() -> None:
    model = cwn.fuse(deep().to(memory_format=torch.channels_last))
    weight, _ = model[0].fused(IMAGES)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert_same(model, deep(), IMAGES.contiguous(memory_format=torch.channels_last))


def test_autocast_answers_in_its_dtype() -> None:
    plain, fused = deep(0.0).float(), cwn.fuse(deep(0.0).float())
    with torch.autocast("cpu", torch.bfloat16):
        expected, got = plain(IMAGES.float()), fused(IMAGES.float())
    assert got.dtype == expected.dtype == torch.bfloat16
    exact = deep(0.0)(IMAGES)
    scale = exact.abs().max()
    assert (got.double() - exact).abs().max() < 0.03 * scale


def test_it_compiles_without_a_break() -> None:
    model = cwn.fuse(deep())
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.manual_seed(7)
    got = compiled(IMAGES)
    torch.testing.assert_close(got, run(model, IMAGES)[0], rtol=1e-10, atol=1e-10)


class Own(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


class OwnScale(cwn.ScaleBias):
    pass


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Sequential(nn.Conv2d(3, 6, 3), cwn.ScaleBias(6, noise_std=0.1, per_sample=True)), "per sample"),
        (nn.Sequential(nn.ReLU(), cwn.ScaleBias(3), nn.Conv2d(3, 6, 3)), "no linear map"),
        (nn.Sequential(nn.Conv2d(3, 6, 3), OwnScale(6)), "subclass of ScaleBias"),
        (nn.Sequential(cwn.weight_standardization(nn.Conv2d(3, 6, 3)), cwn.ScaleBias(6)), "parametriz"),
    ],
)
def test_what_cannot_be_fused_is_reported_and_works(model: nn.Module, reason: str) -> None:
    model = model.double()
    expected = run(copy.deepcopy(model), IMAGES)
    cwn.fuse(model)
    (line,) = cwn.report(model)
    assert line.action == "kept" and reason in line.reason
    assert all(torch.equal(a, b) for a, b in zip(run(model, IMAGES), expected, strict=True))


def test_a_layer_with_a_forward_of_its_own_is_left_alone() -> None:
    model = nn.Sequential(Own(3, 6, 3), cwn.ScaleBias(6)).double()
    expected = model(IMAGES)
    cwn.fuse(model)
    assert cwn.report(model).names("kept") == ("1",)
    assert torch.equal(model(IMAGES), expected)


def test_a_convolution_used_twice_is_left_alone() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.scale = nn.Conv2d(3, 3, 3, padding=1), cwn.ScaleBias(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.scale(self.conv(x)) + self.conv(x)

    model = randomize(Twice()).double()
    expected = model(IMAGES)
    assert cwn.report(cwn.fuse(model)).names("kept") == ("scale",)
    assert torch.equal(model(IMAGES), expected)


def test_a_fused_linear_refuses_what_it_would_change() -> None:
    model = cwn.fuse(nn.Sequential(nn.Linear(4, 3), cwn.ScaleBias(3)))
    with pytest.raises(ValueError, match=r"shape \(2, 3, 4\).*leave this model unfused"):
        model(torch.zeros(2, 3, 4))


def test_a_model_is_wanted() -> None:
    with pytest.raises(TypeError, match="model"):
        cwn.fuse([nn.Conv2d(3, 6, 3)])  # type: ignore[arg-type]  # the mistake that is meant
