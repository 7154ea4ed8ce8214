"""`project_` on the weight of every layer kind: a row is what feeds one output, and the change happens in place."""

from __future__ import annotations

import math

import pytest
import torch
from oracle import feeds, nearest_rows, project_layer
from torch import nn

import cwn_lite as cwn
from cwn_lite.rows import fan_in, layout, row_view

LAYERS = {
    "linear": lambda: nn.Linear(7, 5),
    "bilinear-like 1x1": lambda: nn.Conv2d(6, 4, 1),
    "conv1d": lambda: nn.Conv1d(3, 4, 5, padding=2),
    "conv2d": lambda: nn.Conv2d(3, 4, (3, 2), stride=2),
    "conv3d": lambda: nn.Conv3d(2, 3, (3, 1, 2), dilation=2),
    "grouped": lambda: nn.Conv2d(6, 4, 3, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 8, 3, groups=4),
    "transposed 1d": lambda: nn.ConvTranspose1d(3, 4, 5),
    "transposed 2d": lambda: nn.ConvTranspose2d(3, 4, (3, 2), stride=2),
    "transposed 3d": lambda: nn.ConvTranspose3d(2, 3, (3, 1, 2), stride=2, output_padding=1),
    "transposed grouped": lambda: nn.ConvTranspose2d(6, 4, 3, groups=2, padding=1),
    "transposed depthwise": lambda: nn.ConvTranspose1d(4, 8, 3, groups=4),
}
layers = pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS)
kinds = pytest.mark.parametrize(
    ("centralize", "spherize"), [(True, True), (True, False), (False, True), (False, False)]
)


@layers
def test_rows_partition_the_weight(build) -> None:
    """Each weight feeds one output, so rows do not overlap and none is left out; `fan_in` counts them."""
    layer = build()
    masks = feeds(layer)
    assert torch.equal(masks.sum(0), torch.ones_like(layer.weight, dtype=torch.long))
    assert set(masks.flatten(1).sum(1).tolist()) == {fan_in(layer)}


@layers
@kinds
def test_every_layer_kind_against_a_loop_over_outputs(build, centralize: bool, spherize: bool) -> None:
    layer = build().double()
    expected = project_layer(layer, 3.0, centralize, spherize)
    cwn.project_(layer.weight, 3.0, centralize=centralize, spherize=spherize, **layout(layer))
    torch.testing.assert_close(layer.weight.detach(), expected, rtol=1e-12, atol=1e-14)


@layers
def test_it_is_the_same_parameter_at_the_same_place(build) -> None:
    layer = build()
    weight, place, before = layer.weight, layer.weight.data_ptr(), layer.weight.detach().clone()
    weight.grad = torch.ones_like(weight)
    assert cwn.project_(weight, **layout(layer)) is weight
    assert weight.data_ptr() == place and weight.requires_grad and weight.is_leaf
    assert not torch.equal(weight, before)
    assert torch.equal(weight.grad, torch.ones_like(weight))


@pytest.mark.parametrize(
    ("build", "memory_format"),
    [
        (lambda: nn.Conv2d(5, 4, 3), torch.channels_last),
        (lambda: nn.Conv2d(6, 4, 3, groups=2), torch.channels_last),
        (lambda: nn.ConvTranspose2d(6, 4, 3, groups=2), torch.channels_last),
        (lambda: nn.Conv3d(5, 4, 3), torch.channels_last_3d),
        (lambda: nn.ConvTranspose3d(6, 4, 3, groups=2), torch.channels_last_3d),
    ],
    ids=["conv2d", "grouped", "transposed", "conv3d", "transposed 3d"],
)
def test_channels_last_weights_are_changed_in_place_and_stay_so(build, memory_format: torch.memory_format) -> None:
    """`weight.flatten(1)` of such a weight is a copy: writing to it would silently change nothing."""
    layer = build().double()
    expected = project_layer(layer)
    layer.to(memory_format=memory_format)
    strides = layer.weight.stride()
    assert not layer.weight.is_contiguous()
    cwn.project_(layer.weight, **layout(layer))
    torch.testing.assert_close(layer.weight.detach(), expected, rtol=1e-12, atol=1e-14)
    assert layer.weight.stride() == strides and layer.weight.is_contiguous(memory_format=memory_format)


def test_only_the_weight_is_written() -> None:
    """A parameter may be a strided part of a larger tensor, whose other numbers are not touched."""
    for transposed in (False, True):
        storage = torch.randn(9, 4, 6, 3, dtype=torch.float64)
        before = storage.clone()
        weight = nn.Parameter(storage[::2, 1:3].transpose(2, 3))
        cwn.project_(weight, transposed=transposed)
        rows = weight.detach().transpose(0, 1).flatten(1) if transposed else weight.detach().flatten(1)
        original = before[::2, 1:3].transpose(2, 3)
        original = original.transpose(0, 1).flatten(1) if transposed else original.flatten(1)
        torch.testing.assert_close(rows, torch.from_numpy(nearest_rows(original.numpy())), rtol=1e-12, atol=1e-14)
        untouched = torch.ones_like(storage, dtype=torch.bool)
        untouched[::2, 1:3] = False
        assert torch.equal(storage[untouched], before[untouched])


def test_row_view_never_copies() -> None:
    for weight in (torch.empty(6, 4, 3, 3), torch.empty(6, 4, 3, 3).to(memory_format=torch.channels_last)):
        for transposed, groups in ((False, 1), (False, 2), (True, 1), (True, 2), (True, 6)):
            view, _ = row_view(weight, transposed=transposed, groups=groups)
            assert view.untyped_storage().data_ptr() == weight.untyped_storage().data_ptr()
            assert view.data_ptr() == weight.data_ptr() and view.numel() == weight.numel()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_rounded_once(dtype: torch.dtype) -> None:
    conv = nn.Conv2d(64, 8, 3).to(dtype)
    expected = cwn.project_rows(conv.weight.detach().float().flatten(1)).to(dtype)
    cwn.project_(conv.weight)
    assert conv.weight.dtype == dtype and torch.equal(conv.weight.flatten(1), expected)


def test_inference_mode_and_a_graph_under_construction_are_no_obstacle() -> None:
    conv = nn.Conv2d(3, 4, 3)
    with torch.inference_mode():
        cwn.project_(conv.weight)
        inside = cwn.project_(torch.randn(4, 9))
    for weight in (conv.weight.detach().flatten(1), inside):
        torch.testing.assert_close(weight.norm(dim=1), torch.full((4,), math.sqrt(2)))
    assert conv.weight.requires_grad
    # After a forward pass the weight changes under the graph: autograd must notice, not give wrong gradients.
    y = conv(torch.randn(1, 3, 5, 5, requires_grad=True)).square().sum()
    cwn.project_(conv.weight)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_second_projection_moves_by_rounding_only() -> None:
    conv = nn.Conv2d(64, 32, 3)
    once = cwn.project_(conv.weight).detach().clone()
    cwn.project_(conv.weight)
    assert (conv.weight - once).abs().max() <= 2 * torch.finfo(torch.float32).eps * once.abs().max()


def test_no_rows_is_no_error() -> None:
    """A shard of a small weight may be empty."""
    assert cwn.project_(torch.empty(0, 3, 3, 3)).shape == (0, 3, 3, 3)
