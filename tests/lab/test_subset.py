"""Subsets and held-out images: disjoint, the same for every seed, and named in the result."""

import pytest
import torch

from cwn_lite.lab import Options, Recipe, data, run
from cwn_lite.lab.data import Dataset
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.training import Trainer


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_all_images_by_default(tiny: Recipe, digits: Dataset) -> None:
    assert data.select(digits, tiny.data) is digits


@pytest.mark.parametrize(("train", "validation"), [(None, 300), (200, 0), (500, 300)])
def test_parts_are_disjoint(train: int | None, validation: int, tiny: Recipe, digits: Dataset) -> None:
    recipe = tiny.but(train_images=train, validation=validation)
    part = data.select(digits, recipe.data)
    n = len(digits.train_labels)
    assert len(part.train_labels) == len(part.train_images) == (train or n - validation)
    whole = rows(digits.train_images)
    assert rows(part.train_images) <= whole
    if validation:
        assert len(part.test_labels) == validation and rows(part.test_images) <= whole
        assert not rows(part.train_images) & rows(part.test_images)
    else:
        assert torch.equal(part.test_images, digits.test_images)
    # Labels go with their images: the same pairs as in the whole.
    pairs = {(i.numpy().tobytes(), int(y)) for i, y in zip(digits.train_images, digits.train_labels, strict=True)}
    assert {(i.numpy().tobytes(), int(y)) for i, y in zip(part.train_images, part.train_labels, strict=True)} <= pairs
    assert (part.sha256, part.name) == (digits.sha256, digits.name)
    assert torch.equal(part.mean, digits.mean)
    # Not the first ones: the order is random, and nearly all classes are there.
    assert not torch.equal(part.train_images, digits.train_images[: len(part.train_labels)])
    assert len(part.train_labels.unique()) == 10


def test_smaller_subsets_are_parts_of_larger_ones(tiny: Recipe, digits: Dataset) -> None:
    small, large = (data.select(digits, tiny.but(train_images=n).data) for n in (100, 400))
    assert torch.equal(large.train_images[:100], small.train_images)


def test_more_than_there_is_is_refused(tiny: Recipe, toy: Dataset) -> None:
    for changes in ({"train_images": 61}, {"train_images": 40, "validation": 21}, {"validation": 60}):
        with pytest.raises(LabError, match="toy has 60 training images"):
            data.select(toy, tiny.but(**changes).data)


def test_the_trainer_and_the_result_know(tiny: Recipe, toy: Dataset, options: Options) -> None:
    recipe = tiny.but(train_images=32, validation=20, epochs=1)
    trainer = Trainer(recipe, 0, toy)
    assert trainer.steps_per_epoch == 2
    result = run(recipe, 0, toy, options)
    assert result is not None and (result.data["train"], result.data["test"]) == (32, 20)
    assert round(result.test_error * 20 / 100, 6) % 1 == 0  # one in twenty


def test_warm_up(tiny: Recipe, toy: Dataset) -> None:
    trainer = Trainer(tiny.but(warmup_epochs=1, epochs=3), 0, toy)
    seen = []
    while not trainer.done:
        trainer.step()
        seen.append(trainer.optimizer.param_groups[0]["lr"])
    assert seen[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert seen[4] == pytest.approx(0.1) and seen == sorted(seen[:4]) + sorted(seen[4:], reverse=True)
    assert len(seen) == 12 and 0 < seen[-1] < 0.01
