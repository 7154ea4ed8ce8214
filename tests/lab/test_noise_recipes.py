"""The regularizers that go into the finals are those that did best on held-out images."""

from __future__ import annotations

import math
from itertools import product

import pytest

import cwn_lite as cwn
from cwn_lite.lab import data, recipes
from cwn_lite.lab.recipes import noise, slopes
from cwn_lite.lab.results import load
from cwn_lite.lab.results.contrasts import by_recipe
from cwn_lite.lab.training import Trainer

KINDS = {"noise": "sigma", "dropout": "stage_dropout", "smoothing": "label_smoothing"}
OTHER = {"constant": "linear", "linear": "constant"}


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
        other, schedule = noise.OTHER_SCHEDULE[base, steps], known[chosen["noise"]]["schedule"]
        rest = [trial for trial, fields in known.items() if fields.get("schedule") == OTHER[schedule]]
        assert other in rest and math.isclose(means[other], min(means[trial] for trial in rest)), (base, steps)


def test_each_final_has_its_control() -> None:
    names = {recipe.name for recipe in noise.finals()}
    for base, steps in noise.CHOSEN:
        assert f"noise-{base}-{steps}-none" in names
        finals = (*noise.CHOSEN[base, steps].values(), noise.OTHER_SCHEDULE[base, steps])
        assert all(f"noise-{base}-{steps}-{name}" in names for name in finals)


def test_both_schedules_are_given_the_same_strength_in_the_residual_network() -> None:
    for steps, strength in product(slopes.STEPS, slopes.STRENGTHS):
        found = {}
        for schedule in OTHER:
            recipe = recipes.get(f"noise-resnet32-{steps}-{schedule}-rms{strength:g}")
            model = Trainer(recipe, 0, data.load("digits")).model
            levels = [module.noise_std for module in model.modules() if isinstance(module, cwn.ScaleBias)]
            assert len(levels) == slopes.SCALES
            found[schedule] = math.sqrt(sum(s * s for s in levels) / len(levels))
        assert found == {schedule: pytest.approx(strength) for schedule in OTHER}
