"""The harness of ideas since 2021: what each keeps, that all start alike, and how a rate is chosen."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import since_2021
from cwn_lite.lab.data import load
from cwn_lite.lab.data.dataset import Dataset
from cwn_lite.lab.since import IDEAS, Setting, train
from cwn_lite.lab.since.directions import Adam, Momentum
from cwn_lite.lab.since.training import build, layers

TINY = Setting(depth=3, width=4, epochs=1)
CENTRED = {"cwo-printed", "cwo", "ws", "ws-agc", "nero", "req", "cwo-adam", "ws-turn", "cwo-turn"}
ON_SPHERE = CENTRED | {"ngpt", "edm2", "muown", "angular-muown"}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    data = load("digits")
    assert isinstance(data, Dataset)
    return data


@pytest.mark.parametrize("name", IDEAS)
def test_an_idea_trains_and_keeps_what_it_says(name: str, digits: Dataset) -> None:
    run = train(name, IDEAS[name].rates[1], digits, 0, TINY)
    assert not run.diverged and 0 < run.error < 100 and len(run.turns) == len(digits.train_labels) // TINY.batch
    rows = [layer.weight.detach().flatten(1) for layer in layers(run.model)]
    off = max(float((m.square().sum(1) - IDEAS[name].c).abs().max()) for m in rows)
    tilt = max(float(m.sum(1).abs().max()) for m in rows)
    assert (off < 1e-4) == (name in ON_SPHERE), "norms"
    assert (tilt < 1e-4) == (name in CENTRED), "sums"
    assert all(turn > 0 for turn in run.turns), "the cosine reaches zero after the last step, not at it"


@pytest.mark.parametrize("centred", [True, False])
def test_ideas_start_from_the_same_rows(centred: bool) -> None:
    """Up to the length that each keeps."""
    alike = [idea for idea in IDEAS.values() if idea.centred == centred]
    assert len(alike) > 5
    starts = [
        torch.cat([m.weight.flatten() for m in layers(build(idea, TINY, 3))]) / math.sqrt(idea.c) for idea in alike
    ]
    assert all(torch.allclose(start, starts[0], atol=1e-6) for start in starts)


def test_a_run_repeats_and_a_seed_matters(digits: Dataset) -> None:
    one, two, other = (train("cwo", 0.1, digits, seed, TINY) for seed in (0, 0, 1))
    assert one.turns == two.turns and one.error == two.error
    assert one.turns != other.turns


def test_held_out_images_are_no_test_images(digits: Dataset) -> None:
    held = replace(TINY, held_out=270)
    run = train("cwo", 0.1, digits, 0, held)
    assert run.error == pytest.approx(round(run.error * 2.7) / 2.7), "a share of 270"
    assert len(run.turns) == (len(digits.train_labels) - 270) // TINY.batch


def test_what_is_lost_is_said(digits: Dataset) -> None:
    run = train("plain", 1e30, digits, 0, TINY)
    assert run.diverged and run.error == 90.0


@pytest.mark.parametrize("mu", [0.0, 0.9])
def test_momentum_is_torch_s(mu: float) -> None:
    p = torch.nn.Parameter(torch.randn(2, 5, dtype=torch.float64))
    rows, mine = p.detach().clone(), Momentum(mu)
    optimizer = torch.optim.SGD([p], lr=0.1, momentum=mu, nesterov=mu > 0)
    for _ in range(4):
        p.grad = torch.randn_like(p)
        rows = rows - 0.1 * mine(rows, p.grad)
        optimizer.step()
    assert torch.allclose(p, rows, atol=1e-12)


def test_adam_is_torch_s() -> None:
    p = torch.nn.Parameter(torch.randn(2, 5, dtype=torch.float64))
    rows, mine = p.detach().clone(), Adam()
    optimizer = torch.optim.Adam([p], lr=0.1, betas=(0.9, 0.99))
    for _ in range(4):
        p.grad = torch.randn_like(p)
        rows = rows - 0.1 * mine(rows, p.grad)
        optimizer.step()
    assert torch.allclose(p, rows, atol=1e-12)


def test_the_search_goes_on_at_an_end(monkeypatch: pytest.MonkeyPatch, digits: Dataset) -> None:
    asked = []

    def bowl(name: str, lr: float, data: Dataset, seed: int, setting: Setting) -> object:
        assert setting.held_out and seed == since_2021.SEARCH_SEED
        asked.append(lr)
        return type("Run", (), {"error": abs(math.log(lr / 5.0))})

    monkeypatch.setattr(since_2021, "train", bowl)
    found = since_2021.search("cwo", digits)
    assert asked == [*IDEAS["cwo"].rates, 3.0, 9.0]
    assert since_2021.chosen(found) in (3.0, 9.0)


def test_the_record_is_of_these_ideas() -> None:
    record = json.loads((Path(__file__).parents[2] / "book" / "since" / "digits-cpu.json").read_text(encoding="utf8"))
    assert set(record["ideas"]) == set(IDEAS) and record["dirty"] is False
    for name, found in record["ideas"].items():
        assert found["lr"] == since_2021.chosen(found["search"]), name
        assert [run["seed"] for run in found["runs"]] == list(range(record["settings"]["seeds"]))
        assert since_2021.SEARCH_SEED not in range(record["settings"]["seeds"])
