"""Recipes: the hash names what matters, names are found, nonsense is refused."""

import dataclasses
import itertools

import pytest

from cwn_lite.lab import Recipe, recipes
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.recipes import METHODS
from cwn_lite.lab.recipes import recipe as recipe_module
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
        assert {recipes.get(f"{prefix}-{method}{suffix}").method for method in METHODS} == set(METHODS)
    assert {recipe.data for recipe in recipes.select("grid")} == {"digits"}
    hashes = [recipe.sha for recipe in recipes.RECIPES.values()]
    assert len(set(hashes)) == len(hashes)


def test_the_tables_of_the_paper_are_complete() -> None:
    def found(**fields: object) -> list[Recipe]:
        return [r for r in recipes.RECIPES.values() if all(getattr(r, key) == v for key, v in fields.items())]

    nets = ({"net": "cnn", "width": 64}, {"net": "resnet", "depth": 110}, {"net": "wrn", "depth": 28, "width": 160})
    table_1 = {"epochs": 200, "batch": 128}
    for net, images, policy, method in itertools.product(nets, ("cifar10", "cifar100"), ("none", "fastaa"), FIVE):
        assert found(**net, **table_1, data=images, policy=policy, method=method), (net, images, policy, method)
    wrn = {**nets[2], "epochs": 200}
    for images, method, batch in itertools.product(("cifar10", "cifar100"), ("ours", "bn"), (4, 16, 128)):
        (cell,) = found(**wrn, data=images, method=method, batch=batch, policy="fastaa")
        assert cell.lr == pytest.approx((0.2 if method == "ours" else 0.1) * batch / 128)
    wrn |= {"method": "ours", "batch": 128, "policy": "none"}
    for images, centre, sphere, sigma in itertools.product(("cifar10", "cifar100"), *[(True, False)] * 2, (0.0, 1.0)):
        assert found(**wrn, data=images, centralize=centre, spherize=sphere, sigma=sigma)
    for images in ("cifar10", "cifar100"):
        levels = {(r.schedule, r.sigma) for r in found(**wrn, data=images, centralize=True, spherize=True)}
        constant, linear = (0.0, 0.1, 0.2, 0.3, 0.4), (0.2, 0.4, 0.6, 0.8, 1.0)
        assert levels >= {("constant", sigma) for sigma in constant} | {("linear", sigma) for sigma in linear}


def test_the_papers_settings() -> None:
    ours = recipes.get("cnn-ours-e200")
    assert (ours.lr, ours.weight_decay, ours.momentum, ours.batch, ours.epochs) == (0.1, 1e-3, 0.9, 128, 200)
    assert (ours.width, ours.depth, ours.c, ours.decay_scale_bias) == (64, 9, 2.0, False)
    assert recipes.get("resnet20-ours-e6").lr == 0.2


def test_hash_ignores_the_name_and_nothing_else() -> None:
    base = Recipe(name="a", method="bn")
    assert dataclasses.replace(base, name="b").sha == base.sha
    other = {
        "data": "cifar100", "augment": "none", "net": "resnet", "schedule": "linear", "method": "gn", "depth": 20,
        "policy": "autoaugment", "residual": "nf", "classifier": "centred", "steps": "angular",
    }  # fmt: skip
    for field in dataclasses.fields(Recipe):
        if field.name in ("name", "net"):
            continue
        value = getattr(base, field.name)
        if field.name in other:
            changed = {field.name: other[field.name]}
            reference = dataclasses.replace(base, net="resnet", depth=26)
            if field.name == "classifier":
                reference = dataclasses.replace(reference, method="ours")
            if field.name == "steps":
                reference = dataclasses.replace(reference, decay_scale_bias=False)
        elif field.name in ("rest", "coherence_decay"):
            changed, reference = (
                {field.name: value + 1},
                dataclasses.replace(base, steps="angular", decay_scale_bias=False),
            )
        else:
            changed = {field.name: not value if isinstance(value, bool) else (value or 0) + 1}
            reference = base
        assert dataclasses.replace(reference, **changed).sha != reference.sha, field.name


def test_a_later_field_keeps_old_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Recipe(name="a", method="bn").sha
    later = dataclasses.make_dataclass(
        "Later",
        [("colour", int, dataclasses.field(default=0, metadata={"later": True}))],
        bases=(Recipe,), frozen=True, kw_only=True,
    )  # fmt: skip
    monkeypatch.setattr(recipe_module, "Recipe", later)
    assert recipe_sha(dataclasses.asdict(later(name="a", method="bn"))) == before
    assert recipe_sha(dataclasses.asdict(later(name="a", method="bn", colour=16))) != before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("init_scale", 0.0),
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
    with pytest.raises(ValueError, match=f"{field}="):
        Recipe(**{"name": "a", "method": "bn", field: value})


def test_unknown_name_offers_close_ones() -> None:
    with pytest.raises(LabError, match=r"unknown recipe 'cnn16-nb-e4': did you mean .*cnn16-bn-e4"):
        recipes.get("cnn16-nb-e4")
    with pytest.raises(LabError, match="list"):
        recipes.get("zzzzzz")


def test_families_patterns_and_names() -> None:
    assert {r.name.partition("-")[0] for r in recipes.select("cnn")} == {"cnn"}
    assert [r.name for r in recipes.select("digits-ws+*")] == ["digits-ws+bn", "digits-ws+gn"]
    assert [r.name for r in recipes.select("digits-bn")] == ["digits-bn"]
