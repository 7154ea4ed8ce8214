"""Each method is what its name claims: its layers, its weights, its optimizer, and its statistics."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import cwn_lite as cwn
from cwn_lite.fused import FusedScaleBias
from cwn_lite.lab import Recipe, measure
from cwn_lite.lab.nets.methods import Built, build, group_norm
from cwn_lite.lab.nets.networks import CNN, Block, ResNet
from cwn_lite.lab.recipes import METHODS

SCALE = {"ours": cwn.ScaleBias, "bn": nn.BatchNorm2d, "gn": nn.GroupNorm}


def make(method: str, **fields: object) -> tuple[Recipe, Built]:
    settings: dict[str, object] = {"net": "resnet", "depth": 8, "width": 8}
    if method == "ours":
        settings |= {"sigma": 0.3, "decay_scale_bias": False}
    recipe = Recipe.of(name="r", method=method, **{**settings, **fields})
    return recipe, build(recipe, seed=5)


def convs(model: nn.Module) -> list[nn.Conv2d]:
    return [m for m in model.modules() if isinstance(m, nn.Conv2d)]


Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]


weight = measure.trained_weight
REPARAMETERIZED = ("ws", "ws+bn", "ws+gn", "wn", "cwn")


@pytest.mark.parametrize("net", ["cnn", "resnet"])
@pytest.mark.parametrize("method", METHODS)
def test_layers_are_those_of_the_method(method: str, net: str) -> None:
    _, (model, _, constraint) = make(method, net=net, depth=9 if net == "cnn" else 8)
    scale = next((SCALE[part] for part in method.split("+") if part in SCALE), None)
    found = [m for m in model.modules() if isinstance(m, tuple(SCALE.values()))]
    assert all(scale is not None and isinstance(m, scale) for m in found)
    fused = [m for m in found if isinstance(m, FusedScaleBias)]
    assert len(fused) == (len(found) if method == "ours" else 0)
    assert len(found) == (len(convs(model)) if scale else 0)
    for conv in convs(model):
        assert (conv.bias is None) == bool(scale)
        assert parametrize.is_parametrized(conv) == (method in REPARAMETERIZED)
    assert not any(parametrize.is_parametrized(m) for m in model.modules() if isinstance(m, nn.Linear))
    assert (constraint is not None) == (method == "ours")
    if constraint is not None:
        assert len(constraint.names) == len(convs(model))
        assert list(constraint.skipped.values()) == [
            "taken for the classifier: it feeds the output and no scale follows"
        ]


@pytest.mark.parametrize("method", METHODS)
def test_what_the_convolutions_compute_with(method: str) -> None:
    # Weight Standardization alone explodes at any usable rate; its rows are what is looked at here.
    _, (model, optimizer, constraint) = make(method, residual_gamma=1.0, lr=1e-12 if method == "ws" else 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(4, 3, 16, 16)).square().mean().backward()
        optimizer.step()
    for conv in convs(model):
        rows = conv.weight.flatten(1)
        norms, n = rows.norm(dim=1), rows.shape[1]
        if method == "ours":
            assert torch.allclose(norms, torch.full_like(norms, math.sqrt(2)), rtol=1e-5)
        elif method in REPARAMETERIZED[:3]:
            assert torch.allclose(norms, torch.full_like(norms, math.sqrt(n)), rtol=1e-4)
        elif method == "cwn":
            assert torch.allclose(norms, math.sqrt(2) * gain(conv).flatten().abs(), rtol=1e-5)
        else:
            assert norms.std() > 0.01 * norms.mean()  # left alone
        assert (rows.mean(1).abs().max() < 1e-6 * math.sqrt(n)) == (method not in ("bn", "gn", "plain", "wn"))
    if constraint is not None:
        assert constraint.violation() < 1e-5


def test_what_the_norms_put_out() -> None:
    x = 3 * torch.randn(8, 3, 16, 16) + 1
    outputs: dict[str, Tensor] = {}

    def keep(method: str) -> Hook:
        return lambda module, inputs, output: outputs.update({method: output.clone()})  # the ReLU works in place

    for method in ("bn", "gn", "ours"):
        _, (model, _, _) = make(method, net="cnn", depth=9, width=32)
        handle = model[1].register_forward_hook(keep(method))
        model(x)
        handle.remove()
    per_channel = outputs["bn"].mean((0, 2, 3)), outputs["bn"].std((0, 2, 3))
    assert per_channel[0].abs().max() < 1e-4 and (per_channel[1] - 1).abs().max() < 1e-2
    groups = outputs["gn"].reshape(8, 16, -1)
    assert groups.mean(-1).abs().max() < 1e-4 and (groups.std(-1) - 1).abs().max() < 1e-2
    assert (outputs["ours"].std((0, 2, 3)) - 1).abs().max() > 0.1  # nothing looks at the activations


def test_noise_follows_the_schedule() -> None:
    for schedule in ("constant", "linear"):
        _, (model, _, _) = make("ours", schedule=schedule)
        sigmas = [m.noise_std for m in model.modules() if isinstance(m, cwn.ScaleBias)]
        expected = cwn.noise_schedule(len(sigmas), 0.3, schedule)
        assert sigmas == expected and len(sigmas) == 7


def test_methods_are_paired_by_seed() -> None:
    weights = {m: [weight(c).detach() for c in convs(make(m)[1].model)] for m in METHODS}
    heads = {m: make(m)[1].model[-1].weight for m in METHODS}
    for method in METHODS:
        assert torch.equal(heads[method], heads["bn"])
        for ours, bn in zip(weights[method], weights["bn"], strict=True):
            expected = bn.clone()
            if method == "ours":
                cwn.project_(expected)
            assert torch.allclose(ours, expected, rtol=1e-5, atol=1e-7), method
    other = build(make("bn")[0], seed=6)
    assert not torch.equal(weight(convs(other.model)[0]), weights["bn"][0])


def test_he_initialization() -> None:
    _, (model, _, _) = make("plain", net="cnn", depth=9, width=64)
    for conv in convs(model)[1:]:
        fan_in = conv.weight[0].numel()
        assert abs(float(conv.weight.detach().var()) * fan_in / 2 - 1) < 0.05
        assert conv.bias is not None and not conv.bias.any()


@pytest.mark.parametrize("gamma", [0.0, 0.5])
@pytest.mark.parametrize("method", ["ours", "bn", "gn", "ws+gn", "plain", "cwn"])
def test_residual_gamma_is_the_last_scale_of_each_branch(method: str, gamma: float) -> None:
    _, (model, _, _) = make(method, residual_gamma=gamma)
    blocks = [m for m in model.modules() if isinstance(m, Block)]
    for block in blocks:
        if method == "plain":
            assert isinstance(block.branch[-1], nn.Conv2d)
            assert float(block.branch[-1].weight.detach().std()) > 0.05
            continue
        if method == "cwn":
            assert (gain(block.branch[-1]) == gamma).all() and (gain(block.branch[0]) == 1).all()
            continue
        assert (block.branch[-1].weight == gamma).all() and (block.branch[1].weight == 1).all()
    if gamma == 0 and method != "plain":
        x = torch.randn(2, 8, 8, 8)
        assert torch.equal(blocks[0].eval()(x), x.relu())


def gain(conv: nn.Module) -> Tensor:
    """The trained length of a row."""
    return next(p for name, p in conv.named_parameters() if name.endswith((".g", ".original0")))


def test_normalized_rows_have_a_direction_and_a_trained_length() -> None:
    for method in ("wn", "cwn"):
        _, (model, optimizer, _) = make(method, decay_scale_bias=False, init_scale=1.0)
        for conv in convs(model):
            v = weight(conv).detach().flatten(1)
            direction = v / v.norm(dim=1, keepdim=True)
            if method == "cwn":
                v = v - v.mean(1, keepdim=True)
                direction = math.sqrt(2) * v / v.norm(dim=1, keepdim=True)
            expected = gain(conv).flatten(1) * direction
            assert torch.allclose(conv.weight.flatten(1), expected, atol=1e-6)
        decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
        assert set(decay) == {id(p) for p in model.parameters()}
        assert all(decay[id(gain(c))] == 0 and decay[id(weight(c))] == 5e-4 for c in convs(model))


@pytest.mark.parametrize("method", METHODS)
def test_the_first_norm_is_behind_the_normalization(method: str) -> None:
    _, small = make(method, init_scale=0.1)
    _, usual = make(method)
    for a, b in zip(convs(small.model), convs(usual.model), strict=True):
        ratio = float((weight(a) / weight(b)).detach().nanmedian())
        assert ratio == pytest.approx(1.0 if method == "ours" else 0.1, rel=1e-4)
        same = torch.allclose(a.weight, b.weight, rtol=1e-3, atol=1e-5)
        assert same == (method not in ("bn", "gn", "plain"))


def test_row_norms_are_those_of_the_trained_tensor() -> None:
    for method in ("plain", "wn", "ws"):
        _, (model, _, _) = make(method, init_scale=3.0)
        for conv in convs(model):
            v = weight(conv).detach().flatten(1).double()
            std = v.std(1, unbiased=False)
            assert torch.allclose(measure.row_norms(conv), std * math.sqrt(v.shape[1]))
    with torch.no_grad():
        weight(conv).mul_(1e25)
    assert measure.row_norms(conv).isfinite().all()  # float32 cannot square these


def test_decay_acts_where_the_recipe_says() -> None:
    for method, bare in (("ours", 0.0), ("bn", 5e-4)):
        recipe, (model, optimizer, _) = make(method)
        decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
        assert set(decay) == {id(p) for p in model.parameters()}
        assert all(decay[id(c.weight)] == recipe.training.weight_decay for c in convs(model))
        assert all(
            decay[id(p)] == bare for m in model.modules() if isinstance(m, SCALE[method]) for p in m.parameters()
        )


def test_group_norm_takes_a_divisor_of_few_channels() -> None:
    chosen = {c: group_norm(16, c).num_groups for c in (8, 12, 16, 24, 64)}
    assert chosen == {8: 8, 12: 12, 16: 16, 24: 12, 64: 16}


def test_networks_are_those_of_the_papers() -> None:
    cnn = CNN(9, 64)
    assert [(c.in_channels, c.out_channels) for c in convs(cnn)] == [
        (3, 64), (64, 64), (64, 64), (64, 128), (128, 128), (128, 128), (128, 256), (256, 256), (256, 256)
    ]  # fmt: skip
    # He et al., Table 6: 0.27 M for 20 layers, 1.7 M for 110, counted with batch norm.
    for depth, millions in ((20, 0.27), (110, 1.73)):
        net = ResNet(depth)
        assert len(convs(net)) == depth - 1
        assert round(sum(p.numel() for p in net.parameters()) / 1e6, 2) == millions


def test_ws_gain_is_the_row_norm() -> None:
    _, (model, _, _) = make("ws", ws_gain=1.5)
    for conv in convs(model):
        assert torch.allclose(conv.weight.flatten(1).norm(dim=1), torch.tensor(1.5))


def test_ablations_reach_the_constraint() -> None:
    recipe, _ = make("ours")
    free_norm = build(recipe.but(spherize=False, c=3.0))
    handle = free_norm.constraint
    assert handle is not None and (handle.spherize, handle.centralize, handle.c) == (False, True, 3.0)
    rows = convs(free_norm.model)[1].weight.flatten(1)
    assert rows.norm(dim=1).std() > 0.01 and rows.mean(1).abs().max() < 1e-6
