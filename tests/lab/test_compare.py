"""Verdicts by rules: what counts as better, as not worse, and how many comparisons share one level."""

from __future__ import annotations

import dataclasses
import math

import pytest
from scipy.stats import norm, t, ttest_rel
from test_tables import result

from cwn_lite.lab import recipes
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.recipes.angular import SCREENS
from cwn_lite.lab.recipes.versus import CHOSEN, arms, tried
from cwn_lite.lab.results import Result, load
from cwn_lite.lab.results.compare import GUESSES, compare, has_trained, tally, together, verdict
from cwn_lite.lab.results.contrasts import FORMS, RIVALS, SETTINGS, by_recipe, compared, contrasts

FIRST, SECOND = recipes.get("cnn16-ours-nonoise-e4"), recipes.get("cnn16-bn-e4")
Pair = tuple[list[Result], list[Result]]


def pair(a: list[float | None], b: list[float | None]) -> Pair:
    """Return runs with these errors; ``None`` diverged."""
    return tuple(  # type: ignore[return-value]  # of two
        [result(recipe, seed, error, "diverged" if error is None else "done") for seed, error in enumerate(errors)]
        for recipe, errors in ((FIRST, a), (SECOND, b))
    )


BETTER = pair([30.0, 31.0, 32.0, 33.0], [33.0, 34.2, 34.9, 36.1])
WORSE = pair([33.0, 34.2, 34.9, 36.1], [30.0, 31.0, 32.0, 33.0])
LEVEL = pair([30.0, 31.0, 32.0, 33.0], [30.1, 30.9, 32.2, 32.8])
NOISY = pair([30.0, 40.0, 32.0, 33.0], [35.0, 31.0, 39.0, 31.0])
FEW = pair([30.0, 31.0], [33.0, 34.1])
RARELY = pair([30.0, None, None, None, None, None], [30.0, 30.1, 30.0, 30.1, 30.2, 30.0])


@pytest.mark.parametrize(
    ("runs", "better", "not_worse"),
    [
        (BETTER, True, True),
        (WORSE, False, False),
        (LEVEL, None, True),
        (NOISY, None, None),
        (FEW, None, None),
        (RARELY, False, False),
        (RARELY[::-1], True, True),
    ],
)
def test_what_a_setting_says(runs: Pair, better: bool | None, not_worse: bool | None) -> None:
    (found,) = compare({"here": runs})
    assert found.favours() is better
    assert found.favours(1.0) is not_worse


def test_a_small_loss_within_the_margin_is_no_loss() -> None:
    (found,) = compare({"here": pair([30.2, 31.2, 32.2], [30.0, 31.01, 31.99])})
    assert found.difference is not None and found.difference.low > 0
    assert (found.favours(), found.favours(1.0)) == (False, True)


def test_runs_that_guess_have_not_trained() -> None:
    guesses = result(FIRST, 0, GUESSES + 1)
    assert not has_trained(guesses) and has_trained(result(FIRST, 0, GUESSES - 1))
    (found,) = compare({"here": ([guesses, *BETTER[0][1:]], BETTER[1])})
    assert (found.trained, found.runs) == ((3, 4), (4, 4))
    assert found.difference is not None and found.difference.n == 3
    assert "trained 3/4 and 4/4" in found.words() and "−" in found.words()


def test_the_level_is_shared_by_the_settings_that_can_decide() -> None:
    alone = compare({"one": BETTER})[0].difference
    three = compare({"one": BETTER, "two": LEVEL, "three": NOISY, "too few": FEW})
    shared = three[0].difference
    assert alone is not None and shared is not None
    ratio = (shared.high - shared.mean) / (alone.high - alone.mean)
    assert ratio == pytest.approx(t.ppf(1 - 0.025 / 3, 3) / t.ppf(0.975, 3))
    assert all(found.level == pytest.approx(1 - 0.05 / 3) for found in three)


def test_fishers_test_decides_where_no_seed_is_common() -> None:
    (found,) = compare({"here": pair([None] * 5, [30.0] * 5)})
    assert found.difference is None and found.p_trained == pytest.approx(2 / 252)
    assert found.favours() is False
    assert found.words() == "no seed with which both trained, trained 0/5 and 5/5"
    (three,) = compare({"here": pair([None] * 3, [30.0] * 3)})
    assert three.favours() is None, "three against three cannot tell"
    (few,) = compare({"here": pair([30.0] * 2, [None] * 10)})
    assert few.p_trained < 1 - few.level and few.favours() is None, "two runs have no share of the level"


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ([BETTER, BETTER], "holds"),
        ([BETTER, NOISY], "partly"),
        ([BETTER, WORSE], "partly"),
        ([BETTER, WORSE, WORSE], "does not hold"),
        ([WORSE, NOISY], "does not hold"),
        ([NOISY, FEW], "open"),
        ([], "open"),
    ],
)
def test_verdicts(settings: list[Pair], word: str) -> None:
    assert verdict(compare({str(i): runs for i, runs in enumerate(settings)})) == word


def test_the_settings_that_a_verdict_rests_on_are_named() -> None:
    found = compare({"here": BETTER, "there": WORSE, "elsewhere": NOISY})
    assert tally(found) == "1 setting for it (here), 1 against it, 1 undecided"
    assert tally(found, 1000.0) == "3 settings for it, 0 against it, 0 undecided"


def test_settings_that_decide_nothing_decide_together() -> None:
    """Stouffer's method against the law of its statistic, and against a single paired t-test."""
    lean = pair([3.0, 1.0, 2.5, 0.5, 2.0], [1.0, 1.5, 1.0, 1.2, 1.0])
    one = ttest_rel(*([run.test_error for run in runs] for runs in lean)).pvalue
    found = compare({str(i): lean for i in range(6)})
    assert not any(comparison.favours() is False for comparison in found)
    both = together(found)
    assert both is not None and both.settings == 6 and both.mean == pytest.approx(0.66)
    assert both.p == pytest.approx(2 * norm.sf(norm.isf(one / 2) * 6**0.5))
    assert both.p < 0.01 < one and both.z > 0
    assert both.words() == "+0.7 points on the mean of 6 settings, z = +2.6, p = 0.009"
    turned = together(compare({"a": lean, "b": lean[::-1]}))
    assert turned is not None and turned.p == pytest.approx(1) and turned.mean == pytest.approx(0)
    assert together(compare({"here": lean, "too few": FEW})) is None


def test_settings_without_one_of_the_two_are_left_out() -> None:
    assert compare({"here": (BETTER[0], [])}) == []


def test_a_rival_that_never_trains_decides_only_where_rates_were_searched() -> None:
    never: Pair = pair([30.0 + seed for seed in range(6)], [None] * 6)
    (found,) = compare({"here": never})
    assert found.favours() is True and found.p_trained < 0.01
    assert dataclasses.replace(found, searched=False).favours() is None
    runs = by_recipe(load())
    searched = {
        (c.setting, c.form, c.rival) for c, found in compared(runs, FORMS, ("bn", "gn")).items() if found.searched
    }
    assert {("digits", "printed", "bn"), ("points", "printed", "bn"), ("points", "printed", "gn")} < searched
    assert not any(setting == "imagenette" for setting, _, _ in searched)
    assert ("points", "recommended", "gn") in searched


def test_without_scatter_nothing_is_decided() -> None:
    """One of 449 images more at each seed: an interval of rounding errors is none."""
    wrong = (11, 7, 23)
    (found,) = compare({"here": pair([100 * (k + 1) / 449 for k in wrong], [100 * k / 449 for k in wrong])})
    assert found.difference is not None and abs(found.difference.mean - 100 / 449) < 1e-9
    assert found.favours() is None
    assert together([found, found]) is None
    (same,) = compare({"here": pair([30.0, 31.0, 32.0], [30.0, 31.0, 32.0])})
    alone, with_same = together(compare({"a": LEVEL, "b": NOISY})), together([*compare({"a": LEVEL, "b": NOISY}), same])
    assert alone is not None and with_same is not None and with_same.settings == 3
    assert math.isclose(with_same.z * math.sqrt(3), alone.z * math.sqrt(2)), "a difference of zero counts"


def test_runs_that_do_not_belong_together_are_refused() -> None:
    first, second = pair([30.0], [31.0])
    first[0].env["precision"], second[0].env["precision"] = "bfloat16", "float32"
    with pytest.raises(LabError, match="do not mix"):
        compare({"here": (first, second)})


def test_contrasts_name_recipes_that_differ_in_the_method_alone() -> None:
    """And in what goes with a method: rate, decay, pull, and how a residual branch starts."""
    own = {"name", "method", "lr", "weight_decay", "decay_scale_bias", "coherence_decay", "clip"}
    own |= {"residual", "residual_alpha", "residual_gamma", "init_scale"}
    own |= {"c", "centralize", "spherize", "sigma", "schedule", "noise_per_sample", "groups", "ws_gain"}
    own |= {"classifier", "noise_rises", "mixing", "gates", "final_lr"}
    known = list(contrasts())
    assert len({(c.form, c.rival, c.setting) for c in known}) == len(known)
    for contrast in known:
        assert contrast.form in FORMS and contrast.rival in RIVALS and contrast.setting in SETTINGS
        first, second = (recipes.get(name).values() for name in (contrast.first, contrast.second))
        differ = {key for key in first.keys() | second.keys() if first.get(key) != second.get(key)}
        assert differ <= own, contrast
        assert first["method"] == "ours" != second["method"]
        assert first["steps"] == second["steps"] == ("angular" if contrast.form == "recommended" else "sgd")


def test_chosen_rates_are_the_best_of_those_tried() -> None:
    """On held-out images, in the mean over the seeds that all of them have; a run that did not train counts as such."""
    runs = by_recipe(load(None, "search-*"))
    for screen, chosen in CHOSEN.items():
        assert chosen.keys() == {arm for known in arms(SCREENS[screen]["net"]).values() for arm in known}
        for arm, rate in chosen.items():
            scores = {}
            for lr, name in tried(screen, arm).items():
                known = runs.get(recipes.get(name).sha, [])
                errors = {r.seed: r.test_error if r.status == "done" else 100.0 for r in known}
                assert errors, f"{name} was not run"
                scores[lr] = sum(errors[seed] for seed in range(min(len(errors), 3))) / min(len(errors), 3)
            assert math.isclose(scores[rate], min(scores.values())), (screen, arm, scores)


def test_recorded_runs_are_compared() -> None:
    found = compared(by_recipe(load(None, "cnn16-*")), ["printed"], ["gn"])
    (contrast,) = (c for c in found if c.setting == "cnn16-e4")
    assert found[contrast].runs == (3, 3)
