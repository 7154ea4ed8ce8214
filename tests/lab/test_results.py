"""Result files: everything stated, written once, checked when read."""

import dataclasses
import json
import math
import os
import re
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from cwn_lite.lab import Options, Recipe, measure, results, run
from cwn_lite.lab.cells.cell import FinishedError, MachineError
from cwn_lite.lab.data import Dataset
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.results import Result, provenance, store
from cwn_lite.lab.training import Trainer


@pytest.fixture
def done(tiny: Recipe, toy: Dataset, options: Options) -> Result:
    result = run(tiny, 0, toy, options)
    assert result is not None
    return result


def only_file(options: Options) -> Path:
    (path,) = options.out.rglob("*.json")
    return path


def test_the_record_is_complete(done: Result, tiny: Recipe, toy: Dataset, options: Options) -> None:
    assert only_file(options) == options.out / f"tiny-{tiny.sha[:8]}" / "seed-0.json"
    assert results.load(options.out) == [done]
    assert done.status == "done" and done.reason is None
    assert done.recipe == tiny.values() and done.recipe_sha == tiny.sha
    assert len(done.curve) == len(done.epoch_s) == tiny.training.epochs
    assert set(done.curve[0]) == {"train_loss", "train_error", "test_loss", "test_error", "lr", "grad_norm"} | {
        "grad_norm_max", "row_norm_min", "row_norm_max"
    }  # fmt: skip
    assert done.final is not None and done.final["test_error"] == done.curve[-1]["test_error"] == done.test_error
    assert done.data == {"name": "toy", "sha256": toy.sha256, "train": 60, "test": 60}
    assert done.constrained == ["0.weight", "4.weight", "8.weight"]
    assert done.skipped == {"13.weight": "taken for the classifier: it feeds the output and no scale follows"}
    assert done.env["torch"] == torch.__version__ and done.env["threads"] == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", done.started)
    assert re.fullmatch(r"[0-9a-f]{64}", done.library_sha)
    trainer = Trainer(tiny, 0, toy)
    while not trainer.done:
        trainer.step()
    assert done.weights_sha256 == measure.weights_sha256(trainer.model)
    assert done.curve == trainer.curve


def test_it_names_no_path_and_no_machine(done: Result, options: Options) -> None:
    text = only_file(options).read_text()
    assert str(options.out) not in text
    assert str(Path.home()) + "/" not in text and str(Path(__file__).parents[2]) not in text


def test_it_is_never_overwritten(done: Result, tiny: Recipe, toy: Dataset, options: Options) -> None:
    before = only_file(options).read_bytes()
    with pytest.raises(FinishedError, match="never overwritten"):
        run(tiny, 0, toy, options)
    with pytest.raises(LabError, match="never overwritten"):
        results.write(done, options.out)
    assert only_file(options).read_bytes() == before
    assert [entry.name for entry in only_file(options).parent.iterdir()] == ["seed-0.json"]


def test_the_checkpoint_is_gone_and_the_folder_ignored(done: Result, options: Options) -> None:
    assert not list(options.runs.rglob("checkpoint"))
    assert (options.runs / ".gitignore").read_text() == "*\n"


def damage(path: Path, kind: str) -> None:
    values = json.loads(path.read_text())
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:700])
        return
    if kind == "not json":
        path.write_text("mean error 5 %")
        return
    if kind == "a list":
        path.write_text("[]")
        return
    if kind == "not a number":
        path.write_text(path.read_text().replace('"test_error": ', '"test_error": NaN, "x": ', 1))
        return
    if kind == "prettier number":
        values["final"]["test_error"] -= 1
    if kind == "other recipe":
        values["recipe"]["lr"] = 0.2
        values["checksum"] = store._checksum(values)
    if kind == "no seed":
        del values["seed"]
    if kind == "other schema":
        values["schema"] = 2
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("cut", "not a readable result"),
        ("not json", "not a readable result"),
        ("a list", "not a result"),
        ("not a number", "not a readable result"),
        ("prettier number", "edited or damaged"),
        ("other recipe", "does not have the hash"),
        ("no seed", "keys seed missing"),
        ("other schema", "schema 2"),
    ],
)
def test_a_damaged_file_is_refused(kind: str, message: str, done: Result, options: Options) -> None:
    path = only_file(options)
    damage(path, kind)
    content = path.read_bytes()
    with pytest.raises(LabError, match=message) as error:
        results.load(options.out)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert path.read_bytes() == content


def test_a_file_in_the_wrong_place_is_refused(done: Result, options: Options) -> None:
    path = only_file(options)
    path.rename(path.with_name("seed-1.json"))
    with pytest.raises(LabError, match=r"belongs at tiny-.*/seed-0\.json"):
        results.load(options.out)


def test_divergence_is_a_result(tiny: Recipe, toy: Dataset, options: Options) -> None:
    result = run(tiny.but(method="plain", lr=1e30), 0, toy, options)
    assert result is not None and result.status == "diverged"
    assert result.final is None and result.weights_sha256 is None and math.isnan(result.test_error)
    assert result.reason is not None and result.reason["step"] < 4 and "not finite" in result.reason["reason"]
    assert results.load(options.out) == [result]


def test_failure_is_a_result(tiny: Recipe, toy: Dataset, options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Trainer) -> tuple[float, float]:
        raise RuntimeError("the wheels came off\nand more")

    monkeypatch.setattr(Trainer, "evaluate", broken)
    result = run(tiny, 0, toy, options)
    assert result is not None and result.status == "failed" and result.final is None
    assert result.reason == {"epoch": 0, "step": 4, "reason": "RuntimeError: the wheels came off"}
    (trace,) = options.runs.rglob("traceback.txt")
    assert "in broken" in trace.read_text()


def test_the_machines_fault_is_no_result(
    tiny: Recipe, toy: Dataset, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Trainer) -> tuple[float, float]:
        raise MemoryError

    monkeypatch.setattr(Trainer, "evaluate", full)
    with pytest.raises(MachineError, match=r"tiny seed 0 stopped: MemoryError.*nothing is recorded"):
        run(tiny, 0, toy, options)
    assert not list(options.out.rglob("*.json"))
    monkeypatch.undo()
    assert run(tiny, 0, toy, options) is not None


MACHINE = [
    "CUDA error: an illegal memory access was encountered",
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 1",
    "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
    "DataLoader worker (pid 9421) is killed by signal: Terminated. ",
    "DataLoader worker (pid(s) 9421, 9422) exited unexpectedly",
]
PROGRAM = ["Expected all tensors to be on the same device, but found at least two devices, CUDA and CPU", "the wheels"]


@pytest.mark.parametrize("words", [*MACHINE, *PROGRAM])
def test_whose_fault_it_is(
    words: str, tiny: Recipe, toy: Dataset, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Trainer) -> tuple[float, float]:
        raise RuntimeError(words)

    monkeypatch.setattr(Trainer, "evaluate", broken)
    if words in MACHINE:
        with pytest.raises(MachineError, match="nothing is recorded"):
            run(tiny, 0, toy, options)
    else:
        result = run(tiny, 0, toy, options)
        assert result is not None and result.status == "failed"


def test_a_signal_that_reaches_the_workers_first_stops_the_run(
    tiny: Recipe, toy: Dataset, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kill -- -GROUP` ends them at once; the run then goes on from its checkpoint another time."""

    def broken(self: Trainer) -> tuple[float, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated. ")

    monkeypatch.setattr(Trainer, "evaluate", broken)
    assert run(tiny, 0, toy, options) is None
    assert not list(options.out.rglob("*.json"))
    monkeypatch.undo()
    assert run(tiny, 0, toy, options) is not None


def test_load_reads_no_file_of_another_recipe(done: Result, options: Options) -> None:
    other = options.out / "cnn-00000000"
    other.mkdir()
    (other / "seed-0.json").write_text("damaged")
    assert results.load(options.out, "ti*") == [done]
    with pytest.raises(LabError):
        results.load(options.out)


def test_a_deadline_stops_with_a_checkpoint(tiny: Recipe, toy: Dataset, options: Options) -> None:
    stopped = dataclasses.replace(options, deadline=0.0)
    sessions = 0
    result = None
    while result is None:
        result = run(tiny, 0, toy, stopped)
        sessions += 1
    assert sessions == len(result.sessions) == 8  # one step each
    fresh = dataclasses.replace(options, out=options.out / "other")
    whole = run(tiny, 0, toy, fresh)
    assert whole is not None and len(whole.sessions) == 1
    assert (whole.curve, whole.final, whole.weights_sha256) == (result.curve, result.final, result.weights_sha256)


def test_load_selects_by_name(done: Result, options: Options) -> None:
    assert results.load(options.out, "ti*") == [done]
    assert results.load(options.out, "cnn*") == []


def test_committed_results_are_whole() -> None:
    found = results.load()
    assert len(found) > 100, "the book is made of hundreds"
    for result in found:
        assert result.dirty is False or result.dirty is None


def test_no_committed_result_is_missing() -> None:
    root = provenance.PACKAGE.parent
    listing = subprocess.run(["git", "ls-files", "book/results"], cwd=root, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout: nothing says which results were committed")
    committed = {root / name for name in listing.stdout.split() if name.endswith(".json")}
    found = {results.path_of(results.default_root(), f"{r.name}-{r.recipe_sha[:8]}", r.seed) for r in results.load()}
    assert committed and committed <= found


# Data that was not at hand; the chapter on other data says so in their place.
NOT_RUN = {"modelnet40-*", "imagenet-resnet50-*"}


def test_each_pattern_that_a_chapter_loads_has_results() -> None:
    chapters = (provenance.PACKAGE.parent / "book").glob("*.ipynb")
    sources = [
        "".join(cell["source"])
        for chapter in chapters
        for cell in json.loads(chapter.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    patterns = {p for source in sources for p in re.findall(r"""results\.load\(pattern=["'](.+?)["']""", source)}
    assert len(patterns) > 3
    assert {pattern for pattern in patterns if not results.load(pattern=pattern)} == NOT_RUN


@pytest.mark.parametrize("there", [[], ["results"], ["results", "results/tiny-00000000"]])
def test_a_book_without_results_is_no_book(there: list[str], tiny: Recipe, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "book").mkdir()
    for name in there:
        (tmp_path / "book" / name).mkdir()
    if there:
        (tmp_path / "book" / "results" / "README.md").write_text("what results are")
    monkeypatch.setattr(store, "checkout", lambda: tmp_path)
    for load in (results.load, lambda: results.load(pattern="ti*"), lambda: results.of_recipe(tiny)):
        with pytest.raises(LabError, match="the book is made of them"):
            load()
    assert results.load(tmp_path / "book" / "results") == []  # whoever names a folder may begin with an empty one
    monkeypatch.setattr(store, "checkout", lambda: None)
    monkeypatch.chdir(tmp_path)
    assert results.load() == []


def test_the_readme_explains_every_key() -> None:
    readme = (provenance.PACKAGE.parent / "book" / "results" / "README.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1] for line in readme.splitlines() if line.startswith("| `")]
    explained = set(re.findall(r"`(\w+)`", " ".join(cells)))
    assert explained == {field.name for field in dataclasses.fields(Result)} | {"checksum"}


def test_results_of_a_recipe_by_its_hash(tiny: Recipe, toy: Dataset, options: Options) -> None:
    renamed = tiny.but(name="once-called-otherwise")
    for recipe, seed in ((tiny, 1), (renamed, 0), (tiny.but(sigma=0.3), 0)):
        run(recipe, seed, toy, options)
    found = results.of_recipe(tiny, options.out)
    assert [(r.name, r.seed) for r in found] == [("once-called-otherwise", 0), ("tiny", 1)]
    assert results.of_recipe(tiny.but(lr=0.5), options.out) == []


def test_a_run_under_two_names_is_refused(tiny: Recipe, toy: Dataset, options: Options) -> None:
    for recipe in (tiny, tiny.but(name="once-called-otherwise")):
        run(recipe, 0, toy, options)
    for read in (results.load, partial(results.of_recipe, tiny)):
        with pytest.raises(LabError, match=r"seed 0 is recorded twice, under once-called-otherwise-.* and tiny-"):
            read(options.out)


@pytest.mark.parametrize(
    ("text", "kept"), [("CUDA error: an illegal memory access", False), ("the sizes do not match", True)]
)
def test_a_device_that_fails_is_no_result(
    text: str, kept: bool, tiny: Recipe, toy: Dataset, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Trainer) -> tuple[float, float]:
        raise RuntimeError(text)

    monkeypatch.setattr(Trainer, "evaluate", broken)
    if kept:
        result = run(tiny, 0, toy, options)
        assert result is not None and result.status == "failed"
    else:
        with pytest.raises(MachineError, match="CUDA error"):
            run(tiny, 0, toy, options)
    assert len(list(options.out.rglob("*.json"))) == kept


def test_seeds_are_in_the_order_of_numbers(done: Result, tiny: Recipe, options: Options) -> None:
    for seed in (10, 2):
        results.write(dataclasses.replace(done, seed=seed), options.out)
    assert [r.seed for r in results.load(options.out)] == [0, 2, 10]
    assert [r.seed for r in results.of_recipe(tiny, options.out)] == [0, 2, 10]
