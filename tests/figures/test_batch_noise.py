"""The noise of a batch statistic: the draws against batch norm itself, against theory, and the still figure."""

import math
import re
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from scipy import stats

import cwn_lite as cwn
from cwn_lite import figures
from cwn_lite.figures.batch_noise import (
    BINS,
    DRAWS,
    KINDS,
    SIZES,
    batch_noise,
    draw_batch_noise,
    histogram,
    moments,
)
from cwn_lite.figures.draws import normals
from cwn_lite.figures.explorable import MODULES, explorable_html


def test_the_draws_are_normal_and_independent() -> None:
    z = normals(1, 200_000)
    assert stats.kstest(z, "norm").pvalue > 0.01 and stats.kstest(normals(2, 2000), "norm").pvalue > 0.01
    for lag in (1, 2, 512):
        assert abs(np.corrcoef(z[:-lag], z[lag:])[0, 1]) < 0.01  # 4 standard errors
    assert not np.array_equal(z[:100], normals(2, 100))


@pytest.mark.parametrize("kind", KINDS)
def test_the_moments_of_a_sample(kind: str) -> None:
    z = np.linspace(-12, 12, 400_001)
    weight = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    x = np.maximum(z, 0) if kind == "relu" else z
    mean = (x * weight).sum()
    variance = ((x - mean) ** 2 * weight).sum()
    kurtosis = ((x - mean) ** 4 * weight).sum() / variance**2
    assert moments(kind) == pytest.approx((mean, variance, kurtosis), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [2, 5, 64])
def test_the_factor_is_what_batch_norm_does(kind: str, size: int) -> None:
    samples = torch.tensor(normals(1, DRAWS * SIZES[-1]).reshape(DRAWS, -1)[:, :size])
    samples = samples.clamp(min=0) if kind == "relu" else samples
    norm = torch.nn.BatchNorm1d(DRAWS, affine=False, eps=1e-30).double()
    out = norm(samples.T)
    mean, variance, _ = moments(kind)
    noise = batch_noise(size=size, kind=kind)["bn"]
    some = np.isfinite(noise.factors)
    z = ((samples - mean) / math.sqrt(variance)).numpy()
    offset = z.mean(axis=1, keepdims=True)
    assert np.allclose(noise.factors[some, None] * (z - offset)[some], out.T.numpy()[some], atol=1e-9)
    assert noise.offset == pytest.approx(offset.std()) and noise.spread == pytest.approx((1 / noise.factors).std())


def test_the_rules_hold_for_many_samples_and_fail_for_few() -> None:
    for kind in KINDS:
        for size in SIZES:
            noise = batch_noise(size=size, kind=kind)["bn"]
            assert noise.offset == pytest.approx(1 / math.sqrt(size), rel=0.07)
            if size >= 16:
                assert noise.spread == pytest.approx(noise.rule, rel=0.07)
        assert batch_noise(size=2, kind=kind)["bn"].spread < 0.9 * batch_noise(size=2, kind=kind)["bn"].rule
    assert moments("relu")[2] > 3 == moments("normal")[2]


def test_ours_draws_what_the_layer_draws() -> None:
    for sigma in (0.01, 0.3, 1.0):
        ours = batch_noise(sigma=sigma)["ours"]
        torch.manual_seed(0)
        layer = cwn.ScaleBias(100_000, noise_std=sigma)
        factors = layer(torch.ones(1, layer.num_features)).detach().numpy()[0]
        assert stats.ks_2samp(ours.factors, factors).pvalue > 0.01
        assert ours.rule == sigma and ours.offset == 0
        assert ours.spread == pytest.approx(sigma, rel=0.05)
    assert batch_noise(size=32)["ours"].rule == 1 / 8


def test_the_mean_square_of_a_factor_is_what_many_draws_have() -> None:
    for size in (8, 16):
        square = batch_noise(size=size)["bn"].square
        samples = np.random.default_rng(0).normal(size=(200_000, size))
        assert float((1 / samples.var(axis=1)).mean()) == pytest.approx(square, rel=0.02)
    assert math.isinf(batch_noise(size=3)["bn"].square) and batch_noise(size=4)["bn"].square == 4
    assert math.isinf(batch_noise(size=64, kind="relu")["bn"].square)  # all samples may be 0
    noise = batch_noise(sigma=0.5)["ours"]
    assert noise.square == 1.25 == pytest.approx(float(np.mean(noise.factors**2)), rel=0.05)


def test_the_histogram_counts_everything_once() -> None:
    shares, below, above = histogram(np.array([-5.0, -1.0, 0.02, 2.9999, 3.0, np.inf, 0.99, 1.01]))
    assert shares.sum() * 8 == 5 and (below, above) == (1 / 8, 2 / 8)
    assert len(shares) == round((BINS[1] - BINS[0]) / BINS[2]) and shares[0] == shares[-1] == 1 / 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 7}, "size must be one of 2, 3, 4, .*, got 7"),
        ({"kind": "uniform"}, "kind must be one of normal, relu, got 'uniform'"),
        ({"sigma": -0.1}, "sigma must not be negative, got -0.1"),
    ],
)
def test_bad_input_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_batch_noise(**settings)


def test_the_still_figure_draws_these_numbers() -> None:
    fig = figures.draw_batch_noise(size=2, kind="relu", sigma=1.0)
    noise = batch_noise(size=2, kind="relu", sigma=1.0)
    for ax, side in zip(fig.axes, noise.values(), strict=True):
        shares, below, above = histogram(side.factors)
        for stairs in ax.patches:
            # matplotlib's stubs say Patch, and stairs() adds a StepPatch.
            assert np.array_equal(stairs.get_data().values, shares)  # type: ignore[attr-defined]
        said = [text.get_text() for text in ax.texts]
        assert said == [f"{100 * share:.1f} % beyond" for share in (below, above) if share]
        assert ax.get_xlim() == BINS[:2]
    plt.close(fig)


def test_the_fragment_is_whole_alone_and_asks_nothing_of_the_network() -> None:
    page = explorable_html("batch-noise", {}, alt="Two histograms of the factor on the signal.")
    assert not re.search(r"""\sid=|\bsrc=|@import|\burl\(|\bfetch\(|\bimport\b[ (]|from ["']""", page)
    assert set(re.findall(r"https?://[^\"' ]+", page)) <= {"http://www.w3.org/2000/svg"}
    declared = re.findall(r"^(?:export )?(?:function|const|let) (\w+)", page, re.MULTILINE)
    assert len(declared) == len(set(declared))  # the modules share one scope there


def test_the_colours_of_the_methods_are_the_book_s() -> None:
    style = (MODULES / "shared.css").read_text()
    assert f"--blue: {figures.COLORS['bn']}" in style and f"--vermilion: {figures.COLORS['ours']}" in style
