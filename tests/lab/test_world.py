"""One run shared by two processes through torchrun: the result file of one process, up to rounding."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cwn_lite.lab import Options, Recipe, recipes, results, run
from cwn_lite.lab.cells.cell import cell_folder
from cwn_lite.lab.data import Dataset
from cwn_lite.lab.disk import checkpoint
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.results import provenance
from cwn_lite.lab.training import Trainer, World


def test_parts_are_disjoint_and_complete() -> None:
    for size in (1, 2, 3, 5):
        for n in (5, 12, 128):
            parts = [range(n)[World(rank, size).part(n)] for rank in range(size)]
            assert [i for part in parts for i in part] == list(range(n))
            assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_what_cannot_be_shared_is_refused(tiny: Recipe, toy: Dataset) -> None:
    with pytest.raises(LabError, match="7 processes cannot share the 12 images"):
        Trainer(tiny, 0, toy, world=World(0, 7))


def test_three_shares_of_a_batch_weigh_as_one(tiny: Recipe, toy: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "wrap", lambda self, model, device: model)
    whole, _, weight = Trainer(tiny, 0, toy)._next_batch()
    assert weight == 1
    shares = [Trainer(tiny, 0, toy, world=World(rank, 3))._next_batch() for rank in range(3)]
    assert [len(labels) for _, labels, _ in shares] == [6, 5, 5]
    assert torch.equal(torch.cat([x for x, _, _ in shares]), whole)
    per_image = torch.rand(16)
    # DistributedDataParallel averages over the processes.
    averaged = sum(
        weight * part.mean() for (_, _, weight), part in zip(shares, per_image.split([6, 5, 5]), strict=True)
    )
    assert float(averaged) / 3 == pytest.approx(float(per_image.mean()))


def test_a_shared_run_keeps_what_shares_its_gradients(
    tiny: Recipe, toy: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "wrap", lambda self, model, device: torch.nn.Sequential(model))
    trainer = Trainer(tiny, 0, toy, world=World(0, 2))
    wrapped = trainer._network
    trainer.compile()
    assert trainer._network is wrapped and not trainer.compiled


def torchrun(
    folder: Path, *arguments: str, program: tuple[str, ...] = ("-m", "cwn_lite.lab")
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [*program, *arguments]
    if arguments[0] != "list":
        command += ["--out", str(folder / "out"), "--runs", str(folder / "runs")]
        command += ["--device", "cpu", "--threads", "1", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(provenance.PACKAGE.parent), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits-ours", "digits-bn"])
def test_two_processes_make_one_result(name: str, digits: Dataset, options: Options, tmp_path: Path) -> None:
    done = torchrun(tmp_path / "two", "run", name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test error") == 1
    (shared,) = results.load(tmp_path / "two" / "out")
    assert shared.env["processes"] == 2
    alone = run(recipes.get(name), 0, digits, options)
    assert alone is not None and alone.env["processes"] == 1
    # Rounding grows along a training; in the first epoch it has not yet.
    first, expected = shared.curve[0], alone.curve[0]
    assert shared.final is not None and shared.final["test_error"] < 10
    if name == "digits-ours":  # batch norm has the statistics of half a batch in each process
        for key in ("train_loss", "test_loss", "grad_norm", "row_norm_max"):
            assert first[key] == pytest.approx(expected[key], rel=1e-4), key
    else:
        assert first["train_loss"] != pytest.approx(expected["train_loss"], rel=1e-4)


SLOW_LEADER = """
import os, sys, time
from cwn_lite.lab.__main__ import main
time.sleep(3 if os.environ["RANK"] == "0" else 0)
sys.exit(main())
"""


@pytest.mark.slow
def test_a_refusal_of_the_leader_stops_all(tmp_path: Path) -> None:
    script = tmp_path / "slow_leader.py"
    script.write_text(SLOW_LEADER)
    done = torchrun(tmp_path, "fill", "--minutes", "1", program=(str(script),))
    assert done.returncode != 0
    assert done.stderr.count("error: fill under torchrun") == 1, "torchrun does not stop it before it has spoken"
    (tmp_path / "out").write_text("a file, where a folder should be")
    done = torchrun(tmp_path, "run", "digits-bn")
    assert done.returncode != 0
    assert done.stderr.count("\nerror: ") + done.stderr.startswith("error: ") == 1
    assert "Not a directory" in done.stderr


OWN_DISKS = """
import os, sys
from cwn_lite.lab.__main__ import main
out, runs = sys.argv[1:]
options = ["--out", out, "--runs", os.path.join(runs, os.environ["RANK"]), "--device", "cpu", "--threads", "1"]
sys.exit(main(["run", "digits-plain", "--quiet", *options]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [False, True])
def test_processes_with_disks_of_their_own_resume_where_the_leader_was(
    damaged: bool, digits: Dataset, tmp_path: Path
) -> None:
    recipe = recipes.get("digits-plain")
    trainer = Trainer(recipe, 0, digits)
    for _ in range(30):
        trainer.step()
    identity = {"recipe_sha": recipe.sha, "seed": 0, "data": digits.sha256, "device": "cpu", "processes": 2}
    saved = cell_folder(tmp_path / "runs" / "0", recipe, 0) / "checkpoint"
    checkpoint.save(saved, {"trainer": trainer.state_dict(), "sessions": []}, identity)
    if damaged:
        saved.write_bytes(saved.read_bytes()[:-1])
    script = tmp_path / "own_disks.py"
    script.write_text(OWN_DISKS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = {**os.environ, "PYTHONPATH": str(provenance.PACKAGE.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(tmp_path / "out"), str(tmp_path / "runs")],
        capture_output=True, text=True, env=environment, timeout=120,
    )  # fmt: skip
    if damaged:
        assert done.returncode and done.stderr.count("damaged checkpoint") == 1
        return
    assert done.returncode == 0, done.stderr
    (shared,) = results.load(tmp_path / "out")
    assert shared.status == "done" and len(shared.curve) == recipe.training.epochs
    assert shared.curve[0]["train_loss"] == trainer.curve[0]["train_loss"], "the first epoch is the one that was saved"
