"""A wheel, unpacked where no checkout is found: what it holds, and that it shows what a checkout shows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browse
import pytest
from fragments import SLOW, Opener, opener, slider, table
from playwright.sync_api import Browser, expect

DIVERGED = next((browse.ROOT / "book" / "results").glob("cnn16-ws-e4-*")) / "seed-0.json"
BUILT = shutil.ignore_patterns("__pycache__")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel of a copy, since setuptools leaves its work beside what it builds; return the folder it fills."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "copy"
    shutil.copytree(browse.ROOT / "cwn_lite", copy / "cwn_lite", ignore=BUILT)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(browse.ROOT / name, copy)
    quiet = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet")
    pip = [sys.executable, "-m", "pip", "wheel", *quiet, "--wheel-dir", str(folder), str(copy)]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def python(unpacked: Path, cwd: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Python with the unpacked wheel before all that is installed."""
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "PYTHONUTF8": "1"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def ask(unpacked: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run installed.py, away from the checkout and from the folder of this file."""
    script = Path(shutil.copy(Path(__file__).with_name("installed.py"), folder))
    return python(unpacked, folder, script, DIVERGED, folder / "out")


@pytest.fixture(scope="module")
def shown(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Return what an installed library shows, and the folder of its one result."""
    folder = tmp_path_factory.mktemp("user")
    done = ask(unpacked, folder)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["package"] == str(unpacked / "cwn_lite") and answer["checkout"] is None
    return answer, folder / "out"


def test_a_wheel_holds_the_package_and_nothing_else(unpacked: Path) -> None:
    held = {path.relative_to(unpacked) for path in unpacked.rglob("*") if path.is_file()}
    sources = {path for path in (browse.ROOT / "cwn_lite").rglob("*") if path.is_file() and path.suffix != ".pyc"}
    wanted = {path.relative_to(browse.ROOT) for path in sources if path.name != "README.md"}
    (information,) = unpacked.glob("*.dist-info")
    assert {path for path in held if path.parts[0] != information.name} == wanted
    assert {path.suffix for path in wanted} == {".py", ".typed", ".js", ".css", ".json"}


def test_an_installed_figure_is_live(shown: tuple[dict[str, Any], Path]) -> None:
    answer, _ = shown
    assert '<script type="module">' in answer["explorable"] and "export function render(" in answer["explorable"]
    assert ".explorable-stage" in answer["explorable"]
    assert '.quiz fieldset:has([value="1"]:checked) [data-choice="1"]' in answer["quiz"]


def test_an_installed_table_has_the_paper_s_column(shown: tuple[dict[str, Any], Path]) -> None:
    answer, _ = shown
    (row,) = answer["table"].splitlines()[2:]
    assert row.startswith("| BN | cnn-bn-e200 |") and row.endswith("| 0 | – | 1 | 5.36 |")


@pytest.mark.slow
def test_an_installed_command_lists_and_tabulates(
    unpacked: Path, shown: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    answer, out = shown
    listed = python(unpacked, tmp_path, "-m", "cwn_lite.lab", "list", "cnn-bn-e200", "--out", out)
    assert listed.returncode == 0 and "cnn-bn-e200" in listed.stdout, listed.stderr
    tabulated = python(unpacked, tmp_path, "-m", "cwn_lite.lab", "table", "cnn-bn-e200", "--out", out)
    assert tabulated.returncode == 0 and tabulated.stdout.startswith(answer["table"]), tabulated.stderr


@pytest.mark.parametrize("name", ["figures/explorables/quiz.css", "lab/results/paper/table1.json"])
def test_a_file_that_an_installed_package_lacks_is_named(unpacked: Path, tmp_path: Path, name: str) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(unpacked, damaged, ignore=BUILT)
    (damaged / "cwn_lite" / name).unlink()
    done = ask(damaged, tmp_path)
    assert done.returncode == 1 and str(Path("cwn_lite") / name) in done.stderr.splitlines()[-1]


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


@pytest.mark.site
def test_an_installed_figure_answers_in_a_browser(open_page: Opener, shown: tuple[dict[str, Any], Path]) -> None:
    answer, _ = shown
    page = open_page(answer["explorable"], answer["quiz"])
    figure = page.locator("figure.explorable")
    assert not figure.locator(".explorable-static").is_visible()
    before = table(figure)
    slider(figure, "learning rate α").focus()
    page.keyboard.press("ArrowLeft")
    assert table(figure)["moved"] != before["moved"]
    feedback = page.get_by_text("Its square.")
    assert not feedback.is_visible()
    page.get_by_label("yes").check()
    expect(feedback).to_be_visible(timeout=SLOW)
