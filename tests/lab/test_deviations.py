"""What stands beside a number: every deviation from the paper that the recipe's fields can express."""

import dataclasses

from cwn_lite.lab import recipes
from cwn_lite.lab.recipes.recipe import DATA, METHODS, NETS, STEPS
from cwn_lite.lab.results.deviations import deviations

SAME = "CIFAR-10"


def of(name: str, data: str = SAME, **changes: object) -> list[str]:
    return deviations(recipes.get(name).but(**changes).values(), data)


def test_the_papers_own_setting_has_gaps_only() -> None:
    assert of("cnn-ours-e200") == ["σ = 0.1: not printed", "noise per step: not printed"]
    assert of("cnn-gn-e200") == ["lr 0.1 and decay 0.0005 of all parameters: not printed"]
    assert of("wrn28x10-ours-e200") == ["noise per step: not printed", "γ of branches starts at 0.29: not printed"]
    assert of("batch-wrn28x10-ours-fastaa-b4-e200") == [
        "noise per step: not printed", "γ of branches starts at 0.29: not printed", "Cutout of 16 pixels: not printed"
    ]  # fmt: skip
    assert all("not printed" in text for text in of("resnet110-ours-c100-fastaa-e200", "CIFAR-100"))


def test_every_change_is_named() -> None:
    changes = {
        "width": (32, "width 32, not 64"),
        "depth": (6, "a network of 6 layers and width 64"),
        "epochs": (1, "1 epoch, not 200"),
        "train_images": (500, "500 training images"),
        "validation": (5000, "tested on 5000 training images that are held out"),
        "augment": ("none", "no augmentation"),
        "policy": ("autoaugment", "AutoAugment, not Fast AutoAugment"),
        "cutout": (8, "Cutout of 8 pixels: not printed"),
        "batch": (64, "batch 64"),
        "lr": (0.3, "lr 0.3 and decay 0.001"),
        "weight_decay": (0.0, "lr 0.1 and decay 0"),
        "c": (3.0, "c = 3, not 2"),
        "sigma": (0.0, "no noise"),
        "schedule": ("linear", "linear noise"),
        "noise_per_sample": (True, "noise per sample: not printed"),
        "classifier": ("centred", "classifier centred: not printed"),
        "warmup_epochs": (5, "5 epochs of warm-up"),
        "init_scale": (10.0, "first weights times 10"),
        "clip": (0.02, "adaptive clipping at 0.02"),
        "label_smoothing": (0.1, "labels smoothed by 0.1"),
        "noise_rises": (True, "noise that rises over the epochs"),
        "stage_dropout": (0.25, "dropout of 0.25 behind each stage"),
        "accumulate": (4, "gradients of 4 pieces of a batch"),
        "drop_every": (60, "a tenth of the rate after every 60 epochs, no cosine"),
        "momentum": (0.0, "momentum 0"),
        "centralize": (False, "rows not centred"),
        "spherize": (False, "rows not on the sphere"),
        "mixing": (True, "depthwise rows not centred"),
        "steps": ("angular", "steps of AngularMuon: 0.1 rad, AdamW at 0.2 of it, pull 1"),
        "decay_scale_bias": (True, "decay of scale and bias, too"),
    }
    elsewhere = {"kind", "residual", "residual_alpha", "residual_gamma", "groups", "ws_gain"}
    elsewhere |= {"rest", "coherence_decay"}  # said with the steps
    elsewhere |= {"coherence_decay_every", "orthogonalize_every", "depthwise"}  # of angular steps: below, too
    elsewhere |= {"points", "k", "dropout", "final_lr"}  # of point clouds: test_points.py
    elsewhere |= {"side"}  # of photographs: test_photographs.py
    elsewhere |= {"architecture", "gates"}  # of networks as shipped: below
    records = [record for kinds in (DATA, NETS, METHODS, STEPS) for record in kinds.values()]
    fields = {field.name for record in records for field in dataclasses.fields(record)}
    assert fields | {"steps"} == set(changes) | elsewhere
    for field, (value, text) in changes.items():
        assert text in of("cnn-ours-e200", **{field: value}), field
        assert text not in of("cnn-ours-e200"), field
    said = of("cnn-ours-e200", steps="angular", orthogonalize_every=4)
    assert "orthogonalized anew every 4 steps" in said
    assert "pull of 8 steps at once" in of("cnn-ours-e200", steps="angular", coherence_decay_every=8)
    assert not any("at once" in text for text in of("cnn-ours-e200", steps="angular"))
    assert not any("anew" in text for text in of("cnn-ours-e200", steps="angular"))
    assert "images: CIFAR-10, JPEG quality 75" in of("cnn-ours-e200", "CIFAR-10, JPEG quality 75")
    assert "rows of norm 1.41: not printed" in of("grid16-ws-scaled-lr0.1-wd0.0005-init1-e4")
    assert "8 groups, not 16: not printed" in of("cnn-gn-e200", groups=8)
    assert "batch 4" in of("batch-cnn-ours-b4-e30")
    nf = of("resnet110-ours-e200", residual="nf")
    assert "branches scaled as in NF-ResNet, α = 0.2: not printed" in nf and not any("γ" in text for text in nf)


def test_a_network_as_shipped_is_named() -> None:
    assert "torchvision's densenet121" in of("shipped-densenet121-bn")
    gates = "scales behind gates start twice as large"
    assert gates in of("shipped-efficientnet_b0-ours-angular") and gates not in of("shipped-densenet121-ours-angular")
    assert "depthwise rows at 0.3 of the angle" in of("search-mobilenetv2-bn-depthwise0.3")
    assert "AdamW for depthwise rows, which are not constrained" in of("search-mobilenetv2-bn-depthwise0")


def test_every_recipe_has_a_text() -> None:
    for recipe in recipes.RECIPES.values():
        assert deviations(recipe.values(), "some images")
