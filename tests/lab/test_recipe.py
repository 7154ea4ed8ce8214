"""Recipes: the hash names what matters, names are found, nonsense is refused."""

import dataclasses
import itertools
import re
from typing import Any

import numpy as np
import pytest

from cwn_lite.lab import Recipe, recipes, results
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.recipes import METHODS, ablations, nets, parts
from cwn_lite.lab.recipes.paper import FIVE
from cwn_lite.lab.recipes.recipe import recipe_sha

# A changed hash orphans every result of that recipe: change a recipe by adding another one.
PINNED = {
    "cnn-bn-e200": "4112156c",
    "cnn16-bn-e4": "9b6ff47d",
    "resnet20-ws+gn-e6": "ee6e180e",
    "digits-plain": "9fd5c1bf",
    "grid-ws-scaled-lr0.1-wd0-init0.1-d6": "ca86edab",
    "grid16-ours-lr0.1-wd0.0005-init1-e8": "5e78450d",
}


def test_hashes_are_pinned() -> None:
    assert {name: recipes.get(name).sha[:8] for name in PINNED} == PINNED


def test_every_family_has_every_method() -> None:
    for prefix, suffix in (("cnn", "-e200"), ("cnn16", "-e4"), ("resnet20", "-e6"), ("digits", "")):
        assert {recipes.get(f"{prefix}-{method}{suffix}").method.kind for method in METHODS} == set(METHODS)
    assert {recipe.data.kind for recipe in recipes.select("grid")} == {"digits"}
    hashes = [recipe.sha for recipe in recipes.RECIPES.values()]
    assert len(set(hashes)) == len(hashes)


def test_the_tables_of_the_paper_are_complete() -> None:
    def found(**fields: object) -> list[Recipe]:
        return [r for r in recipes.RECIPES.values() if fields.items() <= r.values().items()]

    nets = ({"net": "cnn", "width": 64}, {"net": "resnet", "depth": 110}, {"net": "wrn", "depth": 28, "width": 160})
    table_1 = {"epochs": 200, "batch": 128}
    for net, images, policy, method in itertools.product(nets, ("cifar10", "cifar100"), ("none", "fastaa"), FIVE):
        assert found(**net, **table_1, data=images, policy=policy, method=method), (net, images, policy, method)
    wrn = {**nets[2], "epochs": 200}
    for images, method, batch in itertools.product(("cifar10", "cifar100"), ("ours", "bn"), (4, 16, 128)):
        (cell,) = found(**wrn, data=images, method=method, batch=batch, policy="fastaa")
        assert cell.training.lr == pytest.approx((0.2 if method == "ours" else 0.1) * batch / 128)
    wrn |= {"method": "ours", "batch": 128, "policy": "none"}
    for images, centre, sphere, sigma in itertools.product(("cifar10", "cifar100"), *[(True, False)] * 2, (0.0, 1.0)):
        assert found(**wrn, data=images, centralize=centre, spherize=sphere, sigma=sigma)
    for images in ("cifar10", "cifar100"):
        levels = {
            (r.values()["schedule"], r.values()["sigma"])
            for r in found(**wrn, data=images, centralize=True, spherize=True)
        }
        constant, linear = (0.0, 0.1, 0.2, 0.3, 0.4), (0.2, 0.4, 0.6, 0.8, 1.0)
        assert levels >= {("constant", sigma) for sigma in constant} | {("linear", sigma) for sigma in linear}


def test_the_papers_settings() -> None:
    ours = recipes.get("cnn-ours-e200")
    assert ours.training == parts.SGD(
        lr=0.1, weight_decay=1e-3, momentum=0.9, batch=128, epochs=200, decay_scale_bias=False
    )
    assert ours.net == nets.CNN(depth=9, width=64)
    assert ours.method == parts.CWO(c=2.0, sigma=0.1)
    assert recipes.get("resnet20-ours-e6").training.lr == 0.2


# One recipe of each kind that has fields of its own, and another value for each text.
KINDS = [
    {"net": "resnet", "method": "ours"},
    {"net": "wrn", "depth": 28, "residual_gamma": 1.0, "residual": "nf", "method": "ws+gn"},
    {"net": "imagenet-resnet", "data": "imagenette64", "method": "gn"},
    {"net": "cnn", "method": "ws", "steps": "angular"},
    {"net": "torchvision", "data": "imagenette64", "method": "ours", "steps": "angular"},
]
OTHER = {"augment": "none", "policy": "autoaugment", "schedule": "linear", "residual": "nf", "classifier": "centred"}
OTHER |= {"architecture": "densenet121"}
DEPTHS = {"cnn": 12, "resnet": 26, "wrn": 34}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind['net']} {kind['method']}")
def test_hash_ignores_the_name_and_nothing_else(kind: dict[str, Any]) -> None:
    base = Recipe.of(name="a", **kind)
    assert base.but(name="b").sha == base.sha
    fixed = {"net", "method", "data", "steps"} | ({"depth", "width"} if kind["net"] == "imagenet-resnet" else set())
    fixed |= {"policy"} if "data" in kind else set()
    fixed |= set() if kind["net"] == "torchvision" else {"gates", "depthwise"}  # refused: test_depthwise.py
    own = {f.name for part in ("data", "net", "method", "training") for f in dataclasses.fields(getattr(base, part))}
    for field in own - {"kind"} - fixed:
        value = base.values()[field]
        if field == "residual_alpha" and base.values()["residual"] == "sum":
            continue
        other: Any = not value if isinstance(value, bool) else (value or 0) + 0.01 if isinstance(value, float) else None
        if field == "depth":
            other = DEPTHS[kind["net"]]
        elif isinstance(value, str):
            other = "sum" if value == "nf" else OTHER[field]
        elif other is None:
            other = (value or 0) + 1
        changes = {field: other} | ({"residual_alpha": 0.2} if field == "residual" else {})
        assert base.but(**changes).sha != base.sha, field
    for changes in ({"data": "cifar100"}, {"net": "cnn", "depth": 9}, {"method": "bn"}, {"steps": "angular"}):
        if changes.items() <= base.values().items() or base.values()["steps"] == "angular":
            continue
        assert base.but(**changes).sha != base.sha, changes


def test_a_later_field_keeps_old_hashes() -> None:
    values = Recipe.of(name="a", method="bn").values()
    later = {"init_scale": 1.0, "policy": "none", "cutout": 0, "train_images": None, "steps": "sgd"}
    assert later.items() <= values.items()
    assert recipe_sha({k: v for k, v in values.items() if k not in later}) == recipe_sha(values)
    assert recipe_sha({**values, "cutout": 16}) != recipe_sha(values)


def test_equal_recipes_have_one_hash() -> None:
    whole = Recipe.of(name="a", method="ours", c=2, lr=1, sigma=np.float32(0.5), epochs=np.int64(3))
    float_ = Recipe.of(name="a", method="ours", c=2.0, lr=1.0, sigma=0.5, epochs=3)
    assert whole == float_ and whole.sha == float_.sha
    assert [type(whole.values()[key]) for key in ("c", "lr", "sigma", "epochs")] == [float, float, float, int]


def test_a_recipe_has_the_fields_of_its_kinds_alone() -> None:
    batch_norm = Recipe.of(name="a", method="bn")
    assert not hasattr(batch_norm.method, "c") and not hasattr(batch_norm.net, "residual_gamma")
    with pytest.raises(ValueError, match=r"c=3.0 belongs to method='ours', and this is 'bn'"):
        Recipe.of(name="a", method="bn", c=3.0)
    with pytest.raises(ValueError, match=r"rest=0.5 belongs to steps='angular', and this is 'sgd'"):
        Recipe.of(name="a", method="bn", rest=0.5)
    with pytest.raises(ValueError, match=r"colour=1: a recipe has no such field"):
        Recipe.of(name="a", method="bn", colour=1)
    # What results once stated of every recipe is taken, and means nothing.
    assert Recipe.of(name="a", method="bn", c=2.0, rest=0.2, residual="sum") == batch_norm


def test_another_kind_keeps_what_both_have() -> None:
    ours = Recipe.of(name="a", method="ours", sigma=0.3, net="resnet", depth=8, width=4, lr=0.2, decay_scale_bias=False)
    other = ours.but(method="bn", steps="angular", net="imagenet-resnet", depth=18, width=64, data="imagenette64")
    assert (other.method, other.training.lr, other.training.kind) == (parts.Method(kind="bn"), 0.2, "angular")
    assert ours.but(lr=0.3).but(lr=0.2) == ours


def test_every_recorded_result_names_its_recipe() -> None:
    found = results.load()
    assert len(found) > 1000
    for result in found:
        recipe = Recipe.of(**result.recipe)
        assert recipe.sha == result.recipe_sha and recipe_sha(recipe.values()) == result.recipe_sha, result.name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("init_scale", 0.0),
        ("epochs", 1.5),
        ("epochs", True),
        ("batch", 12.5),
        ("lr", float("inf")),
        ("lr", float("nan")),
        ("lr", "0.1"),
        ("momentum", None),
        ("name", "a/../b"),
        ("name", ""),
        ("name", ".."),
        ("name", 3),
        ("net", "vgg"),
        ("steps", "adam"),
        ("decay_scale_bias", 1),
        ("method", "batchnorm"),
        ("data", "mnist"),
        ("width", 0),
        ("lr", -0.1),
        ("depth", 10),
        ("epochs", 0),
        ("sigma", -0.1),
        ("cutout", -1),
        ("train_images", 0),
        ("validation", -1),
        ("warmup_epochs", 200),
        ("policy", "randaugment"),
        ("residual", "nf"),
        ("classifier", "centred"),
    ],
)
def test_nonsense_is_refused_by_field(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field}="):
        Recipe.of(**{"name": "a", "method": "bn", field: value})


def test_a_recipe_that_two_families_share_runs_once_and_is_found_by_both_names() -> None:
    shared = recipes.get("angular-cnn16-printed")
    assert shared is recipes.get("ablate-cnn16-both-s0-n10000-e6")
    assert "angular-cnn16-printed" not in recipes.RECIPES and shared.name in recipes.RECIPES
    assert shared in recipes.select("angular-cnn16-*") and recipes.select("angular-cnn16-printed") == [shared]


def test_unknown_name_offers_close_ones() -> None:
    with pytest.raises(LabError, match=r"unknown recipe 'cnn16-nb-e4': did you mean .*cnn16-bn-e4"):
        recipes.get("cnn16-nb-e4")
    with pytest.raises(LabError, match="list"):
        recipes.get("zzzzzz")


def test_families_patterns_and_names() -> None:
    assert {r.name.partition("-")[0] for r in recipes.select("cnn")} == {"cnn"}
    assert [r.name for r in recipes.select("digits-ws+*")] == ["digits-ws+bn", "digits-ws+gn"]
    assert [r.name for r in recipes.select("digits-bn")] == ["digits-bn"]


def test_decays_change_nothing_but_the_decay() -> None:
    cells = {recipe.name: recipe for recipe in ablations.constraints_and_noise()}
    digits = ablations.BASES[0]
    assert [ablations.decay_cell(digits, "both", decay) for decay in (1e-3, 0.0)] == [
        "ablate-digits-both-s0", "ablate-digits-both-s0-wd0"
    ]  # fmt: skip
    for recipe in ablations.decays():
        plain = cells[re.sub(r"-wd[\d.]+", "", recipe.name)]
        same = plain.but(name=recipe.name, weight_decay=recipe.training.weight_decay)
        assert recipe == same and recipe != plain
