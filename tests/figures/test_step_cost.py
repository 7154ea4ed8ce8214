"""What a training step moves: every coefficient against a count of torch's own operations, and the still figure."""

import re
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn

import cwn_lite as cwn
from cwn_lite import figures
from cwn_lite.fast import SMALL, project_modules_
from cwn_lite.figures.explorable import MODULES, explorable_html
from cwn_lite.figures.step_cost import (
    EXTRA_PASSES,
    NAMES,
    PASSES,
    VALUE,
    StepBytes,
    break_even,
    draw_step_cost,
    readable,
    step_bytes,
)
from cwn_lite.lab.measure.cost import Traffic

# In the one, weights are a five-hundredth of the activations; in the other, activations are a hundredth of the weights.
ACTIVATIONS = {"channels": 16, "kernel": 3, "side": 32, "batch": 64}
WEIGHTS = {"channels": 256, "kernel": 3, "side": 4, "batch": 1}


def counted(method: str, channels: int, kernel: int, side: int, batch: int) -> int:
    """Return the bytes of a forward and backward pass, once the tensors that the first one makes are there."""
    tails: dict[str, list[nn.Module]] = {
        "plain": [],
        "bn": [nn.BatchNorm2d(channels)],
        "gn": [nn.GroupNorm(4, channels)],
        "unfused": [cwn.ScaleBias(channels)],
        "fused": [cwn.ScaleBias(channels)],
    }
    net = nn.Sequential(nn.Conv2d(channels, channels, kernel, padding=kernel // 2), *tails[method])
    if method == "fused":
        cwn.fuse(net)
    x = torch.randn(batch, channels, side, side, requires_grad=True)
    net(x).backward(torch.ones_like(x))
    net.zero_grad(set_to_none=True)
    x.grad = None
    gradient = torch.ones_like(x)
    with Traffic() as traffic:
        net(x).backward(gradient)
    return traffic.total


@pytest.mark.parametrize(
    ("method", "operation", "layer"),
    [
        ("bn", "bn", ACTIVATIONS),
        ("gn", "gn", ACTIVATIONS),
        ("unfused", "activation_scale", ACTIVATIONS),
        ("fused", "weight_scale", WEIGHTS),
    ],
)
def test_the_passes_of_a_method_are_counted(method: str, operation: str, layer: dict[str, int]) -> None:
    extra = counted(method, **layer) - counted("plain", **layer)
    assert extra == pytest.approx(_predicted(operation, **layer), rel=0.02)
    other = WEIGHTS if layer is ACTIVATIONS else ACTIVATIONS
    # Terms of the size of C, of which no kind of method has more than thirty.
    slack = 32 * VALUE * other["channels"]
    extra = counted(method, **other) - counted("plain", **other)
    assert extra == pytest.approx(_predicted(operation, **other), rel=0.02, abs=slack)


@pytest.mark.parametrize("layer", [ACTIVATIONS, WEIGHTS])
def test_the_passes_of_a_convolution_are_counted(layer: dict[str, int]) -> None:
    predicted = _predicted("convolution", **layer)
    assert counted("plain", **layer) == pytest.approx(predicted, rel=0.02)
    assert step_bytes(**layer)["plain"].convolution == predicted


def _predicted(operation: str, channels: int, kernel: int, side: int, batch: int) -> int:
    activations, weights = batch * channels * side**2, channels**2 * kernel**2
    passes = PASSES[operation]
    return VALUE * (passes.activations * activations + passes.weights * weights)


def test_the_passes_of_the_optimizer_and_of_the_projection_are_counted() -> None:
    weight = nn.Parameter(torch.randn(256, 256, 3, 3))
    assert weight.numel() > SMALL["cpu"]
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9, fused=True)
    weight.grad = torch.randn_like(weight)
    optimizer.step()  # makes the momentum
    with Traffic() as traffic:
        optimizer.step()
    assert traffic.total / (VALUE * weight.numel()) == pytest.approx(PASSES["sgd"].weights, rel=0.001)
    with Traffic() as traffic:
        cwn.project_(weight)
    assert traffic.total / (VALUE * weight.numel()) == pytest.approx(PASSES["projection"].weights, rel=0.02)
    assert PASSES["sgd"].activations == PASSES["projection"].activations == 0


def test_small_weights_are_copied_there_and_back() -> None:
    layers = [nn.Linear(256, 256) for _ in range(4)]
    size = layers[0].weight.numel()
    assert size <= SMALL["cpu"]
    with Traffic() as traffic:
        project_modules_(layers, 2.0, centralize=True, spherize=True)
    assert traffic.total / (VALUE * size * len(layers)) == pytest.approx(PASSES["projection"].weights + 4, rel=0.02)


def test_the_bytes_of_a_layer() -> None:
    activations, weights = VALUE * 128 * 64 * 8 * 8, VALUE * 64 * 64 * 9
    plain = 5 * activations + 3 * weights, 5 * weights
    moved = step_bytes(channels=64, kernel=3, side=8, batch=128)
    assert moved == step_bytes() == {
        "plain": StepBytes(*plain, 0, 0),
        "fused": StepBytes(*plain, 0, 14 * weights),
        "unfused": StepBytes(*plain, 6 * activations, 6 * weights),
        "gn": StepBytes(*plain, 5 * activations, 0),
        "bn": StepBytes(*plain, 8 * activations, 0),
    }  # fmt: skip
    assert list(moved) == list(EXTRA_PASSES) == list(NAMES)
    assert moved["unfused"].extra == 6 * activations + 6 * weights
    assert moved["unfused"].total == 11 * activations + 14 * weights


def test_a_fully_connected_layer_has_kernel_and_side_one() -> None:
    moved = step_bytes(channels=4096, kernel=1, side=1, batch=128)
    assert moved["bn"].per_activation == 8 * 4 * 128 * 4096 and moved["fused"].per_weight == 14 * 4 * 4096**2


def test_a_linear_layer_reads_the_gradient_twice_more() -> None:
    layer, x = nn.Linear(256, 256), torch.randn(1024, 256, requires_grad=True)
    gradient = torch.ones_like(x)
    with Traffic() as traffic:
        layer(x).backward(gradient)
    expected = step_bytes(channels=256, kernel=1, side=1, batch=1024)["plain"].convolution + 2 * VALUE * x.numel()
    assert traffic.total == pytest.approx(expected, rel=0.02)


def test_who_moves_less_is_decided_at_the_break_even() -> None:
    seen = set()
    for channels in (16, 64, 640, 4096):
        for kernel in (1, 3):
            for side in (1, 7, 32):
                for batch in (1, 7, 8, 128):
                    ours, needed = break_even(channels, kernel, side, batch)
                    moved = step_bytes(channels, kernel, side, batch)
                    assert (ours > needed) == (moved["fused"].extra < moved["bn"].extra)
                    assert needed == 1.75 * channels * kernel**2 and ours == batch * side**2
                    seen.add(ours > needed)
    assert seen == {True, False}
    even = {"channels": 64, "kernel": 1, "side": 4, "batch": 7}
    assert break_even(**even) == (112, 112) and step_bytes(**even)["fused"].extra == step_bytes(**even)["bn"].extra


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"channels": 0}, ValueError, "channels must be a whole number from 1, got 0"),
        ({"side": 7.5}, ValueError, "side must be a whole number from 1, got 7.5"),
        ({"kernel": 2}, ValueError, "kernel must be odd, got 2: .* use 1 or 3"),
        ({"batch": "8"}, TypeError, "batch must be a number, got str '8'"),
    ],
)
def test_bad_input_is_named(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    for call in (step_bytes, break_even, draw_step_cost):
        with pytest.raises(error, match=message):
            call(**settings)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (8512, "8.51 kB"),
        (999, "999 B"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (129e6, "129 MB"),
        (1.49e9, "1.49 GB"),
        (2e12, "2.00 TB"),
    ],
)
def test_sizes_are_readable(size: float, text: str) -> None:
    assert readable(size) == text


def test_the_still_figure_draws_these_numbers() -> None:
    settings = {"channels": 512, "kernel": 3, "side": 7, "batch": 32}
    fig = figures.draw_step_cost(**settings)
    (ax,) = fig.axes
    moved = step_bytes(**settings)
    bars: dict[int, float] = {}
    for patch in ax.patches:
        # matplotlib's stubs say Patch, and barh() adds Rectangles.
        row, left, width = round(patch.get_y() + 0.3), patch.get_x(), patch.get_width()  # type: ignore[attr-defined]
        assert left == pytest.approx(bars.get(row, 0)) and width > 0
        bars[row] = left + width
    assert [1e6 * bars[row] for row in range(5)] == pytest.approx([side.total for side in moved.values()])
    assert len(ax.patches) == 5 * 2 + 3 + 2
    plain = moved["plain"].total
    said = [text.get_text() for text in ax.texts]
    assert said[0] == readable(plain)
    assert said[1:] == [f"{readable(m.total)}, {m.total / plain:.2f} × plain" for m in list(moved.values())[1:]]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(NAMES.values())
    assert ax.get_xlabel().startswith("MB") and ax.yaxis_inverted()
    assert len(fig.legends[0].get_texts()) == 4
    plt.close(fig)


def test_the_fragment_is_whole_alone_and_asks_nothing_of_the_network() -> None:
    page = explorable_html("step-cost", {}, alt="One bar for each method, of what a training step moves.")
    assert not re.search(r"""\sid=|\bsrc=|@import|\burl\(|\bfetch\(|\bimport\b[ (]|from ["']""", page)
    assert set(re.findall(r"https?://[^\"' ]+", page)) <= {"http://www.w3.org/2000/svg"}
    declared = re.findall(r"^(?:export )?(?:function|const|let) (\w+)", page, re.MULTILINE)
    assert len(declared) == len(set(declared))  # the modules share one scope there


def test_the_colours_are_the_book_s() -> None:
    style = (MODULES / "shared.css").read_text()
    for name in ("olive", "teal", "magenta"):
        assert f"--{name}: {figures.QUANTITIES[name]}" in style
