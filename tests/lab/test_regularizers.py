"""Noise that rises, dropout and smoothed labels: each does what its field says, and resumes bit for bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import cwn_lite as cwn
from cwn_lite.lab import Recipe, data
from cwn_lite.lab.training import Trainer


def levels(trainer: Trainer) -> list[float]:
    return [module.noise_std for module in trainer.model.modules() if isinstance(module, cwn.ScaleBias)]


def test_noise_rises_from_none_to_its_level(tiny: Recipe, toy: data.Dataset) -> None:
    trainer = Trainer(tiny.but(noise_rises=True, sigma=0.3, schedule="linear", epochs=4), 0, toy)
    seen = []
    while not trainer.done:
        epoch = trainer.epoch
        trainer.step()
        seen.append((epoch, levels(trainer)))
    for epoch, found in seen:
        assert found == pytest.approx([0.1 * epoch * layer / 3 for layer in (1, 2, 3)])
    assert {epoch for epoch, _ in seen} == {0, 1, 2, 3}


def test_noise_that_does_not_rise_is_there_at_once(tiny: Recipe, toy: data.Dataset) -> None:
    trainer = Trainer(tiny, 0, toy)
    trainer.step()
    assert levels(trainer) == [0.1] * 3


def test_the_loss_is_that_of_smoothed_labels(tiny: Recipe, toy: data.Dataset) -> None:
    trainer = Trainer(tiny.but(label_smoothing=0.2, sigma=0.0), 0, toy)
    x, target, weight = trainer._next_batch()
    logits, loss = trainer._add_gradients(x, target, weight)
    share = torch.full_like(logits, 0.2 / logits.shape[1])
    share[torch.arange(len(target)), target] += 0.8
    assert float(loss) == pytest.approx(float(-(share * F.log_softmax(logits, 1)).sum(1).mean()), rel=1e-6)


def test_dropout_stands_behind_each_stage(tiny: Recipe, toy: data.Dataset) -> None:
    model = Trainer(tiny.but(stage_dropout=0.25), 0, toy).model
    kinds = [type(module) for module in model.children()]
    behind = [kinds[i - 1] for i, kind in enumerate(kinds) if kind is nn.Dropout]
    assert behind == [nn.AvgPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d]
    assert all(module.p == 0.25 for module in model.children() if isinstance(module, nn.Dropout))
    assert nn.Dropout not in [type(module) for module in Trainer(tiny, 0, toy).model.children()]


@pytest.mark.parametrize("changes", [{"stage_dropout": 1.0}, {"label_smoothing": 1.0}, {"stage_dropout": -0.1}])
def test_bad_values_are_named(tiny: Recipe, changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        tiny.but(**changes)


def test_a_run_goes_on_bit_for_bit(tiny: Recipe, toy: data.Dataset) -> None:
    recipe = tiny.but(noise_rises=True, stage_dropout=0.3, label_smoothing=0.1, epochs=3)
    whole = Trainer(recipe, 0, toy)
    while not whole.done:
        whole.step()
    first = Trainer(recipe, 0, toy)
    for _ in range(6):
        first.step()
    state = first.state_dict()
    second = Trainer(recipe, 0, toy)
    second.load_state_dict(state)
    while not second.done:
        second.step()
    assert whole.curve == second.curve
