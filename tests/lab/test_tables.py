"""Tables: the right mean, the right deviation, the paper's number beside it, and nothing mixed."""

import dataclasses
import statistics

import pytest

from cwn_lite.lab import Recipe, recipes
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.results import Result, tables

PAPER = {"cifar10": {"standard": {"cnn": {"ours": 5.5, "bn": 5.36}}}}


def result(recipe: Recipe, seed: int, error: float | None, status: str = "done", data: str = "CIFAR-10") -> Result:
    final = {"test_error": error} if error is not None else None
    return Result(
        schema=1, status=status, reason=None, recipe=recipe.values(), recipe_sha=recipe.sha, seed=seed,
        commit=None, dirty=None, library_sha="", env={}, sessions=[], data={"name": data, "sha256": data},
        started="", wall_s=0.0, epoch_s=[], parameters=0, constrained=[], skipped={}, curve=[],
        final=final, weights_sha256=None,
    )  # fmt: skip


def test_mean_deviation_and_paper() -> None:
    errors = [5.91, 6.02, 5.77]
    ours, bn = recipes.get("cnn-ours-e200"), recipes.get("cnn-bn-e200")
    rows = [result(bn, 0, 5.0)]
    rows += [result(ours, seed, error) for seed, error in enumerate(errors)]
    rows += [result(ours, 3, None, "diverged"), result(ours, 4, None, "failed")]
    first, second = tables.rows(rows, PAPER)
    assert (first.method, first.n, first.seeds) == ("ours", 3, (0, 1, 2))
    assert first.mean == pytest.approx(statistics.fmean(errors))
    assert first.std == pytest.approx(statistics.stdev(errors))
    assert (first.diverged, first.failed, first.paper) == (1, 1, 5.5)
    assert (second.n, second.std, second.paper) == (1, None, 5.36)
    assert tables.table(rows, PAPER).splitlines()[2:] == [
        "| CWO | cnn-ours-e200 | CIFAR-10 | 3 | 5.90 ± 0.13 | 1 (and 1 failed) | 5.50 |",
        "| BN | cnn-bn-e200 | CIFAR-10 | 1 | 5.00 | 0 | 5.36 |",
    ]


def test_a_method_that_only_diverged_has_a_row() -> None:
    recipe = recipes.get("cnn16-ws-e4")
    (line,) = tables.table([result(recipe, seed, None, "diverged") for seed in range(3)], PAPER).splitlines()[2:]
    assert line == "| WS | cnn16-ws-e4 | CIFAR-10 | 0 | – | 3 | – |"


def test_the_papers_number_stands_beside_the_papers_setting_only() -> None:
    ours = recipes.get("cnn-ours-e200")
    assert tables.paper_error(ours.values(), PAPER) == 5.5
    for change in ({"width": 16}, {"epochs": 6}, {"augment": "none"}, {"data": "cifar100"}, {"method": "ws"}):
        changed = ours.but(**change)
        assert tables.paper_error(changed.values(), PAPER) is None
    assert tables.paper_error(ours.values(), {}) is None
    assert tables.paper_error(ours.but(sigma=0.3).values(), PAPER) is None


def test_the_papers_table_is_found() -> None:
    for name, number in {
        "cnn-bn-e200": 5.36,
        "resnet110-ours-c100-e200": 25.16,
        "wrn28x10-ws+gn-fastaa-e200": 3.29,
        "wrn28x10-ours-c100-fastaa-e200": 16.40,
        "wrn28x10-ours-e30": None,
        "cnn-bn-autoaugment-e200": None,
        "ablate-wrn28x10-both-linear-s0.4-e200": None,
    }.items():
        assert tables.paper_error(recipes.get(name).values(), tables.paper_table()) == number, name


def test_the_cell_of_a_table() -> None:
    recipe = recipes.get("cnn-ours-e200")
    runs = [result(recipe, seed, error) for seed, error in enumerate((5.0, 6.0))]
    lost = [result(recipe, 2, None, "diverged"), result(recipe, 3, None, "failed")]
    assert tables.cell(runs[:1]) == "5.00 (1)"
    assert tables.cell(runs) == "5.50 ± 0.71 (2)"
    assert tables.cell(runs + lost) == "5.50 ± 0.71 (2), 1 of 4 diverged, 1 of 4 failed"
    assert tables.cell(lost[:1]) == "1 of 1 diverged"


def test_a_difference_is_paired_by_seed() -> None:
    ours, bn = recipes.get("cnn-ours-e200"), recipes.get("cnn-bn-e200")
    a = [result(ours, seed, error) for seed, error in ((0, 5.0), (1, 6.0), (2, 7.0), (5, 99.0))]
    b = [result(bn, seed, error) for seed, error in ((2, 8.0), (1, 7.5), (0, 6.0))]
    assert tables.difference(a, b) == "−1.17 [−1.88, −0.45]"
    assert tables.difference(a[:1], b) == ""


def test_recipe_hashes_do_not_mix() -> None:
    old = recipes.get("cnn-ours-e200")
    new = old.but(sigma=0.3)
    with pytest.raises(LabError, match=rf"2 recipe hashes .*{old.sha[:8]}"):
        tables.table([result(old, 0, 5.0), result(new, 1, 5.0)], PAPER)


def test_data_sets_do_not_mix() -> None:
    recipe = recipes.get("cnn-ours-e200")
    with pytest.raises(LabError, match="2 data sets"):
        tables.table([result(recipe, 0, 5.0), result(recipe, 1, 5.0, data="CIFAR-10, JPEG quality 75")], PAPER)


def test_a_difference_is_of_one_data_set() -> None:
    ours, bn = recipes.get("cnn-ours-e200"), recipes.get("cnn-bn-e200")
    here = [result(ours, seed, 5.0 + seed) for seed in range(3)]
    there = [result(bn, seed, 5.5 + seed, data="CIFAR-10, JPEG quality 75") for seed in range(3)]
    with pytest.raises(LabError, match=r"cnn-bn-e200, cnn-ours-e200: results of 2 data sets .*JPEG"):
        tables.difference(here, there)


def in_precision(name: str, seed: int, precision: str) -> Result:
    return dataclasses.replace(result(recipes.get(name), seed, 5.0 + seed), env={"precision": precision})


def test_precisions_do_not_mix_at_a_seed() -> None:
    ours, bn = "cnn-ours-e200", "cnn-bn-e200"
    cpu, gpu = in_precision(ours, 0, "float32"), in_precision(bn, 0, "bfloat16 autocast")
    with pytest.raises(LabError, match="cnn-bn-e200, cnn-ours-e200: results of 2 precisions at a seed"):
        tables.difference([cpu], [gpu])
    with pytest.raises(LabError, match="2 precisions"):  # recipes that no seed compares
        tables.difference([cpu], [in_precision(bn, 1, "bfloat16 autocast")])
    more = [in_precision(bn, 0, "float32"), in_precision(bn, 1, "bfloat16 autocast")]
    with pytest.raises(LabError, match="2 precisions"):  # rates of failure count all seeds
        tables.difference([cpu], more)


def test_a_seed_in_another_precision_is_a_block_of_its_own() -> None:
    ours, bn = (
        [in_precision(name, seed, "float32" if seed else "bfloat16 autocast") for seed in range(3)]
        for name in ("cnn-ours-e200", "cnn-bn-e200")
    )
    assert tables.difference(ours, bn) == "+0.00 [+0.00, +0.00]"
    assert tables.cell(ours).endswith("(3), bfloat16 and float32")
    assert "| CIFAR-10, bfloat16 and float32 | 3 |" in tables.table(ours, PAPER)
    assert "float32" not in tables.cell(ours[1:]) + tables.table(ours[1:], PAPER)


@pytest.mark.parametrize(("method", "mixes"), [("ours", True), ("bn", False)])
def test_batch_norm_over_parts_of_a_batch_is_another_method(method: str, mixes: bool) -> None:
    recipe = recipes.get(f"cnn-{method}-e200")
    runs = [dataclasses.replace(result(recipe, s, 5.0), env={"processes": p}) for s, p in enumerate((1, 8))]
    if mixes:
        assert tables.cell(runs) == "5.00 ± 0.00 (2)"
    else:
        with pytest.raises(LabError, match="numbers of processes under batch norm"):
            tables.cell(runs)
