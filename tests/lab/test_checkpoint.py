"""A checkpoint is whole and of this run, or it is refused and left alone."""

import dataclasses
import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from cwn_lite.lab import Options, Recipe, data, run
from cwn_lite.lab.cells.cell import cell_folder
from cwn_lite.lab.data import Dataset
from cwn_lite.lab.disk import checkpoint, files
from cwn_lite.lab.errors import LabError

IDENTITY = {"recipe_sha": "abc", "seed": 0, "data": "def"}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "cell" / "checkpoint"
    checkpoint.save(path, {"weight": torch.arange(100.0), "position": [1, 2]}, IDENTITY)
    return path


def test_round_trip(saved: Path) -> None:
    state = checkpoint.load(saved, IDENTITY)
    assert torch.equal(state["weight"], torch.arange(100.0)) and state["position"] == [1, 2]
    assert [entry.name for entry in saved.parent.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("position", [0, 30, 90, 300, -1])
def test_a_flipped_bit_is_noticed(position: int, saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[position] ^= 4
    saved.write_bytes(content)
    with pytest.raises(LabError, match="damaged"):
        checkpoint.load(saved, IDENTITY)
    assert saved.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip of somebody else", checkpoint.MAGIC])
def test_a_foreign_or_cut_file_is_refused(content: bytes, saved: Path) -> None:
    saved.write_bytes(content)
    with pytest.raises(LabError, match="not a checkpoint"):
        checkpoint.load(saved, IDENTITY)
    assert saved.read_bytes() == content


@pytest.mark.parametrize(("key", "value"), [("recipe_sha", "xyz"), ("seed", 1), ("data", "other")])
def test_a_checkpoint_of_another_run_is_refused(key: str, value: object, saved: Path) -> None:
    with pytest.raises(LabError, match=f"another run .*{key}"):
        checkpoint.load(saved, {**IDENTITY, key: value})


OTHERS = {"recipe_sha": "f" * 64, "seed": 1, "data": "f" * 64, "device": "cuda", "processes": 2}


@pytest.mark.parametrize("key", OTHERS)
def test_a_run_goes_on_from_its_own_checkpoint_only(key: str, tiny: Recipe, toy: Dataset, options: Options) -> None:
    if key == "processes":  # batch norm's statistics are those of a process; all else goes on with any number
        tiny = tiny.but(method="bn")
    assert run(tiny, 0, toy, dataclasses.replace(options, deadline=0.0)) is None
    path = cell_folder(options.runs, tiny, 0) / "checkpoint"
    own = {"recipe_sha": tiny.sha, "seed": 0, "data": toy.sha256, "device": "cpu", "processes": 1}
    state = checkpoint.load(path, {})
    checkpoint.save(path, state, {**own, key: OTHERS[key]})
    before = path.read_bytes()
    with pytest.raises(LabError, match=rf"another run \(it differs in {key}\); move it away"):
        run(tiny, 0, toy, options)
    assert path.read_bytes() == before and not list(options.out.rglob("*.json"))
    checkpoint.save(path, state, own)
    assert run(tiny, 0, toy, options) is not None


def test_a_run_does_not_go_on_with_other_data(tiny: Recipe, toy: Dataset, options: Options) -> None:
    assert run(tiny, 0, toy, dataclasses.replace(options, deadline=0.0)) is None
    other = (toy.train_images.numpy().copy(), toy.train_labels.numpy())
    other[0][0, 0, 0, 0] ^= 1
    with pytest.raises(LabError, match=r"another run \(it differs in data\)"):
        run(tiny, 0, data.build(other, other, lambda sha: "toy"), options)


@pytest.mark.parametrize(("seconds", "count"), [(0.0, 8), (1e9, 2)])
def test_how_often_a_run_is_saved(
    seconds: float, count: int, tiny: Recipe, toy: Dataset, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of each of two epochs of four steps, and within one when the time between two is over."""
    positions = []
    monkeypatch.setattr(checkpoint, "save", lambda path, state, own: positions.append(state["trainer"]["position"]))
    assert run(tiny, 0, toy, dataclasses.replace(options, checkpoint_s=seconds)) is not None
    assert len(positions) == count and [2, 0] in positions and [1, 0] in positions


def test_a_failed_write_keeps_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(saved, {"weight": torch.zeros(5)}, IDENTITY)
    assert saved.read_bytes() == before
    assert [entry.name for entry in saved.parent.iterdir()] == ["checkpoint"]


def test_what_lies_in_the_place_of_a_checkpoint(saved: Path) -> None:
    saved.unlink()
    saved.mkdir()
    with pytest.raises(LabError, match="a folder or a device, not a checkpoint; move it away"):
        checkpoint.load(saved, IDENTITY)
    saved.rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(saved)
        with pytest.raises(LabError, match="a folder or a device, not a checkpoint"):
            checkpoint.load(saved, IDENTITY)


@pytest.mark.parametrize(
    "body", [b"", b"PK", b"\x80\x02}.", pickle.dumps([1]), pickle.dumps({"state": 3, "identity": 4})]
)
def test_a_whole_file_of_something_else(body: bytes, saved: Path) -> None:
    saved.write_bytes(checkpoint.MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    with pytest.raises(LabError, match=f"{saved}: unreadable checkpoint"):
        checkpoint.load(saved, IDENTITY)


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1 / 0",)


def test_a_checkpoint_runs_no_code(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = torch.load

    def load(*arguments: Any, weights_only: bool = False, **settings: Any) -> Any:
        return whole(*arguments, weights_only=weights_only, **settings)

    monkeypatch.setattr(torch, "load", load)  # as before torch 2.6
    checkpoint.save(saved, {"code": Malicious()}, IDENTITY)
    with pytest.raises(LabError, match="unreadable checkpoint") as refusal:
        checkpoint.load(saved, IDENTITY)
    assert "ZeroDivisionError" not in str(refusal.value)


def test_write_once_never_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    files.write_atomically(path, b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        files.write_atomically(path, b"second", overwrite=False)
    assert path.read_bytes() == b"first" and len(list(path.parent.iterdir())) == 1
