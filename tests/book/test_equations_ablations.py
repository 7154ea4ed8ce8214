"""Every displayed equation of "Ablations: what each part does", read from the page and evaluated."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds

import cwn_lite as cwn
from cwn_lite.lab.nets.networks import residual_scaling
from cwn_lite.lab.results import stats


def check(label: str, known: dict[str, Any], *wrong: str, rtol: float = 1e-2) -> None:
    """The page's formula holds, and no longer does when any symbol named in `wrong` has another value."""
    tex = formula(f"eq:ablations:{label}")
    assert holds(tex, known, rtol)
    for name in wrong:
        assert not holds(tex, known | {name: 1.1 * known[name]}, rtol), name


@pytest.mark.equation("eq:ablations:interaction")
def test_interaction_is_the_product_term_of_a_linear_model() -> None:
    errors = {"e_0": 5.3, "e_{C}": 5.6, "e_{S}": 5.7, "e_{CS}": 4.5}
    centred, sphere = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    design = np.stack([np.ones(4), centred, sphere, centred * sphere], axis=1)
    product = np.linalg.solve(design, np.array(list(errors.values())))[-1]
    known = {key.replace("{C}", "C").replace("{S}", "S"): value for key, value in errors.items()}
    check("interaction", known | {r"\Delta": product}, *known, r"\Delta")


@pytest.mark.equation("eq:ablations:chance")
def test_intervals_that_exclude_zero_by_chance() -> None:
    """Tables of K comparisons between seeds that differ by luck alone, with the lab's own interval."""
    tables, comparisons, seeds, level = 400, 8, 4, 0.8
    noise = np.random.default_rng(0).normal(size=(tables, comparisons, seeds))
    nothing = dict.fromkeys(range(seeds), 0.0)

    def excludes(values: np.ndarray) -> bool:
        found = stats.paired_difference(dict(enumerate(values.tolist())), nothing, level)
        return not found.low <= 0 <= found.high

    excluded = np.array([[excludes(row) for row in table] for table in noise])
    miss = 1 - level
    known = {
        r"\operatorname{E}[F]": miss * comparisons,
        r"p_{\mathrm{any}}": 1 - level**comparisons,
        r"\varphi": miss,
        "K": comparisons,
    }
    check("chance", known, *known)
    assert excluded.sum(1).mean() == pytest.approx(known[r"\operatorname{E}[F]"], rel=0.1)  # 3 standard errors
    assert excluded.any(1).mean() == pytest.approx(known[r"p_{\mathrm{any}}"], abs=0.06)


@pytest.mark.equation("eq:ablations:rms")
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
        assert not holds(formula("eq:ablations:rms"), known | {r"\sum_{l=1}^{L} \sigma_l^2": (constant**2).sum()})


@pytest.mark.equation("eq:ablations:averaging")
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


@pytest.mark.equation("eq:ablations:stream")
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


@pytest.mark.equation("eq:ablations:nf")
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
