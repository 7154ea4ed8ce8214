"""A residual stream at its start: the rule against random blocks and autograd, and the still figure."""

from __future__ import annotations

import re
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch

from cwn_lite import figures
from cwn_lite.figures.explorable import explorable_html
from cwn_lite.figures.residual_stream import BLOCKS, decades, draw_residual_stream, residual_stream


@pytest.mark.parametrize(("blocks", "scale"), [(4, 1.0), (8, 0.5), (8, 8**-0.5), (12, 0.0)])
def test_the_rule_is_what_random_blocks_do(blocks: int, scale: float) -> None:
    """Blocks of one random linear map each; squares of the stream and of gradients, over those at the two ends."""
    n = 1000
    torch.manual_seed(0)
    weights = [(torch.randn(n, n).double() / n**0.5).requires_grad_() for _ in range(blocks)]
    gammas = [torch.tensor(scale, dtype=torch.float64, requires_grad=True) for _ in range(blocks)]
    streams = [torch.randn(n, dtype=torch.float64, requires_grad=True)]
    for w, gamma in zip(weights, gammas, strict=True):
        streams.append(streams[-1] + gamma * (w @ streams[-1]))
        streams[-1].retain_grad()
    (streams[-1] @ torch.randn(n).double()).backward()
    first = streams[0].detach().square().mean().item()
    assert streams[-1].grad is not None
    last = streams[-1].grad.square().mean().item()
    stream = residual_stream(blocks=blocks, scale=scale)
    near = 0.25  # each block adds some scatter of its own
    for x, forward, backward in zip(streams, stream.forward, stream.backward, strict=True):
        assert x.grad is not None
        assert x.detach().square().mean().item() / first == pytest.approx(forward, rel=near)
        assert x.grad.square().mean().item() / last == pytest.approx(backward, rel=near)
    squares = [w.grad.square().mean().item() / (first * last) for w in weights if w.grad is not None]
    assert squares == pytest.approx([stream.branch] * blocks, rel=near)
    assert sum(squares) == pytest.approx(stream.together, rel=near)
    assert all(gamma.grad is not None for gamma in gammas)  # also where the weights wait


def test_the_gradient_of_a_last_scale() -> None:
    """The mean over many networks, for one sum over all channels is one number of random sign."""
    n, blocks, found = 60, 4, []
    torch.manual_seed(1)
    for _ in range(400):
        x, gamma = torch.randn(n).double(), torch.zeros(blocks, dtype=torch.float64, requires_grad=True)
        first = x.square().mean()
        for b in range(blocks):
            x = x + gamma[b] * (torch.randn(n, n).double() @ x / n**0.5)
        a = torch.randn(n).double()
        (gradient,) = torch.autograd.grad(x @ a, gamma)
        found.append((gradient.square().mean() / (first * a.square().sum())).item())
    assert sum(found) / len(found) == pytest.approx(residual_stream(blocks=blocks, scale=0.0).scale, rel=0.15)


@pytest.mark.parametrize("blocks", BLOCKS)
def test_one_over_the_root_keeps_all_within_e(blocks: int) -> None:
    stream = residual_stream(blocks=blocks, scale=blocks**-0.5)
    assert stream.fair == blocks**-0.5
    assert 2 < stream.forward[-1] < 2.7183 and 1 < stream.together < 2.7183
    full = residual_stream(blocks=blocks, scale=1.0)
    assert full.forward[-1] == 2.0**blocks and full.together == blocks * 2.0 ** (blocks - 1)
    assert residual_stream(blocks=blocks, scale=0.0).together == 0


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"blocks": 3}, ValueError, "blocks must be one of 2, 4, .*got 3"),
        ({"blocks": 2.0}, TypeError, "blocks must be an integer"),
        ({"scale": 1.1}, ValueError, "scale must be at most 1, got 1.1"),
        ({"scale": -0.1}, ValueError, "scale must not be negative"),
    ],
)
def test_bad_input_is_named(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    for call in (residual_stream, draw_residual_stream):
        with pytest.raises(error, match=message):
            call(**settings)


@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0])
def test_the_still_figure_draws_these_numbers(scale: float) -> None:
    fig = figures.draw_residual_stream(blocks=12, scale=scale)
    (ax,) = fig.axes
    stream = residual_stream(blocks=12, scale=scale)
    drawn = [list(line.get_ydata()) for line in ax.lines]  # type: ignore[arg-type]  # stubs: any array
    assert drawn == [list(stream.forward), list(stream.backward), *([[stream.branch] * 12] if scale else [])]
    low, high = decades(stream)
    assert ax.get_ylim() == pytest.approx((10.0**low, 10.0**high))
    assert all(10.0**low <= value <= 10.0**high for values in drawn for value in values)
    plt.close(fig)


def test_the_fragment_is_whole_alone_and_asks_nothing_of_the_network() -> None:
    page = explorable_html("residual-stream", {}, alt="Curves of a residual stream and of its gradient by block.")
    assert not re.search(r"""\sid=|\bsrc=|@import|\burl\(|\bfetch\(|\bimport\b[ (]|from ["']""", page)
    declared = re.findall(r"^(?:export )?(?:function|const|let) (\w+)", page, re.MULTILINE)
    assert len(declared) == len(set(declared))  # the modules share one scope there
