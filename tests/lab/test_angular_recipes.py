"""Recipes with steps by an angle: what they build, torchvision's network and photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import cwn_lite as cwn
from cwn_lite.lab import Recipe, data, recipes
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.nets.methods import build
from cwn_lite.lab.recipes.angular import FINALS, OURS, RATES
from cwn_lite.lab.training import Trainer
from cwn_lite.lab.vision import import_torchvision


def test_the_recommended_recipe_is_that_of_the_readme() -> None:
    """The same groups with the same values, and the same start, as the code that a reader copies."""
    recipe = recipes.get(f"angular-resnet18-ours-lr{RATES[1]:g}")
    model = import_torchvision().models.resnet18(num_classes=10)
    model = cwn.replace_batchnorm(model, c=cwn.C_CENTERED)
    cwn.scale_branches(model)
    optimizer = cwn.AngularMuon(cwn.angular_groups(model, lr=0.015))
    constraint = cwn.constrain(optimizer, model)
    built = build(recipe)
    assert built.constraint is not None and isinstance(built.optimizer, cwn.AngularMuon)
    assert built.constraint.names == constraint.names and built.constraint.c == constraint.c
    names = {id(p): name for name, p in model.named_parameters()}
    lab_names = {id(p): name for name, p in built.model.named_parameters()}
    for mine, theirs in zip(optimizer.param_groups, built.optimizer.param_groups, strict=True):
        assert {names[id(p)] for p in mine["params"]} == {lab_names[id(p)] for p in theirs["params"]}
        rate = theirs.pop("rate", 1.0)
        assert mine["lr"] == pytest.approx(theirs["lr"] * rate)
        assert {k: v for k, v in mine.items() if k not in ("params", "lr")} == {
            k: v for k, v in theirs.items() if k not in ("params", "lr")
        }
    scales = {name: m.weight for name, m in model.named_modules() if isinstance(m, cwn.ScaleBias)}
    lab_scales = {name: m.weight for name, m in built.model.named_modules() if isinstance(m, cwn.ScaleBias)}
    assert scales.keys() == lab_scales.keys()
    for name, scale in scales.items():
        torch.testing.assert_close(scale, lab_scales[name], msg=name)


def test_only_the_rows_of_ours_are_pulled_apart() -> None:
    for method, pull in (("ours", 1.0), ("bn", 0.0)):
        optimizer = build(recipes.get(f"angular-cnn16-{method}-lr{RATES[1]:g}")).optimizer
        assert {group["coherence_decay"] for group in optimizer.param_groups} == {pull}


def test_all_else_takes_its_share_of_the_rate(tiny: Recipe, toy: data.Dataset) -> None:
    recipe = recipes.get(f"angular-cnn16-ours-lr{RATES[1]:g}")
    fields = {"steps": "angular", "rest": 0.25, "lr": recipe.training.lr}
    trainer = Trainer(tiny.but(**fields), 0, toy)
    while not trainer.done:
        rate = trainer.lr()
        trainer.step()
        assert {g["turn"]: g["lr"] for g in trainer.optimizer.param_groups} == {True: rate, False: 0.25 * rate}


@pytest.mark.parametrize("method", ["ours", "bn", "gn", "ws", "ws+gn", "cwn", "wn", "plain"])
def test_every_method_takes_angular_steps(method: str) -> None:
    digits = {"data": "digits", "augment": "none", "depth": 3, "width": 8, "batch": 64, "epochs": 1}
    recipe = Recipe.of(name="x", **{**OURS, **digits}).but(method=method, lr=0.01)
    trainer = Trainer(recipe, 0, data.load("digits"))
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    while not trainer.done:
        trainer.step()
    assert trainer.diverged is None
    assert method == "ws" or trainer.curve[-1]["train_loss"] < 2.3, "rows of standardized weights are too long to learn"
    assert all(not torch.equal(p, before[name]) for name, p in trainer.model.named_parameters())


def test_a_run_goes_on_from_a_checkpoint_bit_for_bit() -> None:
    digits = {"data": "digits", "augment": "none", "depth": 3, "width": 8, "batch": 64, "epochs": 1}
    recipe, images = Recipe.of(name="x", **{**OURS, **digits}), data.load("digits")
    whole, first, second = (Trainer(recipe, 0, images) for _ in range(3))
    for _ in range(4):
        first.step()
    second.load_state_dict(first.state_dict())
    while not second.done:
        second.step()
    while not whole.done:
        whole.step()
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True))


def test_every_final_has_its_baselines() -> None:
    for network in FINALS:
        for name in ("printed", "bn-sgd", *(f"{method}-lr{rate:g}" for method in ("ours", "bn") for rate in RATES)):
            assert recipes.get(f"angular-{network}-{name}").data.validation == 0


def test_torchvisions_network_starts_its_branches_as_told() -> None:
    recipe = recipes.get("angular-resnet18-bn-lr0.015")
    for method in ("ours", "bn", "gn", "ws+gn"):
        model = build(recipe.but(method=method, residual_gamma=0.25)).model
        lasts = [m for name, m in model.named_modules() if name.endswith("bn2")]
        assert len(lasts) == 8 and all((m.weight == 0.25).all() for m in lasts)
        assert isinstance(model.fc, nn.Linear) and model.fc.out_features == 10


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"depth": 20}, "depth=20: an imagenet-resnet has 18, 34, 50, 101 or 152 layers"),
        ({"width": 32}, "width=32: an imagenet-resnet has width 64"),
        ({"residual": "nf"}, "residual='nf' belongs to"),
    ],
)
def test_what_torchvisions_network_cannot_be_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        recipes.get("angular-resnet18-bn-lr0.015").but(**changes)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Ten classes of pictures of several sizes, bright in the middle."""
    for split in ("train", "val"):
        for label in range(10):
            folder = tmp_path / split / f"n{label:08}"
            folder.mkdir(parents=True)
            for i, size in enumerate([(64, 64), (200, 130), (97, 128)]):
                picture = np.full((size[1], size[0], 3), 20 * label + i, np.uint8)
                Image.fromarray(picture).save(folder / f"{i}.png")
    return tmp_path


def test_photographs_are_cropped_and_reduced(photographs: Path) -> None:
    found = data.load("imagenette64", photographs)
    assert found.train_images.shape == found.test_images.shape == (30, 3, 64, 64)
    assert found.train_images[5].unique().tolist() == [22]
    assert found.name == "Imagenette, 64 pixels (image folder)"


def test_the_middle_is_kept_and_each_pixel_is_a_mean(photographs: Path) -> None:
    picture = np.zeros((128, 256, 3), np.uint8)
    picture[:, 64:192] = 100  # the square in the middle
    picture[::2, 64:192] = 50
    Image.fromarray(picture).save(photographs / "train" / "n00000000" / "0.png")
    assert data.load("imagenette64", photographs).train_images[0].unique().tolist() == [75]


def test_a_picture_that_is_too_small_or_too_large_is_named(photographs: Path) -> None:
    file = photographs / "val" / "n00000003" / "1.png"
    Image.fromarray(np.zeros((63, 90, 3), np.uint8)).save(file)
    with pytest.raises(LabError, match=r"n00000003/1.png: 90 x 63 pixels where the recipe expects 64 x 64"):
        data.load("imagenette64", photographs)
    Image.fromarray(np.zeros((64, 20_001, 3), np.uint8)).save(file)
    with pytest.raises(LabError, match=r"1.png: 20001 x 64 pixels"):
        data.load("imagenette64", photographs)


def test_what_is_no_image_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="give --data with an image folder with train/<class>/"):
        data.load("imagenette64")
    (tmp_path / "train").mkdir()
    with pytest.raises(LabError, match="not an image folder with train/<class>/ and test/<class>/; it holds 'train'"):
        data.load("imagenette64", tmp_path)
