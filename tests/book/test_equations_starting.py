"""Every displayed equation of "Scale, bias, noise, and how to start a residual network", read from the page."""

import itertools
import math

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds
from bookcheck.tight import checker

import cwn_lite as cwn
from cwn_lite.lab.nets.networks import residual_scaling

check = checker("starting")


def channel(gamma: float, beta: float, noise_std: float = 0.0) -> cwn.ScaleBias:
    """A scale layer of one channel that draws for each sample, in float64."""
    layer = cwn.ScaleBias(1, noise_std=noise_std, per_sample=True, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.fill_(gamma)
        layer.bias.fill_(beta)
    return layer


ROW = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64)
INPUT = torch.tensor([3.0, 1.0, -1.0], dtype=torch.float64)


@pytest.mark.equation("eq:starting:scale-bias")
def test_scale_and_bias_of_a_row() -> None:
    known = {r"\gamma": 0.7, r"\beta": -0.4, "w": ROW.numpy(), "x": INPUT.numpy()}
    y = channel(0.7, -0.4)((ROW @ INPUT).reshape(1, 1)).item()
    check("scale-bias", known | {"y": y}, "y", r"\gamma", r"\beta", "w", "x")
    assert holds(formula("eq:starting:scale-bias"), known | {"y": y, "x": INPUT.numpy() + 10})  # blind to an offset


@pytest.mark.equation("eq:starting:radial")
def test_the_gradient_along_a_row_is_its_scale_s() -> None:
    w = cwn.project_rows(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)).double()).requires_grad_()
    layer = cwn.ScaleBias(3, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, -1.5, 2.0]))
    x = torch.randn(9, 8, generator=torch.Generator().manual_seed(1)).double()
    layer(x @ w.T).tanh().square().sum().backward()
    assert w.grad is not None and layer.weight.grad is not None
    for row, along, gamma, slope in zip(
        w.detach(), w.grad, layer.weight.tolist(), layer.weight.grad.tolist(), strict=True
    ):
        known = {
            "w": row.numpy(),
            r"\frac{\partial L}{\partial w}": along.numpy(),
            r"\gamma": gamma,
            r"\frac{\partial L}{\partial \gamma}": slope,
        }
        check("radial", known, *known)


@pytest.mark.equation("eq:starting:noise")
def test_the_noise_is_on_the_scale() -> None:
    layer = channel(0.7, 0.3, noise_std=0.5)
    y_clean = (ROW @ INPUT).reshape(1, 1)
    torch.manual_seed(4)
    eta = (layer.scale(y_clean) / 0.7 - 1).item()
    torch.manual_seed(4)
    y = layer(y_clean).item()
    known = {"y": y, r"\eta": eta, r"\gamma": 0.7, r"\beta": 0.3, "w": ROW.numpy(), "x": INPUT.numpy()}
    check("noise", known, *known)
    assert layer.eval()(y_clean).item() == pytest.approx(0.7 * (ROW @ INPUT).item() + 0.3)


@pytest.mark.equation("eq:starting:moments")
def test_mean_and_variance_over_the_noise() -> None:
    torch.manual_seed(0)
    gamma, beta, sigma, draws = 0.7, 0.3, 0.4, 400_000
    y = channel(gamma, beta, sigma)((ROW @ INPUT).expand(draws, 1)).detach()
    clean = (ROW @ INPUT).item()
    mean, variance = gamma * clean + beta, (sigma * gamma * clean) ** 2
    known = {
        r"\operatorname{E}_\eta[y]": mean,
        r"\operatorname{Var}_\eta[y]": variance,
        r"\gamma": gamma,
        r"\beta": beta,
        r"\sigma": sigma,
        "w": ROW.numpy(),
        "x": INPUT.numpy(),
    }
    check("moments", known, *known)
    assert y.mean().item() == pytest.approx(mean, rel=3e-3)  # 5 standard errors
    assert y.var().item() == pytest.approx(variance, rel=0.02)


@pytest.mark.equation("eq:starting:relu")
@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_the_mean_behind_a_relu(sigma: float) -> None:
    torch.manual_seed(0)
    z = torch.randn(1_000_000, 1, dtype=torch.float64)
    behind = channel(1.0, 0.0, sigma)(z).relu().mean().item()
    size = (1 + sigma * torch.randn_like(z)).abs().mean().item()
    known = {
        r"\operatorname{E}[((1 + \eta) z)_+]": size / math.sqrt(2 * math.pi),
        r"\operatorname{E}[\lvert 1 + \eta\rvert]": size,
        r"\operatorname{E}[z_+]": 1 / math.sqrt(2 * math.pi),
    }
    check("relu", known, *known)
    assert behind == pytest.approx(size / math.sqrt(2 * math.pi), rel=1e-2)
    skewed = torch.rand_like(z)  # not symmetric: what the noise turns is lost
    found = channel(1.0, 0.0, 1.0)(skewed).relu().mean() / skewed.mean()
    assert found.item() < 0.98 * (1 + torch.randn_like(z)).abs().mean().item()


@pytest.mark.equation("eq:starting:schedule")
def test_the_linear_schedule() -> None:
    for level, found in enumerate(cwn.noise_schedule(7, 0.8, "linear"), start=1):
        known = {r"\sigma_l": found, "l": level, "L": 7, r"\sigma": 0.8}
        check("schedule", known, *known)


@pytest.mark.equation("eq:starting:rms")
@pytest.mark.parametrize("depth", [1, 6, 25])
def test_strength_of_the_linear_schedule(depth: int) -> None:
    levels = np.array(cwn.noise_schedule(depth, 0.8, "linear"))
    known = {
        r"\sigma_{\mathrm{rms}}": math.sqrt(np.mean(levels**2)),
        r"\sum_{l=1}^{L} \sigma_l^2": (levels**2).sum(),
        r"\sigma": 0.8,
        "L": depth,
    }
    check("rms", known, *known)
    if depth > 1:
        constant = np.array(cwn.noise_schedule(depth, 0.8, "constant"))
        assert not holds(formula("eq:starting:rms"), known | {r"\sum_{l=1}^{L} \sigma_l^2": (constant**2).sum()})


@pytest.mark.equation("eq:starting:depth")
@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_noise_through_a_chain(schedule: str) -> None:
    """Scale layers in a row, each with its own level: the mean square over the draws, and the bound."""
    torch.manual_seed(0)
    depth, draws = 6, 400_000
    levels = cwn.noise_schedule(depth, 0.4, schedule)
    x = torch.ones(draws, 1, dtype=torch.float64)
    for sigma in levels:
        x = channel(1.0, 0.0, sigma)(x).detach()
    product = math.prod(1 + sigma**2 for sigma in levels)
    known = {
        r"\bar q_L": product,
        "q_L": 1.0,
        r"\prod_{l=1}^{L} (1 + \sigma_l^2)": product,
        r"\sigma_{\mathrm{rms}}": math.sqrt(sum(sigma**2 for sigma in levels) / depth),
        "L": depth,
    }
    check("depth", known, r"\bar q_L", "q_L")
    assert not holds(formula("eq:starting:depth"), known | {"L": depth - 1})
    assert x.square().mean().item() == pytest.approx(product, rel=0.03)


@pytest.mark.equation("eq:starting:averaging")
@pytest.mark.parametrize("agree", [True, False])
def test_noise_of_a_sum_over_channels(agree: bool) -> None:
    """ScaleBias multiplies each contribution; the spread of the sum over many draws is the formula's."""
    torch.manual_seed(0)
    channels, sigma = 25, 0.3
    u = torch.ones(channels) if agree else torch.randn(channels)
    layer = cwn.ScaleBias(channels, noise_std=sigma, per_sample=True)
    y = layer(u.expand(200_000, channels)).sum(1).double()
    known = {
        r"\operatorname{sd}_{\eta}[y]": sigma * math.sqrt((u.double() ** 2).sum()),
        "y": u.double().sum().item(),
        r"\sigma": sigma,
        r"\sum_j u_j^2": (u.double() ** 2).sum().item(),
        r"\sum_j u_j": u.double().sum().item(),
    }
    check("averaging", known, r"\operatorname{sd}_{\eta}[y]", r"\sigma", r"\sum_j u_j^2", "y")
    assert y.std().item() == pytest.approx(known[r"\operatorname{sd}_{\eta}[y]"], rel=0.01)  # 6 standard errors
    if agree:
        assert y.std().item() / channels == pytest.approx(sigma / math.sqrt(channels), rel=0.01)


@pytest.mark.equation("eq:starting:stream")
@pytest.mark.parametrize(("gamma", "ratio"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.6), (12**-0.5, 1.0)])
def test_growth_of_a_stream(gamma: float, ratio: float) -> None:
    """Random linear branches that multiply the mean square by `ratio`, on a plain sum."""
    generator = torch.Generator().manual_seed(0)
    n, blocks = 2000, 12
    x = torch.randn(n, generator=generator).double()
    squares = [x.square().mean().item()]
    for _ in range(blocks):
        branch = torch.randn(n, n, generator=generator).double() * math.sqrt(ratio / n)
        x = x + gamma * (branch @ x)
        squares.append(x.square().mean().item())
    growth = 1 + gamma**2 * ratio
    known = {"q_{b+1}": growth, "q_b": 1.0, "q_D": growth**blocks, "q_0": 1.0}
    known |= {r"\gamma": gamma, r"\chi": ratio, "D": blocks}
    check("stream", known, "q_{b+1}", "q_D", r"\gamma", r"\chi", "D")
    assert squares[-1] / squares[0] == pytest.approx(known["q_D"], rel=0.25)
    if gamma < 0.5:
        assert known["q_D"] < math.e


@pytest.mark.equation("eq:starting:nf")
def test_nf_scaling_turns_the_product_into_a_sum() -> None:
    generator = torch.Generator().manual_seed(0)
    n, blocks, nu = 2000, 12, 0.6
    pairs = list(residual_scaling(blocks, nu))
    x = torch.randn(n, generator=generator).double()
    x /= x.square().mean().sqrt()
    for b, ((alpha, tau), (_, after)) in enumerate(itertools.pairwise(pairs)):
        assert alpha == nu
        known = {r"\tau_{b+1}": after, r"\tau_b": tau, "b": b, r"\nu": nu}
        check("nf", known, r"\tau_{b+1}", r"\tau_b", r"\nu", *(["b"] if b else []))
        assert x.square().mean().item() == pytest.approx(tau**2, rel=0.15)  # the prediction
        branch = torch.randn(n, n, generator=generator).double() / math.sqrt(n)
        x = x + nu * (branch @ (x / tau))


def network(
    n: int, blocks: int, gamma: float, ratio: float
) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
    """Streams, weights and scales of blocks with one random linear map each, behind a backward pass."""
    torch.manual_seed(0)
    weights = [(torch.randn(n, n).double() * math.sqrt(ratio / n)).requires_grad_() for _ in range(blocks)]
    gammas = torch.full((blocks,), gamma, dtype=torch.float64, requires_grad=True)
    streams = [torch.randn(n).double().requires_grad_()]
    for b, w in enumerate(weights):
        streams.append(streams[-1] + gammas[b] * (w @ streams[-1]))
        streams[-1].retain_grad()
    (streams[-1] @ torch.randn(n).double()).backward()
    return streams, weights, gammas


def square(x: torch.Tensor | None) -> float:
    assert x is not None
    return x.detach().square().mean().item()


@pytest.mark.equation("eq:starting:backward")
@pytest.mark.parametrize(("gamma", "ratio"), [(1.0, 1.0), (0.5, 0.6)])
def test_the_gradient_grows_from_the_other_end(gamma: float, ratio: float) -> None:
    blocks = 8
    streams, _, _ = network(1000, blocks, gamma, ratio)
    growth = 1 + gamma**2 * ratio
    for b in (0, 3):
        known = {"p_{b+1}": growth ** (blocks - b - 1), "p_b": growth ** (blocks - b), "p_D": 1.0}
        known |= {r"\gamma": gamma, r"\chi": ratio, "D": blocks, "b": b}
        check("backward", known, "p_{b+1}", "p_b", "p_D", r"\gamma", r"\chi", "D")
        found = square(streams[b].grad) / square(streams[-1].grad)
        assert found == pytest.approx(known["p_b"], rel=0.25)


@pytest.mark.equation("eq:starting:branch-gradient")
@pytest.mark.parametrize(("gamma", "ratio"), [(1.0, 1.0), (0.5, 0.6), (8**-0.5, 1.0)])
def test_all_branches_get_the_same(gamma: float, ratio: float) -> None:
    blocks = 8
    streams, weights, _ = network(1000, blocks, gamma, ratio)
    growth = 1 + gamma**2 * ratio
    for b in range(blocks):
        known = {"p_{b+1}": growth ** (blocks - b - 1), "q_b": growth**b, "p_D": 1.0, "q_0": 1.0}
        known |= {"g_b": gamma * growth ** ((blocks - 1) / 2), r"\gamma": gamma, r"\chi": ratio, "D": blocks}
        check("branch-gradient", known, "g_b", "p_{b+1}", "q_b", "p_D", "q_0", r"\chi", "D")
        exact = gamma**2 * square(streams[b + 1].grad) * square(streams[b])
        assert square(weights[b].grad) == pytest.approx(exact, rel=1e-9)
        ends = square(streams[-1].grad) * square(streams[0])
        assert exact / ends == pytest.approx(known["g_b"] ** 2, rel=0.3)


@pytest.mark.equation("eq:starting:scale-gradient")
@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_a_last_scale_has_a_gradient_at_zero(gamma: float) -> None:
    streams, weights, gammas = network(50, 4, gamma, 1.0)
    assert gammas.grad is not None
    for b, w in enumerate(weights):
        after = streams[b + 1].grad
        assert after is not None
        known = {
            r"\frac{\partial L}{\partial \gamma_b}": gammas.grad[b].item(),
            "f(x_b)": (w @ streams[b]).detach().numpy(),
            r"\delta_{b+1}": after.numpy(),
        }
        check("scale-gradient", known, *known)
        assert gammas.grad[b] != 0
