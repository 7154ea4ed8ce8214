"""A result file may hold anything: it is a whole result of this version, or refused in one line that names it."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cwn_lite.lab import Options, Recipe, results, run
from cwn_lite.lab.data import Dataset
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.recipes.recipe import recipe_sha
from cwn_lite.lab.results import store, tables

RECIPE = Recipe.of(name="forged", data="digits", augment="none", depth=3, width=4, method="bn", batch=32, epochs=1)


@pytest.fixture(scope="module")
def good(toy: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("good")
    options = Options(out=folder / "out", runs=folder / "runs", device=torch.device("cpu"), quiet=True)
    assert run(RECIPE, 0, toy, options)
    values: dict[str, Any] = json.loads(results.path_of(options.out, RECIPE.directory, 0).read_text())
    return values


def path_for(root: Path) -> Path:
    path = results.path_of(root, RECIPE.directory, 0)
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return path_for(tmp_path)


def refusal(root: Path) -> str:
    """Return why the results below a folder are refused."""
    with pytest.raises(LabError) as error:
        tables.table(results.load(root), {})
    assert "\n" not in str(error.value) and len(str(error.value)) < 600
    return str(error.value)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "Infinity", "-Infinity", "NaN", "digits"])
@pytest.mark.parametrize("key", ["wall_s", "seed"])
def test_numbers_that_are_none(number: str, key: str, good: dict[str, Any], path: Path) -> None:
    text = json.dumps({**good, key: "HERE"}).replace('"HERE"', number.replace("digits", "9" * 5000))
    path.write_text(text)
    assert refusal(path.parents[1]).startswith(f"{path}: not a readable result")


NO_RESULTS = [
    b"",
    b"null",
    b"[]",
    b"3",
    b'"text"',
    b"{}",
    b"\xff\xfe{",
    b"\xef\xbb\xbf{}",
    b"[" * 200_000,
    b'{"a":' * 200_000,
]


@pytest.mark.parametrize("content", NO_RESULTS, ids=range(len(NO_RESULTS)))
def test_files_that_are_no_result(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    assert refusal(path.parents[1]).startswith(f"{path}: ")
    assert path.read_bytes() == content


def test_cut_or_padded_files(good: dict[str, Any], path: Path) -> None:
    whole = json.dumps(good).encode()
    for content in (
        whole[:-1],
        whole[: len(whole) // 2],
        whole + b"\0\0",
        whole + whole,
        whole.decode().encode("utf-16"),
    ):
        path.write_bytes(content)
        assert "not a readable result" in refusal(path.parents[1])


def test_a_key_that_is_there_twice(good: dict[str, Any], path: Path) -> None:
    text = json.dumps(good)
    path.write_text(text.replace('"status": "done"', '"status": "failed", "status": "done"'))
    assert "two values for status" in refusal(path.parents[1])
    path.write_text(text.replace('"test_error":', '"test_error": 0.0, "test_error":'))
    assert "two values for test_error" in refusal(path.parents[1])


def test_what_lies_in_the_place_of_a_file(path: Path) -> None:
    path.mkdir()
    assert "a folder or a device, no file" in refusal(path.parents[1])
    path.rmdir()
    path.symlink_to("nowhere")
    assert "No such file" in refusal(path.parents[1])
    path.unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        assert "a folder or a device, no file" in refusal(path.parents[1])


def at(*keys: str, value: Any) -> Callable[[dict[str, Any]], object]:
    def edit(values: dict[str, Any]) -> None:
        for key in keys[:-1]:
            values = values[key]
        values[keys[-1]] = value

    return edit


def failed(reason: Any) -> Callable[[dict[str, Any]], object]:
    return lambda values: values.update(status="failed", final=None, weights_sha256=None, reason=reason)


FORGED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "schema is a boolean": (at("schema", value=True), "schema is True, not of type int"),
    "schema is a float": (at("schema", value=1.0), "schema is 1.0"),
    "recipe is a list": (at("recipe", value=[1]), r"recipe is \[1\], not of type dict"),
    "recipe is null": (at("recipe", value=None), "recipe is None"),
    "no name": (lambda values: values["recipe"].pop("name"), "not a recipe of this version .*name"),
    "no method": (lambda values: values["recipe"].pop("method"), "not a recipe of this version .*method"),
    "unknown field": (at("recipe", "bogus", value=1), "not a recipe of this version .*bogus"),
    "unknown method": (at("recipe", "method", value="xyz"), "not a recipe of this version .*method='xyz'"),
    "impossible depth": (at("recipe", "depth", value=-3), "not a recipe of this version .*depth=-3"),
    "depth is a text": (at("recipe", "depth", value="9"), "depth='9' must be a whole number"),
    "lr is null": (at("recipe", "lr", value=None), "lr=None must be a number"),
    "name is a number": (at("recipe", "name", value=3), "name=3: letters, digits"),
    "seed is a text": (at("seed", value="0"), "seed is '0', not of type int"),
    "seed is a list": (at("seed", value=[0]), "seed is "),
    "seed is a boolean": (at("seed", value=False), "seed is False"),
    "status is a list": (at("status", value=["done"]), "status is "),
    "status is unknown": (at("status", value="fine"), "status 'fine' is none of done, diverged, failed"),
    "final is a list": (at("final", value=[1.0]), "final is "),
    "final is empty": (at("final", value={}), "final has no train_loss"),
    "error is a text": (at("final", "test_error", value="5"), "final.test_error is '5', not of type float"),
    "error is a boolean": (at("final", "test_error", value=True), "final.test_error is True"),
    "error is huge": (at("final", "test_error", value=10**400), "final.test_error is 1000.*, beyond all floats"),
    "another error than the curve's": (at("final", "test_error", value=1.0), "not those at the end of its curve"),
    "curve is null": (at("curve", value=None), "curve is None"),
    "curve of texts": (at("curve", value=["x"]), r"curve\[0\] is 'x'"),
    "curve is empty": (at("curve", value=[]), "not those at the end of its curve"),
    "curve without an error": (lambda values: values["curve"][0].pop("test_error"), r"curve\[0\] has no test_error"),
    "data is null": (at("data", value=None), "data is None"),
    "data is empty": (at("data", value={}), "data has no name"),
    "hash of the data is a number": (at("data", "sha256", value=4), "data.sha256 is 4"),
    "name of the data is a list": (at("data", "name", value=[1]), "data.name is "),
    "environment is a list": (at("env", value=[]), "env is "),
    "processes is a list": (at("env", "processes", value=[1]), "env.processes is "),
    "parameters is a text": (at("parameters", value="many"), "parameters is 'many'"),
    "reason is a text": (failed("boom"), "reason is 'boom', not of type dict"),
    "reason is empty": (failed({}), "reason has no epoch"),
    "failed without a reason": (failed(None), "final numbers, reason and status do not agree"),
    "done with a reason": (at("reason", value={"epoch": 0, "step": 0, "reason": ""}), "do not agree"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_result_with_a_right_checksum(kind: str, good: dict[str, Any], tmp_path: Path) -> None:
    edit, message = FORGED[kind]
    values = json.loads(json.dumps(good))
    edit(values)
    if isinstance(values["recipe"], dict):
        values["recipe_sha"] = recipe_sha(values["recipe"])
    values["checksum"] = store._checksum(values)
    name = values["recipe"].get("name") if isinstance(values["recipe"], dict) else RECIPE.name
    path = tmp_path / f"{name}-{values['recipe_sha'][:8]}" / f"seed-{values['seed']}.json"
    path.parent.mkdir()
    path.write_text(json.dumps(values))
    with pytest.raises(LabError, match=message):
        results.load(tmp_path)
    assert str(path) in refusal(tmp_path)


def test_a_folder_of_results_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for root in (tmp_path / "file", "~no-such-user-here/results", ""):
        for load in (results.load, lambda root: results.of_recipe(RECIPE, root)):
            with pytest.raises(LabError, match="folder of results"):
                load(root)
    assert results.load(tmp_path / "nothing") == []


def test_a_folder_that_may_not_be_read_is_not_passed_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.listdir

    def guarded(folder: Any = ".") -> list[str]:
        if str(folder) == str(path.parent):
            raise PermissionError(13, "Permission denied", str(folder))
        return whole(folder)

    monkeypatch.setattr(os, "listdir", guarded)
    monkeypatch.setattr(os, "scandir", guarded)
    for load in (lambda: results.load(path.parents[1]), lambda: results.of_recipe(RECIPE, path.parents[1])):
        with pytest.raises(PermissionError, match="forged"):
            load()


def test_every_type_of_a_result_is_stated() -> None:
    assert {f.name for f in dataclasses.fields(results.Result)} == set(store._hints(results.Result))
