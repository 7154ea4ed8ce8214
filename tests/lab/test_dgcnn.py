"""DGCNN: its graph against plain NumPy, its symmetries, its layers under every normalization."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import cwn_lite as cwn
from cwn_lite.lab import measure
from cwn_lite.lab.nets.dgcnn import DGCNN, EdgeConv, edges, neighbours
from cwn_lite.lab.nets.methods import group_norm
from cwn_lite.lab.nets.networks import Norm, initialize

NORMS: dict[str, Norm | None] = {"bn": nn.BatchNorm2d, "gn": partial(group_norm, 16), "none": None}


def small(norm: Norm | None = nn.BatchNorm2d, seed: int = 0) -> DGCNN:
    model = DGCNN(8, k=6, classes=5, norm=norm)
    initialize(model, torch.Generator().manual_seed(seed))
    return model


def points(n: int = 3, count: int = 40, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, count, 3, generator=torch.Generator().manual_seed(seed))


# ---- The graph ----


@pytest.mark.parametrize("channels", [3, 20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_graph_is_that_of_brute_force(channels: int, dtype: torch.dtype) -> None:
    features = torch.randn(2, channels, 60, generator=torch.Generator().manual_seed(0), dtype=dtype)
    found = neighbours(features, 7).numpy()
    for cloud, rows in zip(features.double().numpy(), found, strict=True):
        for i in range(60):
            distance = [sum((cloud[c, i] - cloud[c, j]) ** 2 for c in range(channels)) for j in range(60)]
            order = np.argsort(distance)
            assert np.diff(np.sort(distance)[:9]).min() > 1e-5  # no ties that rounding decides
            assert rows[i].tolist() == order[:7].tolist() and rows[i][0] == i


def test_far_from_the_origin_the_graph_is_the_same() -> None:
    features = points().transpose(1, 2)
    grid = (features * 64).round() / 64  # sums are exact
    for k in (1, 6):
        near, far = (edges(grid, neighbours(x, k)).abs().sum() for x in (grid, grid + 1000))
        assert near == far


def test_bfloat16_autocast_does_not_round_distances() -> None:
    features = points(1, 200).transpose(1, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = neighbours(features, 9)
    assert torch.equal(found, neighbours(features, 9))


@pytest.mark.parametrize("k", [0, 41])
def test_more_neighbours_than_points(k: int) -> None:
    with pytest.raises(ValueError, match=f"k={k}: 40 points per cloud; take 1 to 40 neighbours"):
        neighbours(points().transpose(1, 2), k)


def test_edges_point_from_a_point_to_its_neighbours() -> None:
    features = points().transpose(1, 2)
    near = neighbours(features, 4)
    features.requires_grad_()
    found = edges(features, near)
    assert found.shape == (3, 6, 40, 4) and found.is_contiguous(memory_format=torch.channels_last)
    for n, i, j in ((0, 0, 0), (1, 17, 3), (2, 39, 2)):
        expected = torch.cat([features[n, :, i], features[n, :, near[n, i, j]] - features[n, :, i]])
        assert torch.equal(found[n, :, i, j], expected)


def test_an_edge_convolution_is_what_the_paper_writes() -> None:
    layer = EdgeConv(3, 8, 5).double()
    nn.init.normal_(layer.layers[1].weight)  # also negative scales
    features = points().double().transpose(1, 2)
    rows = layer.layers(edges(features, neighbours(features, 5)))
    assert torch.allclose(layer(features), F.leaky_relu(rows, 0.2).amax(3))


# ---- The network ----


def test_the_published_size() -> None:
    """The release has 1,809,576: 256 of them are a bias below a batch norm, which does nothing and is not here."""
    with torch.device("meta"):
        model = DGCNN()
    assert measure.parameter_count(model) == 1_809_576 - 256
    shapes = [tuple(m.weight.shape) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Conv1d | nn.Linear)]
    assert shapes == [
        (64, 6, 1, 1), (64, 128, 1, 1), (128, 128, 1, 1), (256, 256, 1, 1), (1024, 512, 1),
        (512, 2048), (256, 512), (40, 256),
    ]  # fmt: skip


@pytest.mark.parametrize("norm", NORMS)
def test_biases_are_exactly_where_no_norm_follows(norm: str) -> None:
    layers = [m for m in small(NORMS[norm]).modules() if isinstance(m, nn.Conv2d | nn.Conv1d | nn.Linear)]
    assert [m.bias is not None for m in layers] == [norm == "none"] * 7 + [True]


@pytest.mark.parametrize("norm", NORMS)
def test_every_weight_learns(norm: str) -> None:
    model = small(NORMS[norm])
    F.cross_entropy(model(points(8)), torch.arange(8) % 5).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_gradient_is_that_of_finite_differences() -> None:
    model = small(None).double().eval()
    cloud = points(2, 12).double().requires_grad_()
    assert torch.autograd.gradcheck(model, cloud)


@pytest.mark.parametrize("norm", NORMS)
def test_the_order_of_the_points_does_not_matter(norm: str) -> None:
    model = small(NORMS[norm]).double().eval()
    clouds = points().double()
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    logits = model(clouds)
    assert logits.shape == (3, 5) and logits.std() > 1e-3
    assert torch.allclose(model(clouds[:, order]), logits, atol=1e-10)


def test_only_where_the_cloud_lies_is_seen_of_a_shift() -> None:
    """Edges keep their differences; without the weights of x_i no shift is seen at all."""
    model = small(None).double().eval()
    clouds, shift = points().double(), torch.tensor([0.5, -2.0, 3.0], dtype=torch.float64)
    assert torch.equal(*(neighbours(c.transpose(1, 2), 6) for c in (clouds, clouds + shift)))
    assert not torch.allclose(model(clouds + shift), model(clouds), atol=1e-3)
    with torch.no_grad():
        model.graph[0].layers[0].weight[:, :3] = 0
    assert torch.allclose(model(clouds + shift), model(clouds), atol=1e-10)


def test_clouds_do_not_see_each_other() -> None:
    model = small(None).eval()
    clouds = points()
    assert torch.allclose(model(clouds)[1:2], model(clouds[1:2]), atol=1e-5)


def test_dropout_is_in_the_head_alone() -> None:
    model = small(None).train()
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.5, 0.5]
    clouds = points(1).expand(2, -1, -1)
    assert not torch.equal(*model(clouds))
    assert torch.equal(*model.eval()(clouds))


# ---- With the method ----


def test_batch_norm_becomes_scale_and_bias_everywhere() -> None:
    model = small()
    c = cwn.leaky_relu_c(0.2)
    cwn.replace_batchnorm(model, noise_std=0.2, schedule="linear", c=c)
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())
    assert sum(isinstance(m, cwn.ScaleBias) for m in model.modules()) == 7
    optimizer = torch.optim.SGD(cwn.param_groups(model, 1e-4), lr=0.1, momentum=0.9)
    constraint = cwn.constrain(optimizer, model, c=c)
    layers = {name for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Conv1d | nn.Linear)}
    assert set(constraint.names) == {f"{name}.weight" for name in layers - {"head.8"}}
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(model(points(8)), torch.arange(8) % 5).backward()
        optimizer.step()
    assert constraint.violation() < 1e-5


def test_fused_and_folded_it_computes_the_same() -> None:
    model = small()
    cwn.replace_batchnorm(model, noise_std=0.2)
    for layer in model.modules():
        if isinstance(layer, cwn.ScaleBias):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias)
    clouds = points()
    expected = model.eval()(clouds)
    assert torch.allclose(cwn.fuse(small_copy(model)).eval()(clouds), expected, atol=1e-4)
    folded = cwn.fold(small_copy(model).eval())
    assert torch.allclose(folded(clouds), expected, atol=1e-4)
    assert not any(isinstance(m, cwn.ScaleBias) for m in folded.modules())


def small_copy(model: DGCNN) -> DGCNN:
    copy = small()
    cwn.replace_batchnorm(copy, noise_std=0.2)
    copy.load_state_dict(model.state_dict())
    return copy


def test_all_methods_draw_the_same_weights() -> None:
    nets = [small(norm, seed=3) for norm in NORMS.values()]
    kinds = nn.Conv2d | nn.Conv1d | nn.Linear
    for layers in zip(*([m for m in net.modules() if isinstance(m, kinds)] for net in nets), strict=True):
        assert torch.equal(layers[0].weight, layers[1].weight) and torch.equal(layers[0].weight, layers[2].weight)
    join = nets[0].join[0].weight
    assert join.var().item() == pytest.approx(2 / join.shape[1], rel=0.1)
