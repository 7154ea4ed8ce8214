"""The regularizers that go into the finals are those that did best on held-out images."""

from __future__ import annotations

import math

from cwn_lite.lab import recipes
from cwn_lite.lab.recipes import noise
from cwn_lite.lab.results import load
from cwn_lite.lab.results.contrasts import by_recipe

KINDS = {"noise": "sigma", "dropout": "stage_dropout", "smoothing": "label_smoothing"}


def test_what_was_chosen_had_the_smallest_error_on_held_out_images() -> None:
    runs = by_recipe(load(pattern="noise-search-*"))
    known = noise.regularizers()
    for (base, steps), chosen in noise.CHOSEN.items():
        assert chosen.keys() == KINDS.keys()
        trials = {}
        for name in known:
            found = runs.get(recipes.get(f"noise-search-{base}-{steps}-{name}").sha, [])
            trials[name] = {r.seed: r.test_error if r.status == "done" else 100.0 for r in found}
        seeds = set.intersection(*(set(errors) for errors in trials.values()))
        assert seeds, f"{base}, {steps}: not every regularizer was tried at one seed"
        means = {name: sum(errors[s] for s in seeds) / len(seeds) for name, errors in trials.items()}
        for kind, name in chosen.items():
            of_kind = [trial for trial, fields in known.items() if KINDS[kind] in fields]
            assert name in of_kind and math.isclose(means[name], min(means[trial] for trial in of_kind)), (base, steps)


def test_each_final_has_its_control() -> None:
    names = {recipe.name for recipe in noise.finals()}
    for base, steps in noise.CHOSEN:
        assert f"noise-{base}-{steps}-none" in names
        assert all(f"noise-{base}-{steps}-{name}" in names for name in noise.CHOSEN[base, steps].values())
