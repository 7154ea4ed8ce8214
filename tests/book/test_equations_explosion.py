"""Every displayed equation of "Weight Standardization and gradient explosion", read from the page and evaluated."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds
from torch import Tensor, nn

import cwn_lite as cwn
from cwn_lite.lab.measure import trained_weight
from cwn_lite.lab.nets.reparameterize import centered_weight_norm, weight_norm

N, LR, DECAY = 18, 0.3, 0.05
Symbols = dict[str, Any]


def backward(layer: nn.Linear, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Row behind the weight, row in use, and their gradients of a loss without any symmetry, by autograd."""
    torch.manual_seed(seed)
    x, y = torch.randn(40, N).double(), torch.randn(40, 1).double()
    used = layer.weight
    used.retain_grad()
    (nn.functional.linear(x, used).tanh() - y).square().mean().backward()
    free = trained_weight(layer)
    assert used.grad is not None and free.grad is not None
    rows = (free.detach()[0], used.detach()[0], free.grad[0], used.grad[0])
    w, w_hat, g, g_hat = (row.double().numpy().copy() for row in rows)
    return w, w_hat, g, g_hat


def row_layer(seed: int) -> nn.Linear:
    torch.manual_seed(seed)
    layer = nn.Linear(N, 1, bias=False).double()
    with torch.no_grad():
        layer.weight.mul_(2).add_(0.1)
    return layer


def symbols(seed: int, gain: float | None = None) -> Symbols:
    """One row behind Weight Standardization, its gradients, and one step of torch's SGD."""
    layer = cwn.weight_standardization(row_layer(seed), gain=gain)
    w, w_hat, g, g_hat = backward(layer, seed)
    raw = trained_weight(layer)
    torch.optim.SGD([raw], lr=LR, weight_decay=DECAY).step()
    return {
        "n": N,
        "I": np.eye(N),
        "P": np.eye(N) - 1 / N,
        r"\mathbf 1": np.ones(N),
        r"\mu": w.mean(),
        r"\sigma_w": w.std(),
        r"\kappa": math.sqrt(N) if gain is None else gain,
        r"\alpha": LR,
        r"\lambda": DECAY,
        "w": w,
        r"\hat w": w_hat,
        "g": g,
        r"\hat g": g_hat,
        "w^{+}": raw.detach()[0].numpy(),
    }


def check(label: str, known: Symbols, *wrong: str, tex: str | None = None) -> None:
    """The page's formula holds, and no longer does when any symbol named in `wrong` has another value."""
    tex = formula(f"eq:explosion:{label}") if tex is None else tex
    assert holds(tex, known)
    for name in wrong:
        assert not holds(tex, known | {name: 1.1 * known[name]}), name


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.equation("eq:explosion:ws")
def test_standardized_rows(seed: int) -> None:
    check("ws", symbols(seed), r"\mu", r"\sigma_w", r"\hat w", "n")


@pytest.mark.equation("eq:explosion:projection")
def test_it_is_the_projection_with_c_equal_to_n() -> None:
    known = symbols(0)
    check("projection", known, "n", r"\hat w")
    assert np.allclose(known[r"\hat w"], cwn.project_rows(torch.tensor(known["w"]), c=N).numpy())


@pytest.mark.equation("eq:explosion:gain")
def test_gain_is_the_norm() -> None:
    for gain in (0.7, math.sqrt(2), 4.0):
        check("gain", symbols(1, gain), r"\kappa", r"\hat w")


@pytest.mark.equation("eq:explosion:differential")
def test_differential_by_a_small_step() -> None:
    known = symbols(2)
    direction = np.random.default_rng(0).normal(size=N)

    def standardized(t: float) -> Any:
        layer = row_layer(2)
        with torch.no_grad():
            layer.weight.add_(t * torch.tensor(direction))
        return cwn.weight_standardization(layer).weight.detach()[0].numpy()

    centred = known["w"] - known["w"].mean()
    small = {
        "d w": direction,
        r"d\dot w": direction - direction.mean(),
        r"d \sigma_w": centred @ direction / (N * known[r"\sigma_w"]),
        r"d \hat w": (standardized(1e-5) - standardized(-1e-5)) / 2e-5,
    }
    check("differential", known | small, r"\sigma_w", "d w", r"d \hat w", r"d \sigma_w")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.equation("eq:explosion:gradient")
def test_gradient_to_rounding(seed: int) -> None:
    known = symbols(seed)
    check("gradient", known, r"\sigma_w", r"\hat w", "g")
    swapped = known | {"g": known[r"\hat g"], r"\hat g": known["g"]}  # the paper's exchange
    assert not holds(formula("eq:explosion:gradient"), swapped)
    w_hat, g_hat, sigma = known[r"\hat w"], known[r"\hat g"], known[r"\sigma_w"]
    by_hand = (g_hat - g_hat.mean() - (w_hat @ g_hat) / N * w_hat) / sigma
    assert np.abs(by_hand - known["g"]).max() < 1e-10 * np.abs(known["g"]).max()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.equation("eq:explosion:step")
def test_step_of_sgd(seed: int) -> None:
    check("step", symbols(seed), r"\sigma_w", r"\alpha", r"\lambda", r"\hat g")


@pytest.mark.equation("eq:explosion:orthogonal")
def test_gradient_is_orthogonal_to_what_the_normalization_removes() -> None:
    known = symbols(0)
    tex = formula("eq:explosion:orthogonal")
    assert holds(tex, known)
    assert not holds(tex, known | {"g": known[r"\hat g"]})


@pytest.mark.parametrize("gain", [None, math.sqrt(2), 3.0])
@pytest.mark.equation("eq:explosion:size")
def test_size_is_the_ratio_of_two_lengths(gain: float | None) -> None:
    known = symbols(1, gain)
    w_hat, g_hat = known[r"\hat w"], known[r"\hat g"]
    unit = w_hat / np.linalg.norm(w_hat)
    survives = g_hat - g_hat.mean()
    survives -= (unit @ survives) * unit
    check("size", known | {r"\hat g_\perp": survives}, r"\kappa", "w", "g", r"\hat g_\perp")


@pytest.mark.equation("eq:explosion:homogeneous")
def test_stretching_the_row_divides_the_gradient() -> None:
    stretch = 7.0

    def loss_and_gradient(factor: float) -> tuple[float, np.ndarray]:
        layer = row_layer(0)
        with torch.no_grad():
            layer.weight.mul_(factor)
        cwn.weight_standardization(layer)
        torch.manual_seed(3)
        x = torch.randn(20, N).double()
        loss = nn.functional.linear(x, layer.weight).tanh().square().mean()
        loss.backward()
        gradient = trained_weight(layer).grad
        assert gradient is not None
        return loss.item(), gradient[0].numpy()

    (there, stretched), (here, usual) = loss_and_gradient(stretch), loss_and_gradient(1.0)
    known = {"a": stretch, "L(a w)": there, "L(w)": here, r"\nabla L(a w)": stretched, r"\nabla L(w)": usual}
    check("homogeneous", known, "a", "L(w)", r"\nabla L(w)")


def relative(layer: nn.Linear, trained_length: float) -> Symbols:
    with torch.no_grad():
        next(p for name, p in layer.named_parameters() if name.endswith((".g", "original0"))).fill_(trained_length)
    v, w, g_v, g_w = backward(layer)
    length = next(p for name, p in layer.named_parameters() if name.endswith((".g", "original0")))
    assert length.grad is not None
    return {
        "P": np.eye(N) - 1 / N,
        r"\ell": trained_length,
        "v": v,
        "w": w,
        r"\nabla_{v} L": g_v,
        r"\nabla_w L": g_w,
        r"\nabla_{\ell} L": length.grad.item(),
    }


@pytest.mark.equation("eq:explosion:weight-norm")
def test_weight_normalization_is_torchs() -> None:
    known = relative(weight_norm(row_layer(0)), 1.7)
    check("weight-norm", known, r"\ell", "v", r"\nabla_w L", r"\nabla_{\ell} L")


@pytest.mark.equation("eq:explosion:centred-weight-norm")
def test_centered_weight_normalization() -> None:
    known = relative(centered_weight_norm(row_layer(0)), 1.7)
    check("centred-weight-norm", known, r"\ell", "v", r"\nabla_w L")


def wide_stack(gain: float, layers: int, n: int, seed: int, lengths: list[float]) -> tuple[list[Tensor], ...]:
    """Signals, gradients of the signals, and gradients of the trained matrices, for one sample."""
    torch.manual_seed(seed)
    stack = [nn.Linear(n, n, bias=False).double() for _ in range(layers)]
    for layer, length in zip(stack, lengths, strict=True):
        nn.init.normal_(layer.weight, std=length / math.sqrt(n))
        cwn.weight_standardization(layer, gain=gain)
    x, signals = torch.randn(1, n).double(), []
    for layer in stack:
        signals.append(layer(x))
        signals[-1].retain_grad()
        x = signals[-1].relu()
    (signals[-1] @ torch.randn(n).double()).sum().backward()
    deltas, matrices = [s.grad for s in signals], [trained_weight(layer).grad for layer in stack]
    return signals, deltas, matrices, [trained_weight(layer).detach() for layer in stack]


@pytest.mark.parametrize("gain", [math.sqrt(2), 4.0])
@pytest.mark.equation("eq:explosion:forward", "eq:explosion:backward")
def test_growth_per_layer(gain: float) -> None:
    n, runs = 384, [wide_stack(gain, 4, 384, seed, [1.0] * 4) for seed in range(6)]
    squares = [np.mean([r[0][i].detach().square().mean().item() for r in runs]) for i in (1, 2)]
    back = [np.mean([r[1][i].square().sum().item() for r in runs]) for i in (1, 2)]
    known = {
        r"\kappa": gain,
        r"c^\star": cwn.C_CENTERED,
        r"\pi": math.pi,
        r"\operatorname{E}[y_l^2]": squares[1],
        r"\operatorname{E}[y_{l-1}^2]": squares[0],
        r"\operatorname{E} \lVert \delta_{l-1} \rVert^2": back[0],
        r"\operatorname{E} \lVert \delta_l \rVert^2": back[1],
    }
    for label in ("forward", "backward"):
        tex = formula(f"eq:explosion:{label}")
        assert holds(tex, known, rtol=0.12)
        assert not holds(tex, known | {r"\kappa": 1.2 * gain}, rtol=0.12)
    # Not He's factor forward, and not the centred one backward: they differ by a third.
    forward, _ = formula("eq:explosion:forward").split(r"\qquad")
    assert not holds(forward, known | {r"c^\star": 2.0}, rtol=0.12)
    swapped = formula("eq:explosion:backward").replace(r"\frac{\kappa^2}{2}", r"\frac{\kappa^2}{c^\star}")
    assert n == 384 and not holds(swapped, known, rtol=0.12)


@pytest.mark.equation("eq:explosion:profile")
def test_tilt_has_no_gain_and_one_length_per_layer() -> None:
    lengths = [1.0, 0.01, 0.03, 5.0]
    for gain in (math.sqrt(2), 6.0):
        runs = [wide_stack(gain, 4, 384, seed, lengths) for seed in range(6)]
        centred = [(w - w.mean(1, keepdim=True)).norm().item() for w in runs[0][3]]
        norms = [math.sqrt(np.mean([r[2][i].square().sum().item() for r in runs])) for i in range(4)]
        for lower in (1, 2):
            known = {
                r"c^\star": cwn.C_CENTERED,
                r"\lVert \nabla_{W_{l+1}} L \rVert": norms[lower + 1],
                r"\lVert \nabla_{W_l} L \rVert": norms[lower],
                r"\lVert P W_l \rVert": centred[lower],
                r"\lVert P W_{l+1} \rVert": centred[lower + 1],
            }
            tex = formula("eq:explosion:profile")
            assert holds(tex, known, rtol=0.12)
            assert not holds(tex, known | {r"c^\star": 2.0}, rtol=0.12)
