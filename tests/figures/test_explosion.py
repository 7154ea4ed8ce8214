"""The two explosions, computed: by autograd in the figure, by hand here."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest
import torch

import cwn_lite as cwn
from cwn_lite import figures
from cwn_lite.figures.explorable import MODULES
from cwn_lite.figures.explosion import LIMITS, Profiles, profiles

N, LAYERS, BATCH = 7, 6, 5
ALT = "Two plots against the layer of a deep network, of activations and of gradients."


def make(n: int = N, layers: int = LAYERS, batch: int = BATCH, seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    cotangent = rng.normal(size=n)
    return rng.normal(size=(layers, n, n)) + 0.3, rng.normal(size=(batch, n)), cotangent / np.linalg.norm(cotangent)


def at(**changes: Any) -> Profiles:
    return profiles(*make(), **{"sigma": 0.3, "depth": 5, "gain": 2.0, **changes})


def loss(rows: Any, x: Any, a: Any) -> float:
    y = x
    for i, matrix in enumerate(rows):
        y = (np.maximum(y, 0) if i else y) @ matrix.T
    return float((y @ a).mean())


def test_activations_and_gradients_are_those_of_differences() -> None:
    """An independent oracle: Eq. 15-17 in NumPy, and each weight moved by hand (Eq. 18-19 follow)."""
    directions, x, a = make()
    centred = directions[:5] - directions[:5].mean(-1, keepdims=True)
    trained = 0.3 * centred / centred.std(-1, keepdims=True)
    scale = 2.0 / math.sqrt(N)

    def ws(w: Any) -> Any:
        return scale * (w - w.mean(-1, keepdims=True)) / w.std(-1, keepdims=True)

    def ours(w: Any) -> Any:
        rows = w - w.mean(-1, keepdims=True)
        return math.sqrt(2) * rows / np.linalg.norm(rows, axis=-1, keepdims=True)

    constrained = ours(directions[:5])
    now = at()
    # The projection after a step is, to first order, the tangent part: differences through it leave no other.
    for profile, weights, forward in ((now.ws, trained, ws), (now.ours, constrained, ours)):
        y = x
        for layer, rows in enumerate(forward(weights)):
            y = (np.maximum(y, 0) if layer else y) @ rows.T
            assert profile.rms[layer] == pytest.approx(math.sqrt((y**2).mean()), rel=1e-12)
        for layer in (0, 2, 4):
            gradient = np.zeros((N, N))
            for place in np.ndindex(N, N):
                step = np.zeros_like(weights)
                step[(layer, *place)] = 1e-6
                gradient[place] = (loss(forward(weights + step), x, a) - loss(forward(weights - step), x, a)) / 2e-6
            assert profile.gradient[layer] == pytest.approx(np.linalg.norm(gradient), rel=1e-6)


def test_sigma_enters_once_and_the_gain_compounds() -> None:
    for sigma, depth, gain, decay in [
        (0.3, 2, 2.0, 0.0),
        (1e-4, 6, 0.5, 0.0),
        (80.0, 4, 2.6, 1e-2),
        (0.3, 6, 2**0.5, 0),
    ]:
        now = at(sigma=sigma, depth=depth, gain=gain, decay=decay)
        ratios = [a / b for a, b in zip(now.ws.gradient, now.ours.gradient, strict=True)]
        expected = (gain / math.sqrt(2)) ** depth * math.sqrt(2 / N) / now.sigma
        assert ratios == pytest.approx([expected] * depth, rel=1e-9)
        heights = [a / b for a, b in zip(now.ws.rms, now.ours.rms, strict=True)]
        assert heights == pytest.approx([(gain / math.sqrt(2)) ** k for k in range(1, depth + 1)], rel=1e-9)


def test_decay_alone_is_a_thousand_steps() -> None:
    sigma = 0.3
    for _ in range(1000):
        sigma -= 0.1 * 4e-3 * sigma
    assert at(decay=4e-3).sigma == pytest.approx(sigma, rel=1e-12)
    assert at(decay=4e-3).ws.gradient == pytest.approx(at(sigma=sigma).ws.gradient, rel=1e-12)
    assert at(decay=4e-3).ws.rms == pytest.approx(at().ws.rms, rel=1e-12)


def test_a_wide_network_keeps_its_signal_at_the_constant_of_centred_rows() -> None:
    data = make(n=256, layers=6, batch=16)
    keeps = profiles(*data, sigma=1.0, depth=6, gain=math.sqrt(cwn.C_CENTERED))
    plain = profiles(*data, sigma=1.0, depth=6, gain=16.0)
    assert keeps.ws.growth == pytest.approx(1, abs=0.05)
    assert keeps.ours.growth == pytest.approx(math.sqrt(2 / cwn.C_CENTERED), rel=0.05)
    assert plain.ws.growth == pytest.approx(math.sqrt(256 / cwn.C_CENTERED), rel=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sigma": 0.0}, "sigma must be positive, got 0.0"),
        ({"sigma": math.nan}, "sigma must be finite, got nan"),
        ({"gain": -1.0}, "gain must be positive, got -1.0"),
        ({"decay": -1e-3}, "decay must not be negative, got -0.001"),
        ({"decay": 10.0}, "decay must be below 10, got 10.0"),
        ({"depth": 1}, "depth must be a whole number from 2 to 6, the layers given, got 1"),
        ({"depth": 7}, "depth must be a whole number from 2 to 6, the layers given, got 7"),
        ({"depth": 2.5}, "depth must be a whole number from 2 to 6, the layers given, got 2.5"),
    ],
)
def test_bad_numbers_are_named(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        at(**changes)


def test_bad_arrays_are_named() -> None:
    weights, inputs, cotangent = make()
    numbers = {"sigma": 1.0, "depth": 2, "gain": 1.0}
    for bad in [
        (weights[0], inputs, cotangent),
        (weights, inputs[:, :-1], cotangent),
        (weights, inputs, cotangent[1:]),
    ]:
        with pytest.raises(ValueError, match=r"must have the shapes \(layers, n, n\)"):
            profiles(*bad, **numbers)
    weights[1, 3] = 0.5
    with pytest.raises(ValueError, match="weights has a row of equal numbers"):
        profiles(weights, inputs, cotangent, **numbers)


def make_data(**start: Any) -> dict[str, Any]:
    weights, inputs, cotangent = make()
    start = {"sigma": 0.01, "depth": 5, "gain": math.sqrt(N), "decay": 1e-3, **start}
    return {"weights": weights.tolist(), "inputs": inputs.tolist(), "cotangent": cotangent.tolist(), "start": start}


def test_the_still_figure_draws_the_start() -> None:
    data = make_data()
    now = profiles(*make(), **data["start"])
    fig = figures.explosion(data)
    upper, lower = fig.axes
    drawn = [[list(line.get_ydata()) for line in ax.lines] for ax in (upper, lower)]
    assert drawn[0] == [list(now.ws.rms), list(now.ours.rms)]
    assert drawn[1][:2] == [list(now.ws.gradient), list(now.ours.gradient)]
    # The third is WS with the spread of our rows: what is left of the distance is the length's.
    assert drawn[1][2] == pytest.approx([g * now.sigma / math.sqrt(2 / N) for g in now.ws.gradient], rel=1e-9)
    assert (upper.get_ylim(), lower.get_ylim()) == (LIMITS["rms"], LIMITS["gradient"])
    page = figures.explorable_html("explosion", data, alt=ALT, static=fig)
    assert f'<svg role="img" aria-label="{ALT}"' in page and not re.search(r"\bsrc=|@import|\bfetch\(", page)


def test_the_still_figure_says_what_it_lacks() -> None:
    data = make_data()
    del data["inputs"], data["start"]["gain"]
    with pytest.raises(ValueError, match=r"data lacks inputs, start\.gain"):
        figures.explosion(data)


def test_the_still_figure_has_the_axes_of_the_moving_one() -> None:
    code = (MODULES / "explosion-plot.js").read_text(encoding="utf-8")
    panels = re.findall(r'key: "(\w+)".*?low: (-?\d+), high: (\d+)', code)
    assert {key: (10.0 ** int(low), 10.0 ** int(high)) for key, low, high in panels} == LIMITS


def test_lists_from_json_give_the_same_numbers() -> None:
    data = json.loads(json.dumps(make_data()))
    numbers = {"sigma": 0.3, "depth": 5, "gain": 2.0}
    assert profiles(data["weights"], data["inputs"], data["cotangent"], **numbers) == at()
    assert profiles(*(torch.tensor(part) for part in make()), **numbers) == at()


def test_what_the_chapter_suggests_to_try_is_so() -> None:
    """Each sentence of "Try this" below the figure: the gain compounds, the spread enters once, the decay is small."""
    data = make(n=12, layers=24, batch=8)
    start = {"sigma": 0.01, "depth": 16, "gain": math.sqrt(12), "decay": 0.0}

    def ratios(**changes: float) -> list[float]:
        now = profiles(*data, **{**start, **changes})
        return [a / b for a, b in zip(now.ws.gradient, now.ours.gradient, strict=True)]

    assert ratios(depth=20)[0] > 10 * ratios()[0] and ratios(depth=20) == pytest.approx([ratios(depth=20)[0]] * 20)
    scaled = math.sqrt(2)
    for depth in (4, 24):
        assert ratios(gain=scaled, depth=depth) == pytest.approx([math.sqrt(2 / 12) / 0.01] * depth)
    one, ten = (profiles(*data, **{**start, "gain": scaled, "sigma": sigma}) for sigma in (0.01, 0.001))
    assert one.ws.rms == pytest.approx(ten.ws.rms)
    assert 1 / 3 < profiles(*data, **{**start, "decay": 0.01}).sigma / 0.01 < 0.4  # the end of the slider
    assert 2.5 < ratios(decay=0.01)[0] / ratios()[0] < 3
