"""Images of half the side: means of four pixels, a name and a hash of their own, crops of half the reach."""

from pathlib import Path

import pytest
import torch

from cwn_lite.lab import data
from cwn_lite.lab.__main__ import main
from cwn_lite.lab.augment.plan import EpochPlan
from cwn_lite.lab.data import Dataset
from cwn_lite.lab.data.dataset import halved
from cwn_lite.lab.recipes import Recipe
from cwn_lite.lab.recipes.parts import Images
from cwn_lite.lab.training.images import ImageTask


def test_each_pixel_is_the_mean_of_four(tree: Path) -> None:
    whole, half = data.load("cifar10", tree), data.load("cifar10-half", tree)
    assert half.name == f"{whole.name}, half the side" and half.sha256 != whole.sha256
    for large, small in ((whole.train_images, half.train_images), (whole.test_images, half.test_images)):
        assert small.shape == (len(large), 3, 16, 16) and small.dtype == torch.uint8
        blocks = large.double().unfold(2, 2, 2).unfold(3, 2, 2).mean((-2, -1))
        assert torch.equal(small.double(), (blocks + 0.5).floor())
    assert torch.equal(half.train_labels, whole.train_labels) and torch.equal(half.test_labels, whole.test_labels)
    assert torch.allclose(half.mean, half.train_images.float().mean((0, 2, 3)), atol=1e-3)


def test_a_half_is_rounded_up_and_nothing_overflows(digits: Dataset) -> None:
    images = torch.tensor([[[[0, 1, 255, 255], [1, 0, 255, 255]]]], dtype=torch.uint8)
    whole = Dataset("toy", "", images, torch.zeros(1).long(), images, torch.zeros(1).long(), digits.mean, digits.std)
    assert halved(whole).train_images.flatten().tolist() == [1, 255]


def test_crops_move_an_image_by_two_pixels_at_most() -> None:
    plan = EpochPlan.draw(0, 0, 2000, reach=2)
    assert plan.shift is not None
    assert sorted(plan.shift.unique().tolist()) == [2, 3, 4, 5, 6]  # 4 leaves it in place
    image = torch.zeros(2000, 1, 5, 5, dtype=torch.uint8)
    image[:, :, 2, 2] = 1
    moved, _ = plan.batch(image, 0, 2000)
    assert moved.sum((1, 2, 3)).tolist() == [1] * 2000, "the middle never leaves the picture"


def test_a_task_takes_the_reach_of_its_recipe(digits: Dataset) -> None:
    recipe = Recipe.of(name="half", data="digits", augment="crop2-flip", depth=3, width=4, method="bn")
    assert isinstance(recipe.data, Images)
    task = ImageTask(recipe.data, batch=32, seed=0, data=digits, device=torch.device("cpu"))
    assert task.plan.shift is not None and task.plan.shift.min() == 2


@pytest.mark.parametrize("given", ["{}", "cifar10={}", "cifar10-half={}"])
def test_the_command_line_finds_it_where_the_whole_lies(
    given: str, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    # The tree has fewer images than the recipe wants, which is what is said, and not that they are missing.
    assert main(["run", "search-resnet20-half-bn-lr0.015", "--data", given.format(tree), *folders]) == 2
    assert "half the side has 20 training images" in capsys.readouterr().err
