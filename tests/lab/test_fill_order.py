"""What `fill` takes first."""

import dataclasses
import os
import signal
from pathlib import Path

import pytest
import torch

from cwn_lite.lab import Options, Recipe, data, recipes, results, run
from cwn_lite.lab.cells import fill as fill_module
from cwn_lite.lab.cells import priority
from cwn_lite.lab.cells.cell import cell_folder
from cwn_lite.lab.cells.fill import fill, missing
from cwn_lite.lab.data import Dataset
from cwn_lite.lab.disk import checkpoint
from cwn_lite.lab.disk.files import sweep
from cwn_lite.lab.disk.lock import BusyError, hold
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.training import Trainer


def names(options: Options, seeds: int, only: str | None = None) -> list[tuple[str, int]]:
    return [(cell.recipe.name, cell.seed) for cell in missing(options, seeds, only)]


def test_each_method_once_before_any_twice(options: Options) -> None:
    methods = [recipe.name for recipe in recipes.select("digits")]
    assert names(options, 2, "digits") == [(name, seed) for seed in (0, 1) for name in methods]


def test_a_gpu_begins_with_what_a_reader_needs_first(options: Options) -> None:
    gpu = dataclasses.replace(options, device=torch.device("cuda"))
    order = names(gpu, 3)
    both = ("ours", "bn")
    names_of_both = (*(f"cnn-{m}-e30" for m in both), *(f"angular-cnn-{m}-lr0.015" for m in both))
    assert order[:12] == [(name, seed) for seed in range(3) for name in names_of_both]
    assert order[12:21] == [(f"cnn-{m}-e30", seed) for seed in range(3) for m in ("gn", "ws+bn", "ws+gn")]
    first = [
        next(k for k, (name, _) in enumerate(order) if name.startswith(family))
        for family in (
            "angular-cnn-cwn",
            "cnn-ours-e200",
            "cnn-plain",
            "ablate-cnn",
            "resnet110",
            "batch-cnn",
            "wrn28x10",
        )
    ]
    assert first == sorted(first)


def test_each_device_has_recipes_of_its_own(options: Options) -> None:
    gpu = dataclasses.replace(options, device=torch.device("cuda"))
    on_cpu, on_gpu = names(options, 1), names(gpu, 1)
    assert not set(on_cpu) & set(on_gpu)
    assert len(on_cpu) + len(on_gpu) == len(recipes.RECIPES), "a recipe that no fill ever takes"
    assert names(options, 1, "cnn-bn-e200") == [("cnn-bn-e200", 0)]


def test_what_was_begun_comes_first(options: Options) -> None:
    folder = cell_folder(options.runs, recipes.get("digits-plain"), 2)
    folder.mkdir(parents=True)
    (folder / "checkpoint").touch()
    assert names(options, 3, "digits")[0] == ("digits-plain", 2)


@pytest.fixture
def two(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    pair = [tiny, tiny.but(name="tiny-bn", method="bn")]
    monkeypatch.setattr(fill_module.recipes, "RECIPES", {recipe.name: recipe for recipe in pair})
    monkeypatch.setattr(priority, "CPU", (("tiny*",),))
    return pair


def test_busy_cells_are_passed_and_data_loaded_once(two: list[Recipe], toy: Dataset, options: Options) -> None:
    loads: list[str] = []

    def load(kind: str) -> Dataset:
        loads.append(kind)
        return toy

    with hold(cell_folder(options.runs, two[0], 0) / "lock"):
        outcomes = {cell.recipe.name: outcome for cell, outcome in fill(missing(options, 1), load, options)}
    assert isinstance(outcomes["tiny"], BusyError) and str(os.getpid()) in str(outcomes["tiny"])
    assert isinstance(outcomes["tiny-bn"], results.Result)
    assert loads == ["digits"]
    assert names(options, 1) == [("tiny", 0)]


def test_the_sweep_of_a_holder_stops_no_other(
    tiny: Recipe, toy: Dataset, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds a cell may sweep it at any moment, also between two calls of another process that wants it."""
    cell, link = cell_folder(options.runs, tiny, 0), os.link

    def link_after_a_sweep(draft: Path, path: Path) -> None:
        sweep(cell)
        link(draft, path)

    with hold(cell / "lock"):
        monkeypatch.setattr(os, "link", link_after_a_sweep)
        with pytest.raises(BusyError):
            run(tiny, 0, toy, options)


def test_other_data_want_a_folder_of_their_own(tiny: Recipe, toy: Dataset, options: Options) -> None:
    run(tiny, 0, toy, options)
    other = dataclasses.replace(toy, name="other digits", sha256="f" * 64)
    with pytest.raises(LabError, match=r"tiny seed 1 .* other digits \(ffffffff\), but seed 0 .* --out FOLDER"):
        run(tiny, 1, other, options)
    assert [found.seed for found in results.load(options.out)] == [0]
    assert run(tiny, 1, other, dataclasses.replace(options, out=options.out / "other")) is not None


def test_a_cell_finished_meanwhile_is_not_run_again(two: list[Recipe], toy: Dataset, options: Options) -> None:
    cells = missing(options, 1)
    run(two[0], 0, toy, options)
    assert [cell.recipe.name for cell, _ in fill(cells, lambda kind: toy, options)] == ["tiny-bn"]


def test_nothing_is_begun_after_the_deadline(two: list[Recipe], toy: Dataset, options: Options) -> None:
    late = dataclasses.replace(options, deadline=0.0)
    assert list(fill(missing(late, 1), lambda kind: toy, late)) == []


def test_a_signal_stops_the_cell_and_the_fill(
    two: list[Recipe], toy: Dataset, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Trainer.step

    def step(self: Trainer) -> None:
        whole(self)
        if self.global_step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "step", step)
    assert [(cell.recipe.name, o) for cell, o in fill(missing(options, 1), lambda kind: toy, options)] == [
        ("tiny", None)
    ]
    state = checkpoint.load(cell_folder(options.runs, two[0], 0) / "checkpoint", {})
    assert state["trainer"]["position"] == [0, 3]


def test_digits_need_no_data() -> None:
    assert {recipe.data.kind for recipe in recipes.select("digits")} == {"digits"}
    assert data.load("digits", "ignored").name == "scikit-learn digits"


def test_a_cell_that_cannot_be_run_does_not_stop_the_others(
    two: list[Recipe], toy: Dataset, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt = cell_folder(options.runs, two[0], 0)
    spoilt.mkdir(parents=True)
    (spoilt / "checkpoint").write_bytes(b"junk")
    outcomes = {cell.recipe.name: outcome for cell, outcome in fill(missing(options, 1), lambda kind: toy, options)}
    assert isinstance(outcomes["tiny"], LabError) and "not a checkpoint" in str(outcomes["tiny"])
    assert isinstance(outcomes["tiny-bn"], results.Result)
    (spoilt / "checkpoint").unlink()

    def full(self: Trainer) -> None:
        raise MemoryError

    monkeypatch.setattr(Trainer, "step", full)
    ((cell, outcome),) = fill(missing(options, 1), lambda kind: toy, options)
    assert cell.recipe.name == "tiny" and "MemoryError" in str(outcome)
    assert isinstance(outcome, LabError) and outcome.__traceback__ is None and outcome.__cause__ is None
