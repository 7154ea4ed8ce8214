"""What people may type, and what may lie where the lab wants to write: one line, and their files stay as they were."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cwn_lite.lab import data, recipes
from cwn_lite.lab.__main__ import main
from cwn_lite.lab.augment import policy
from cwn_lite.lab.disk import checkpoint
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.results import tables

RECIPE = recipes.get("digits-bn").but(name="digits-bn-quick", epochs=1, width=4)
Lab = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lab(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setitem(recipes.RECIPES, RECIPE.name, RECIPE)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, out: str = "out", runs: str = "runs") -> tuple[int, str, str]:
        settings = [f"--out={out}", f"--runs={runs}"]
        if arguments[0] in ("run", "fill"):
            settings += ["--threads=1", "--quiet", "--device=cpu"]
        status = main([arguments[0], *settings, *arguments[1:]])
        return (status, *capsys.readouterr())

    return call


def fails(done: tuple[int, str, str]) -> str:
    status, out, err = done
    assert status == 2 and out == "" and err.startswith("error: ") and err.count("\n") == 1
    return err


# ---- What is typed ----


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", RECIPE.name, "--seed", "abc"], "--seed: invalid int value: 'abc'"),
        (["run", RECIPE.name, "--seed", "9" * 5000], "--seed: invalid int value"),
        (["run", RECIPE.name, "--threads", "99999999999"], "--threads 99999999999: from 1 to 1024"),
        (["run", RECIPE.name, "--checkpoint-minutes", "nan"], "--checkpoint-minutes nan"),
        (["run", RECIPE.name, "--compile", "maybe"], "'maybe' (choose from"),
        (["run", RECIPE.name, "--no-such-option"], "--no-such-option"),
        (["run"], "recipe"),
        (["run", ""], "unknown recipe ''"),
        (["run", "two\nlines"], r"unknown recipe 'two\nlines'"),
        (["run", RECIPE.name, "--data", ""], "--data: path '': no path"),
        (["run", "cnn16-bn-e4", "--data", "two\nlines"], r"two\nlines: no such file"),
        (["run", "cnn16-bn-e4", "--data", "\x1b[31mred"], r"\x1b[31mred: no such file"),
        (["run", "cnn16-bn-e4", "--data", os.fsdecode(b"\xff")], r"\udcff: no such file"),
        (["run", "cnn16-bn-e4", "--data", "x" * 300], "File name too long"),
        (["fill", "--minutes", "nan"], "--minutes nan"),
        (["fill", "--minutes", "soon"], "invalid float value: 'soon'"),
        (["fill", "--minutes", "1", "--seeds", "1000000000"], "at most 1000 seeds"),
        (["fill", "--minutes", "1", "--jobs", "100000"], "100 jobs"),
        (["fill", "--minutes", "1", "--only", ""], "unknown recipe ''"),
        (["table", ""], "unknown recipe ''"),
        (["list", "["], "unknown recipe '['"),
    ],
)
def test_nonsense_is_one_line(arguments: list[str], named: str, lab: Lab, tmp_path: Path) -> None:
    assert named in fails(lab(*arguments))
    assert not list(tmp_path.iterdir())


def test_data_for_what_needs_none(lab: Lab, tmp_path: Path) -> None:
    for given in (str(tmp_path), f"digits={tmp_path}"):
        err = fails(lab("run", RECIPE.name, "--data", given))
        assert f"--data {tmp_path}: {RECIPE.name} trains on the digits that come with the library; leave it out" in err
    assert not (tmp_path / "runs").exists() and not (tmp_path / "out").exists()
    assert lab("run", RECIPE.name, "--data", f"cifar10={tmp_path}")[0] == 0, "of another kind"


def test_a_package_that_is_not_there(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert "sklearn is not installed" in fails(lab("run", RECIPE.name))


@pytest.mark.parametrize("verb", ["run", "fill"])
def test_a_link_to_nowhere_in_the_place_of_a_result(verb: str, lab: Lab, tmp_path: Path) -> None:
    """Nothing can be published there: found before the training and not behind it."""
    place = tmp_path / "out" / RECIPE.directory / "seed-0.json"
    place.parent.mkdir(parents=True)
    place.symlink_to("nowhere")
    if verb == "run":
        assert "move it away" in fails(lab("run", RECIPE.name))
    else:
        status, out, err = lab("fill", "--minutes=1", "--seeds=1", f"--only={RECIPE.name}")
        assert status == 0 and "0 cells left" in out and "move it away" in err
    assert place.is_symlink() and not (tmp_path / "runs" / RECIPE.directory).exists()


def test_a_verb_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    for given in (["brew"], []):
        assert main(given) == 2
        err = capsys.readouterr().err
        assert err.startswith("error: ") and err.count("\n") == 1 and "--help` says" in err


@pytest.mark.parametrize("option", ["--out", "--runs", "--data", "--policies"])
def test_homes(option: str, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "~no-such-user-here/x: " in fails(lab("run", RECIPE.name, option, "~no-such-user-here/x"))
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    kind = "cifar10=" if option == "--data" else ""  # digits read no files
    assert lab("run", RECIPE.name, f"{option}={kind}~/place")[0] == 0
    assert (tmp_path / "home" / "place").is_dir() == (option in ("--out", "--runs"))
    assert not (tmp_path / "~").exists()


def test_policies_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "archive.py"
    head = b"def fa_reduced_cifar10():\n    return "
    for content in (
        b"",
        b"\0",
        b"\xff",
        head,
        head + b"-" * 100_000 + b"1",
        head + b"[" + b"1+" * 20_000 + b"1]",
        head + b"[" * 5000,
    ):
        file.write_bytes(content)
        with pytest.raises(LabError, match=f"^{file}: "):
            policy.load("fastaa", file)
    with pytest.raises(LabError, match="~no-such-user-here"):
        policy.load("fastaa", Path("~no-such-user-here/archive.py"))


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000])
def test_a_table_of_the_paper_that_is_none(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PAPER", tmp_path)
    (tmp_path / "table1.json").write_text(content)
    with pytest.raises(LabError, match=r"table1\.json: not the paper's table"):
        tables.table([])


def test_a_table_of_the_paper_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PAPER", tmp_path)
    with pytest.raises(LabError, match=r"table1\.json: no such file"):
        tables.table([])


# ---- What lies in the way ----


@pytest.mark.parametrize(
    "verb", [["run", RECIPE.name], ["fill", "--minutes", "1", "--seeds", "1", "--only", RECIPE.name]]
)
@pytest.mark.parametrize("own", ["*.pyc\n", "", None])
def test_a_folder_of_the_users_own(own: str | None, verb: list[str], lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("mine")
    if own is not None:
        (tmp_path / ".gitignore").write_text(own)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert lab(*verb, runs=".")[0] == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_gitignore_that_leads_elsewhere(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "runs" / ".gitignore").symlink_to(tmp_path / "precious")
    assert lab("run", RECIPE.name)[0] == 0
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("verb", [["list", RECIPE.name], ["table", RECIPE.name]])
def test_a_file_where_a_folder_is_expected(verb: list[str], lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "file: a file, where a folder is expected" in fails(lab(*verb, out="file"))
    if verb[0] == "list":
        assert "--runs file: a file, where a folder is expected" in fails(lab(*verb, runs="file"))
    for settings in ({"out": "file"}, {"runs": "file"}, {"out": "file/below"}):
        assert "file" in fails(lab("run", RECIPE.name, **settings))
    assert (tmp_path / "file").read_text() == "x"


def test_a_folder_in_the_place_of_a_lock(lab: Lab, tmp_path: Path) -> None:
    lock = tmp_path / "runs" / RECIPE.directory / "seed-0" / "lock"
    lock.mkdir(parents=True)
    assert "lock: Is a directory" in fails(lab("run", RECIPE.name))


STATES: list[object] = [
    {},
    {"trainer": 3, "sessions": []},
    {"trainer": {}, "sessions": []},
    {"trainer": {"model": {"a": torch.zeros(3)}}, "sessions": []},
]


@pytest.mark.parametrize("state", STATES)
def test_a_checkpoint_of_another_version(state: dict[str, object], lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "runs" / RECIPE.directory / "seed-0" / "checkpoint"
    identity = {"recipe_sha": RECIPE.sha, "seed": 0, "data": data.load("digits").sha256}
    checkpoint.save(path, state, {**identity, "device": "cpu", "processes": 1})
    before = path.read_bytes()
    assert "checkpoint: not of this version (" in fails(lab("run", RECIPE.name))
    assert path.read_bytes() == before and not list((tmp_path / "out").rglob("*.json"))


@pytest.mark.parametrize("sessions", [[3], [{}], [{"started": "then", "wall_s": "long"}], 3])
def test_sessions_that_are_none(sessions: object, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lab("fill", "--minutes", "1e-6", "--seeds", "1", "--only", RECIPE.name)[0] == 0
    longer = RECIPE.but(epochs=20)
    monkeypatch.setitem(recipes.RECIPES, RECIPE.name, longer)
    assert lab("fill", "--minutes", "0.01", "--seeds", "1", "--only", RECIPE.name)[0] == 0
    path = tmp_path / "runs" / longer.directory / "seed-0" / "checkpoint"
    identity = {"recipe_sha": longer.sha, "seed": 0, "data": data.load("digits").sha256}
    identity |= {"device": "cpu", "processes": 1}
    checkpoint.save(path, {**checkpoint.load(path, identity), "sessions": sessions}, identity)
    assert "checkpoint: not of this version (" in fails(lab("run", RECIPE.name))


# ---- Data that teach nothing ----


def test_pictures_without_a_difference(lab: Lab, tree: Path) -> None:
    from PIL import Image

    for file in tree.rglob("*.png"):
        Image.new("RGB", (32, 32), (5, 6, 7)).save(file)
    assert "a channel is the same all over the training images" in fails(lab("run", "cnn16-bn-e4", "--data", str(tree)))


@pytest.mark.parametrize("batch", [1, 4, 5, 9, 10, 20])
def test_few_pictures_to_profile(batch: int, lab: Lab, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = recipes.get("cnn16-gn-e4").but(name="few", batch=batch, width=4, depth=3, groups=4)
    monkeypatch.setitem(recipes.RECIPES, few.name, few)
    done = lab("run", "few", "--data", str(tree), "--profile")
    if batch < 20:
        assert done[0] == 0 and "ms per step" in done[1]
    else:
        assert "an epoch of CIFAR-10 (image folder) is one step" in fails(done)
