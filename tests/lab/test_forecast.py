"""How long a fill will take: by other seeds of the recipe, at this machine's pace, else by what was trained here."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from cwn_lite.lab import Recipe
from cwn_lite.lab.__main__ import main
from cwn_lite.lab.cells.fill import Cell, Forecast
from cwn_lite.lab.recipes import get

ONE = Recipe.of(name="one", method="bn")
TWO = ONE.but(name="two", lr=0.2)


def ran(recipe: Recipe, seconds: float, status: str = "done") -> Any:
    return SimpleNamespace(name=recipe.name, recipe_sha=recipe.sha, wall_s=seconds, status=status)


def test_other_seeds_of_a_recipe_tell() -> None:
    forecast = Forecast([ran(ONE, 100.0), ran(ONE, 140.0), ran(TWO, 10.0)])
    assert forecast.seconds([Cell(ONE, 5), Cell(TWO, 5), Cell(TWO, 6)]) == 140.0


def test_recorded_times_are_scaled_to_this_machine() -> None:
    forecast = Forecast([ran(ONE, 100.0), ran(ONE, 140.0), ran(TWO, 10.0)])
    forecast.add(ran(TWO, 30.0))
    assert forecast.seconds([Cell(TWO, 6)]) == 30.0
    assert forecast.seconds([Cell(ONE, 5)]) == 360.0
    forecast.add(ran(ONE, 1.0, "diverged"))
    assert forecast.seconds([Cell(TWO, 6)]) == 30.0, "how soon a run ended is no pace"


def test_what_was_trained_here_stands_in_for_the_unknown() -> None:
    forecast = Forecast([])
    assert forecast.seconds([Cell(ONE, 0)]) is None
    forecast.add(ran(TWO, 50.0))
    assert forecast.seconds([Cell(ONE, 0), Cell(TWO, 1)]) == 100.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "an unknown time"), (1, "1 min"), (60, "1 min"), (3541, "1 h 0 min"), (7300, "2 h 2 min")],
)
def test_words(seconds: float | None, words: str) -> None:
    assert Forecast.words(seconds) == words


@pytest.mark.skipif(os.name != "posix", reason="closes streams by a shell")
def test_a_daemon_without_streams_trains_all_the_same(tmp_path: Any) -> None:
    folders = ["--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    fill = ["fill", "--minutes", "9", "--seeds", "1", "--only", "digits-plain", "--threads", "1", "--device", "cpu"]
    lab = [sys.executable, "-m", "cwn_lite.lab", *fill, *folders]
    assert subprocess.run(["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *lab], check=False).returncode == 0
    (written,) = (tmp_path / "out").glob("*/seed-0.json")
    assert '"status": "done"' in written.read_text(encoding="utf-8")


def test_a_damaged_result_is_said(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out" / get("digits-plain").directory
    folder.mkdir(parents=True)
    (folder / "seed-0.json").write_text('{"schema": 1', encoding="utf-8")
    folders = ["--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    assert main(["fill", "--minutes", "9", "--seeds", "1", "--only", "digits-plain", "--device", "cpu", *folders]) == 0
    said = capsys.readouterr()
    assert "0 cells left" in said.out and "going on, but" in said.err and "seed-0.json" in said.err


def test_the_log_says_what_is_left(
    tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    monkeypatch.setattr(os, "nice", given.append, raising=False)
    folders = ["--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    fill = ["fill", "--minutes", "9", "--seeds", "2", "--only", "digits-plain", "--nice", "--quiet", "--threads", "1"]
    assert main([*fill, *folders, "--device", "cpu"]) == 0
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first.endswith("(1 to go, about 1 min)") and second.endswith("(the last)")
    assert given == [10]
