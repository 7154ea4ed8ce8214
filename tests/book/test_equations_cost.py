"""Every displayed equation of "What does it cost?", read from the page and held against counted bytes and autograd."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds
from bookcheck.tight import checker
from torch import Tensor, nn
from torch.nn import functional as F

import cwn_lite as cwn
from cwn_lite.lab.measure.cost import Traffic

Symbols = dict[str, Any]
CHANNELS, SIDE, IMAGES = 64, 40, 3  # large enough that tensors with one value per channel do not matter
FAN_IN = 9 * CHANNELS


check = checker("cost")


def conv(bias: bool) -> nn.Conv2d:
    return nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=bias)


def counted(call: Callable[[], object]) -> float:
    """Values, of float32, that the operations of a call read and write."""
    with Traffic() as traffic:
        call()
    return traffic.total / 4


def moved(model: nn.Module) -> float:
    """Values of a forward and a backward pass."""
    x = torch.randn(IMAGES, CHANNELS, SIDE, SIDE, requires_grad=True)
    arriving = torch.randn_like(x)
    return counted(lambda: torch.autograd.grad(model(x), [x, *model.parameters()], arriving))


def known() -> Symbols:
    outputs = conv(bias=False)(torch.zeros(IMAGES, CHANNELS, SIDE, SIDE))
    return {
        "A": outputs.numel(),
        "Q": conv(bias=False).weight.numel(),
        "B": IMAGES,
        "C": CHANNELS,
        "S": SIDE**2,
        "n": FAN_IN,
    }


def close(label: str, name: str, moved: float, *wrong: str, **more: float) -> None:
    """The formula gives the counted values up to the tensors with one value per channel."""
    symbols = known() | {rf"V_{{\mathrm{{{key}}}}}": value for key, value in (more | {name: moved}).items()}
    tex = formula(f"eq:cost:{label}").replace("=", r"\approx")
    assert holds(tex, symbols, rtol=0.01)
    for key in (*wrong, rf"V_{{\mathrm{{{name}}}}}"):
        assert not holds(tex, symbols | {key: 1.1 * symbols[key]}, rtol=0.01), key


@pytest.mark.equation("eq:cost:sizes")
def test_numbers_of_weights_and_outputs() -> None:
    check("sizes", known(), "A", "B", "C", "S", "Q", "n")


@pytest.mark.equation("eq:cost:bn")
def test_passes_of_batch_norm() -> None:
    close("bn", "bn", moved(nn.Sequential(conv(False), nn.BatchNorm2d(CHANNELS))) - moved(conv(True)), "A")


class Written(cwn.ScaleBias):
    """As the page writes it down."""

    def forward(self, x: Tensor) -> Tensor:
        gamma, beta = self.scale(x)[..., None, None], self.bias[:, None, None]
        return gamma * x + beta


@pytest.mark.equation("eq:cost:unfused", "eq:cost:written", "eq:cost:fused-traffic")
def test_passes_of_the_scale() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(conv(False), cwn.ScaleBias(CHANNELS, noise_std=0.1))
    plain, unfused = moved(conv(True)), moved(model)
    written = moved(nn.Sequential(conv(False), Written(CHANNELS, noise_std=0.1)))
    projection = counted(lambda: cwn.project_(conv(False).weight))
    close("unfused", "unfused", unfused - plain + projection, "A", projection=projection)
    close("written", "written", written - plain + projection, "A", projection=projection)
    more = {"projection": projection}
    close(
        "fused-traffic", "fused", moved(cwn.fuse(model)) - plain + projection, "Q", r"V_{\mathrm{projection}}", **more
    )


@pytest.mark.equation("eq:cost:projection", "eq:cost:optimizer")
def test_passes_of_projection_and_optimizer() -> None:
    weight = conv(False).weight
    weight.grad = torch.randn_like(weight)
    sgd = torch.optim.SGD([weight], lr=0.1, momentum=0.9, fused=True)
    sgd.step()
    projection, step = counted(lambda: cwn.project_(weight)), counted(sgd.step)
    close("projection", "projection", projection, "Q")
    # The second fraction is the floor: one read and one write.
    close("optimizer", "sgd", step, r"V_{\mathrm{projection}}", "Q", projection=projection)


@pytest.mark.equation("eq:cost:fused", "eq:cost:gradients")
def test_the_scale_in_the_weight() -> None:
    torch.manual_seed(0)
    x, w = torch.randn(5, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    scale, own, beta = (torch.randn(4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    arriving = torch.randn(5, 4, dtype=torch.float64)
    fused_weight = (scale[:, None] * w).detach().requires_grad_()
    fused_bias = (scale * own + beta).detach()
    F.linear(x, fused_weight, fused_bias).backward(arriving)
    y = x @ w.T
    (scale * (y + own) + beta).backward(arriving)

    def array(tensor: Tensor | None) -> np.ndarray:
        assert tensor is not None
        return tensor.detach().numpy()

    symbols = {r"\Gamma": array(torch.diag(scale)), "W": array(w), r"\beta_0": array(own), r"\beta": array(beta)}
    symbols |= {"x": array(x[0]), "W'": array(fused_weight), r"\beta'": array(fused_bias)}
    check("fused", symbols, r"\Gamma", "W", "W'", r"\beta'", r"\beta_0", r"\beta")
    for i in range(4):
        row = {
            r"\frac{\partial L}{\partial w_i}": array(w.grad)[i],
            # Without the layer's own bias, whose share an exercise adds.
            r"\frac{\partial L}{\partial \gamma'_i}": array(scale.grad)[i]
            - array(arriving)[:, i].sum() * array(own)[i],
            r"\gamma'_i": array(scale)[i],
            "H_i": array(fused_weight.grad)[i],
            "w_i": array(w)[i],
            r"\sum_{k} \delta_{ik} \, y_{ik}": (array(arriving) * array(y))[:, i].sum(),
        }
        check("gradients", row, *row)


@pytest.mark.equation("eq:cost:break-even")
def test_when_ours_moves_less() -> None:
    """The page's inequality decides as the formulas of both costs do, on either side of equality."""
    costs = [formula(f"eq:cost:{label}") for label in ("bn", "fused-traffic", "projection")]
    for images, positions, fan_in in ((7, 64, 256), (7, 64, 255), (7, 64, 257), (128, 64, 5760), (128, 1, 4096)):
        outputs = 3
        symbols: Symbols = {"A": images * outputs * positions, "Q": outputs * fan_in}
        symbols[r"V_{\mathrm{projection}}"] = 6 * symbols["Q"]
        symbols[r"V_{\mathrm{bn}}"] = 8 * symbols["A"]
        symbols[r"V_{\mathrm{fused}}"] = 14 * symbols["Q"]
        assert all(holds(tex, symbols) for tex in costs)
        less = symbols[r"V_{\mathrm{fused}}"] < symbols[r"V_{\mathrm{bn}}"]
        assert holds(formula("eq:cost:break-even"), {"B": images, "S": positions, "n": fan_in}) == less
