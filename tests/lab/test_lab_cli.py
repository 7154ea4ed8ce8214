"""The command line: one clear line and a non-zero exit for a mistake, and nothing overwritten."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from cwn_lite.lab import recipes, results
from cwn_lite.lab.__main__ import main
from cwn_lite.lab.cells import priority
from cwn_lite.lab.data.kinds import EMBEDDED
from cwn_lite.lab.disk import lock
from cwn_lite.lab.results import provenance

RECIPE = recipes.get("digits-bn").but(name="digits-bn-quick", epochs=1, width=4)


@pytest.fixture(autouse=True)
def quick_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipes.RECIPES, RECIPE.name, RECIPE)


class Lab:
    """The command line with its folders in a temporary place."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.out, self.runs, self.capsys = folder / "out", folder / "runs", capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        settings = ["--out", str(self.out), "--runs", str(self.runs)]
        if arguments[0] in ("run", "fill"):
            settings += ["--threads", "1", "--quiet", "--device", "cpu"]
        status = main([arguments[0], *settings, *arguments[1:]])
        captured = self.capsys.readouterr()
        return status, captured.out, captured.err

    def fails(self, *arguments: str) -> str:
        status, out, err = self(*arguments)
        assert status == 2 and out == ""
        assert err.startswith("error: ") and err.count("\n") == 1
        return err

    def files(self) -> dict[str, bytes]:
        folders = (self.out, self.runs)
        return {str(p): p.read_bytes() for f in folders for p in f.rglob("*") if p.is_file() and p.name != "lock"}

    @property
    def cell(self) -> Path:
        return self.runs / RECIPE.directory / "seed-0"

    @property
    def result(self) -> Path:
        return self.out / RECIPE.directory / "seed-0.json"


@pytest.fixture
def lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Lab:
    return Lab(tmp_path, capsys)


def test_run_twice_list_and_table(lab: Lab) -> None:
    status, out, err = lab("run", RECIPE.name, "--seed", "0")
    assert (status, err) == (0, "") and f"-> {lab.result}" in out
    before = lab.files()
    status, again, _ = lab("run", RECIPE.name)
    assert status == 0 and again == f"finished before: {out}"
    assert lab.files() == before
    error = results.read(lab.result).test_error
    status, out, _ = lab("list", RECIPE.name)
    assert out.split(None, 1) == [RECIPE.name, f"seed 0: {error:.2f} %\n"]
    status, out, _ = lab("table", RECIPE.name)
    assert status == 0 and f"| BN | {RECIPE.name} | scikit-learn digits | 1 | {error:.2f} | 0 | – |" in out


def test_list_names_every_recipe_and_result(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab("run", RECIPE.name)
    monkeypatch.delitem(recipes.RECIPES, RECIPE.name)
    status, out, _ = lab("list")
    assert status == 0
    overview, _, _ = out.partition("\n\n")
    assert [line.split()[0] for line in overview.splitlines()] == [*recipes.RECIPES, RECIPE.directory]
    assert "not a recipe of this version" in out


def test_list_and_table_say_that_there_are_no_results(lab: Lab) -> None:
    status, out, err = lab("list", RECIPE.name)
    assert (status, out.split(), err) == (0, [RECIPE.name, "–"], f"no results in {lab.out}\n")
    assert f"no results of {RECIPE.name} in {lab.out}" in lab.fails("table", RECIPE.name)
    lab("run", RECIPE.name)
    assert lab("list", "digits-ours")[2] == "", "results of other recipes are results"


def test_unknown_recipe(lab: Lab) -> None:
    assert "did you mean" in lab.fails("run", "digits-nb")
    assert "did you mean" in lab.fails("table", "digits-nb")
    assert "did you mean" in lab.fails("fill", "--minutes", "1", "--only", "digits-nb")
    assert lab.files() == {}


def test_missing_data(lab: Lab, tmp_path: Path) -> None:
    assert "give --data" in lab.fails("run", "cnn16-bn-e4")
    assert "no such file or folder" in lab.fails("run", "cnn16-bn-e4", "--data", str(tmp_path / "nowhere"))
    archive = tmp_path / "cifar-10-python.tar.gz"
    archive.write_bytes(b"\x1f\x8b\x08\x00 cut off")
    assert "truncated archive" in lab.fails("run", "cnn16-bn-e4", "--data", str(archive))
    assert archive.read_bytes() == b"\x1f\x8b\x08\x00 cut off" and lab.files() == {}


@pytest.mark.parametrize("arguments", [["--seed", "-1"], ["--device", "tpu"], ["--checkpoint-minutes", "-1"]])
def test_nonsense_settings(arguments: list[str], lab: Lab) -> None:
    assert arguments[0] in lab.fails("run", RECIPE.name, *arguments)
    assert lab.files() == {}


def test_corrupt_checkpoint(lab: Lab) -> None:
    lab.cell.mkdir(parents=True)
    (lab.cell / "checkpoint").write_bytes(b"garbage")
    assert "not a checkpoint" in lab.fails("run", RECIPE.name)
    assert (lab.cell / "checkpoint").read_bytes() == b"garbage" and not lab.result.exists()


def test_corrupt_result(lab: Lab) -> None:
    lab.result.parent.mkdir(parents=True)
    lab.result.write_text("{")
    for verb in (["run", RECIPE.name], ["list"], ["table", RECIPE.name]):
        assert "not a readable result" in lab.fails(*verb)
    assert lab.result.read_text() == "{"


def test_failed_result_is_no_success(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwn_lite.lab.training import Trainer

    monkeypatch.setattr(Trainer, "evaluate", lambda self: 1 / 0)
    assert "failed at step" in lab.fails("run", RECIPE.name)
    assert results.read(lab.result).status == "failed"
    assert "move" in lab.fails("run", RECIPE.name)


def test_unwritable_folders(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    lab.out = tmp_path / "file" / "results"
    assert "file" in lab.fails("run", RECIPE.name)
    lab.out, lab.runs = tmp_path / "out", tmp_path / "file" / "runs"
    assert "file" in lab.fails("run", RECIPE.name)
    assert (tmp_path / "file").read_text() == "in the way"


def test_cell_of_another_process(lab: Lab) -> None:
    with lock.hold(lab.cell / "lock"):
        assert f"another process (id {os.getpid()})" in lab.fails("run", RECIPE.name)
        status, out, _ = lab("fill", "--minutes", "1", "--seeds", "1", "--only", RECIPE.name)
        assert status == 0 and out.endswith("1 busy, 1 cells left\n")
    assert not lab.result.exists()


def test_fill_until_nothing_is_left(lab: Lab) -> None:
    status, out, _ = lab("fill", "--minutes", "1", "--seeds", "2", "--only", RECIPE.name)
    assert status == 0 and out.endswith("2 done, 0 cells left\n")
    before = lab.files()
    status, out, _ = lab("fill", "--minutes", "1", "--seeds", "2", "--only", RECIPE.name)
    assert (status, out) == (0, "0 cells left\n")
    assert lab.files() == before


def test_fill_stops_in_time_and_goes_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    longer = RECIPE.but(epochs=20)
    monkeypatch.setitem(recipes.RECIPES, RECIPE.name, longer)
    status, out, _ = lab("fill", "--minutes", "0.01", "--seeds", "1", "--only", RECIPE.name)
    assert status == 0 and out.endswith("1 begun, 1 cells left\n")
    assert lab("list", RECIPE.name)[1].split(None, 1)[1] == "seed 0 begun\n"
    status, out, _ = lab("fill", "--minutes", "5", "--seeds", "1", "--only", RECIPE.name)
    assert out.endswith("1 done, 0 cells left\n")
    assert len(results.read(results.path_of(lab.out, longer.directory, 0)).sessions) == 2


def test_fill_without_data_says_what_it_leaves(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    # A dict of its own: putting a deleted recipe back would change the order that others see.
    others = {name: recipe for name, recipe in recipes.RECIPES.items() if recipe.data.kind not in EMBEDDED}
    monkeypatch.setattr(recipes, "RECIPES", {**others, RECIPE.name: RECIPE})
    status, out, err = lab("fill", "--minutes", "1", "--seeds", "1")
    assert status == 0 and err.startswith("without --data")
    assert [r.name for r in results.load(lab.out)] == [RECIPE.name]
    wanted = priority.order(recipes.RECIPES.values(), "cpu", named=False)
    left = sum(map(len, wanted)) - 1
    assert out.endswith(f"1 done, {left} cells left\n")


def test_fill_goes_on_without_data_that_cannot_be_loaded(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = recipes.get("cnn16-bn-e4").but(name="digits-in-name-only")
    monkeypatch.setattr(recipes, "RECIPES", {image.name: image, RECIPE.name: RECIPE})
    status, out, err = lab("fill", "--minutes", "1", "--seeds", "1", "--data", str(tmp_path))
    assert status == 2 and out.endswith("1 done, 1 cells left\n")
    assert err.startswith("error: ") and str(tmp_path) in err and err.endswith("going on without cifar10\n")
    status, out, err = lab("fill", "--minutes", "1", "--seeds", "1", "--data", str(tmp_path))
    assert status == 2, "nothing could be run"


def test_each_kind_of_data_may_lie_elsewhere(
    lab: Lab, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = recipes.get("cnn16-bn-e4").but(name="digits-of-cifar", epochs=1, depth=3, width=4)
    photo = recipes.get("imagenette-resnet18-bn").but(name="digits-of-photographs")
    monkeypatch.setattr(recipes, "RECIPES", {r.name: r for r in (image, photo, RECIPE)})
    command = ["fill", "--minutes", "1", "--seeds", "1"]
    status, out, err = lab(*command, "--data", f"cifar10={tree}")
    assert status == 0 and out.endswith("2 done, 1 cells left\n")
    assert err == "without --data the recipes on imagenette cannot run\n"
    status, out, err = lab(*command, "--data", str(tree), "--data", f"imagenette={tmp_path / 'nowhere'}")
    assert status == 2 and "nowhere: no such file" in err and err.endswith("going on without imagenette\n")
    odd = tmp_path / "a=b"
    tree.rename(odd)
    status, out, err = lab("run", "cnn16-bn-e4", "--profile", "--data", str(odd))
    assert "one step, too short to profile" in err, "an equals sign is a letter like any other"


def test_fill_without_policies_says_what_it_leaves(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = recipes.get("cnn-bn-fastaa-e200")
    monkeypatch.setattr(recipes, "RECIPES", {fast.name: fast})
    status, out, err = lab("fill", "--minutes", "1", "--seeds", "1", "--data", "absent", "--only", fast.name)
    assert status == 0 and err.startswith("without --policies") and out == "1 cells left\n"


def test_profile_prints_and_keeps_nothing(lab: Lab) -> None:
    status, out, _ = lab("run", RECIPE.name, "--profile")
    assert status == 0 and "ms per step" in out and "optimizer and projection" in out
    assert lab.files() == {}


def test_deterministic_is_recorded(lab: Lab) -> None:
    try:
        assert lab("run", RECIPE.name, "--deterministic")[0] == 0
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    assert results.read(lab.result).env["deterministic"] is True


@pytest.mark.slow
def test_ctrl_c_stops_with_a_checkpoint(tmp_path: Path) -> None:
    folders = ["--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs"), "--threads", "1"]
    command = [sys.executable, "-W", "error", "-m", "cwn_lite.lab", "run", "digits-bn", *folders]
    process = subprocess.Popen(
        [*command, "--checkpoint-minutes", "0"],
        cwd=provenance.PACKAGE.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    checkpoint = tmp_path / "runs" / recipes.get("digits-bn").directory / "seed-0" / "checkpoint"
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on from its checkpoint" in out and "Traceback" not in err
    assert "digits-bn seed 0" in err  # the progress bar
    assert checkpoint.exists() and not list((tmp_path / "out").rglob("*.json"))
