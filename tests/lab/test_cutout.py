"""Cutout, and what the trainer does with it and with a policy.

Each image has its own square, cut off at the border, in the colour that is zero after normalization.
"""

import numpy as np
import pytest
import torch

from cwn_lite.lab import Recipe, data
from cwn_lite.lab.augment.plan import EpochPlan, crop_flip, cutout
from cwn_lite.lab.augment.policy import apply_policy
from cwn_lite.lab.data import Dataset
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.training import Trainer
from cwn_lite.lab.training.images import ImageTask


@pytest.mark.parametrize("side", [1, 4, 5, 16])
def test_cutout_equals_a_loop_over_images(side: int) -> None:
    generator = torch.Generator().manual_seed(side)
    x = 1 + torch.rand(30, 3, 8, 11, generator=generator)
    hole = torch.rand(30, 2, generator=generator)
    got = cutout(x, hole, side)
    for image, centre, result in zip(x, hole.tolist(), got, strict=True):
        row, column = int(centre[0] * 8), int(centre[1] * 11)
        top, left = row - side // 2, column - side // 2
        expected = image.clone()
        expected[:, max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = 0
        assert torch.equal(result, expected)


def test_every_pixel_may_be_the_centre() -> None:
    plan = EpochPlan.draw(0, 0, 20_000, reach=None, holes=True)
    hole = plan.holes(0, 20_000)
    assert hole is not None
    centres = (hole * 4).floor().long()
    counts = (4 * centres[:, 0] + centres[:, 1]).bincount(minlength=16)
    assert counts.sub(20_000 / 16).abs().max() < 5 * (20_000 / 16) ** 0.5
    assert EpochPlan.draw(0, 0, 5, reach=4).holes(0, 5) is None


def test_the_trainer_cuts_out_in_training_only(tiny: Recipe, toy: Dataset) -> None:
    whole, cut = (Trainer(tiny.but(cutout=side), 0, toy) for side in (0, 6))
    (x, target, _), (y, same_target, _) = whole._next_batch(), cut._next_batch()
    assert torch.equal(target, same_target)
    changed = (x != y).flatten(1).sum(1)
    assert (changed > 0).all() and (changed <= 36).all()
    assert (y[x != y] == 0).all()
    cut.model.load_state_dict(whole.model.state_dict())
    assert cut.evaluate() == whole.evaluate()


@pytest.fixture
def photographs() -> Dataset:
    rng = np.random.default_rng(0)
    split = (rng.integers(0, 256, (24, 3, 32, 32), dtype=np.uint8), np.arange(24) % 10)
    return data.build(split, split, lambda sha: "noise")


def test_the_trainer_applies_a_policy_before_the_crop(photographs: Dataset) -> None:
    recipe = Recipe.of(name="a", method="bn", depth=3, width=4, batch=8, epochs=1, policy="autoaugment")
    trainer = Trainer(recipe, 0, photographs)
    assert isinstance(trainer.task, ImageTask)
    plan = trainer.task.plan
    assert plan.operations is not None and plan.shift is not None and plan.flip is not None
    trainer.step()
    x, target, _ = trainer._next_batch()
    where = slice(8, 16)
    images = photographs.train_images[plan.order[where]]
    changed = apply_policy(images, plan.operations[where])
    assert not torch.equal(changed, images)
    expected = crop_flip(changed, plan.shift[where], plan.flip[where])
    assert torch.equal(x, trainer.task.normalize(expected))
    assert torch.equal(target, photographs.train_labels[plan.order[where]])
    without = Trainer(recipe.but(policy="none"), 0, photographs).task
    assert isinstance(without, ImageTask)
    plain = without.plan
    assert plain.operations is None and torch.equal(plain.order, plan.order)
    assert plain.shift is not None and torch.equal(plain.shift, plan.shift)


def test_fast_autoaugment_wants_its_file(photographs: Dataset) -> None:
    recipe = Recipe.of(name="a", method="bn", depth=3, width=4, policy="fastaa")
    with pytest.raises(LabError, match="--policies"):
        Trainer(recipe, 0, photographs)
