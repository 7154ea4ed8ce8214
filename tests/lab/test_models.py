"""Networks: sizes that are published, signals that stay, branches that are scaled as said."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import cwn_lite as cwn
from cwn_lite.lab import Recipe, measure, recipes
from cwn_lite.lab.nets.methods import build
from cwn_lite.lab.nets.networks import Block, ResNet, WideBlock, WideResNet, initialize, residual_scaling
from cwn_lite.lab.recipes import METHODS
from cwn_lite.lab.seeding import generator

WRN = Recipe.of(name="wrn", method="ours", net="wrn", depth=10, width=32, residual_gamma=3**-0.5)


def test_published_sizes() -> None:
    with torch.device("meta"):
        assert measure.parameter_count(WideResNet(28, 160)) == 36_479_194  # Zagoruyko and Komodakis: 36.5 M
        assert measure.parameter_count(ResNet(110)) == 1_727_962  # He et al.: 1.7 M
    convolutions = [m for m in ResNet(110).modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 109
    assert len([m for m in WideResNet(28, 16).modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]) == 25


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [4, 6])
def test_a_wide_block_is_what_the_paper_draws(stride: int, channels: int) -> None:
    torch.manual_seed(0)
    block = WideBlock(4, channels, stride, nn.BatchNorm2d, alpha=0.3, beta=1.7).double()
    x = torch.randn(5, 4, 8, 8, dtype=torch.float64)
    norm, first, second, shortcut = block.first[0], block.branch[0], block.branch[3], block.shortcut
    for layer in (norm, block.branch[1]):
        nn.init.normal_(layer.weight)
    active = F.relu(norm(x / 1.7))
    expected = second(F.relu(block.branch[1](first(active))))
    identity = x if shortcut is None else shortcut(active)
    assert (shortcut is None) == (stride == 1 and channels == 4)
    torch.testing.assert_close(block(x), identity + 0.3 * expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("residual", ["sum", "nf"])
def test_every_method_trains_every_weight_of_a_wide_resnet(method: str, residual: str) -> None:
    model, optimizer, _ = build(WRN.but(method=method, residual=residual))
    F.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.arange(4)).backward()
    for name, parameter in model.named_parameters():
        # Under a batch norm a bias has no gradient to speak of; nothing here has one there.
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    optimizer.step()


def test_gamma_of_a_wide_block_scales_its_branch() -> None:
    for gamma in (0.25, 1.0):
        model = build(WRN.but(residual_gamma=gamma)).model
        scales = [block.branch[1].weight for block in model.modules() if isinstance(block, WideBlock)]
        assert len(scales) == 3 and all((scale == gamma).all() for scale in scales)
        assert (model[1].first[0].weight == 1).all()  # the norm before the block is no part of the branch
    with pytest.raises(ValueError, match="residual_gamma=0"):
        WRN.but(residual_gamma=0.0)


def test_residual_scaling_predicts_the_stream() -> None:
    """With branches that keep the variance, x / β has variance 1 before each block."""
    torch.manual_seed(0)
    x = torch.randn(20_000)
    for block, (alpha, beta) in enumerate(residual_scaling(6, 0.5, starts=[3])):
        assert beta**2 == pytest.approx(float(x.var()), rel=0.05), block
        branch = torch.randn(20_000)
        x = alpha * branch + (x / beta if block == 3 else x)
    assert list(residual_scaling(3, None)) == [(1.0, 1.0)] * 3


def test_plain_sum_doubles_and_nf_does_not() -> None:
    """The second moment of the stream of ResNet-32 at initialization, γ = 1: 2 per block against a sum."""

    def last_moment(residual: str) -> float:
        recipe = recipes.get("residual-cifar-ours-gamma1-e30").but(name="x", residual=residual)
        model = build(recipe).model
        stream = nn.Sequential(*list(model)[:-3])(torch.randn(8, 3, 32, 32, generator=generator(0, "x")))
        return float(stream.detach().square().mean())

    assert last_moment("nf") < 10
    assert last_moment("sum") > 100 * last_moment("nf")


@pytest.mark.parametrize("classifier", ["free", "centred", "constrained"])
def test_the_classifier_is_kept_as_the_recipe_says(classifier: str) -> None:
    recipe = recipes.get("digits-ours").but(classifier=classifier)
    model, optimizer, constraint = build(recipe)
    assert constraint is not None
    head = model[-1].weight
    expected = {"free": (False, False), "centred": (True, False), "constrained": (True, True)}[classifier]
    for step in range(4):  # from the start on
        centred = bool((head.sum(1).abs() < 1e-5).all())
        on_sphere = bool((head.square().sum(1) - cwn.C_HE).abs().max() < 1e-5)
        assert (centred, on_sphere) == expected, f"before step {step}"
        optimizer.zero_grad()
        F.cross_entropy(model(torch.randn(8, 1, 8, 8)), torch.arange(8)).backward()
        optimizer.step()
    assert constraint.violation() < 1e-5


def test_neither_constraint_leaves_the_weights_alone() -> None:
    recipe = recipes.get("digits-ours").but(centralize=False, spherize=False)
    model, _, constraint = build(recipe, seed=3)
    assert constraint is None
    plain = build(recipes.get("digits-plain"), seed=3).model
    weights = [[m.weight for m in net.modules() if isinstance(m, nn.Conv2d)] for net in (model, plain)]
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))
    assert any(isinstance(m, cwn.ScaleBias) for m in model.modules())


def test_initialize_draws_the_same_for_every_method() -> None:
    nets = [WideResNet(10, 16, norm=norm) for norm in (None, nn.BatchNorm2d)]
    for net in nets:
        initialize(net, generator(0, "init"))
    weights = [[m.weight for m in net.modules() if isinstance(m, nn.Conv2d)] for net in nets]
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


@pytest.mark.parametrize("method", ["ours", "bn", "gn", "ws+bn", "wn", "cwn"])
def test_every_method_with_a_scale_starts_its_branches_as_the_recipe_says(method: str) -> None:
    recipe = recipes.get(f"resnet20-{method}-e6").but(depth=8, residual_gamma=0.0)
    model = build(recipe).model
    for block in (m for m in model.modules() if isinstance(m, Block)):
        assert block.branch(torch.randn(2, block.branch[0].in_channels, 8, 8)).abs().max() == 0
