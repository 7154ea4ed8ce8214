"""Copies to take away, run as a stranger would: in an empty folder, with a Python that has no `cwn_lite`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path
from typing import Any

import browse
import pytest

pytestmark = pytest.mark.slow
FAST = {"verdict": 0, "reading": 3}  # exercises
EXECUTE = "from nbclient.cli import main; main()"


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment that sees what is installed here; what an editable install adds is not among it."""
    folder = tmp_path_factory.mktemp("stranger")
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("**/site-packages")
    (packages / "all.pth").write_text(sysconfig.get_path("purelib"), encoding="utf8")
    return next(path for path in (folder / "bin" / "python", folder / "Scripts" / "python.exe") if path.exists())


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with one commit: the checkout as it is, with what is not committed yet."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "cwn_lite", "book"],
        cwd=browse.ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode:
        pytest.skip("not a git checkout: nothing says which files are published")
    folder = tmp_path_factory.mktemp("repository")
    for name in filter(None, listing.stdout.split("\0")):
        if (file := browse.ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / name)
    somebody = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    for step in (["init", "--quiet"], ["add", "--all"], [*somebody, "commit", "--quiet", "--message=now"]):
        subprocess.run(["git", "-C", str(folder), *step], check=True)
    return folder


def run(python: Path, folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment = {**kept, "OMP_NUM_THREADS": "1", **settings}
    command = [str(python), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_the_stranger_has_torch_and_not_the_library(stranger: Path, tmp_path: Path) -> None:
    asked = "from importlib.util import find_spec; print(*(bool(find_spec(x)) for x in ('torch', 'cwn_lite')))"
    assert run(stranger, tmp_path, "-c", asked).stdout.split() == ["True", "False"]


@pytest.mark.parametrize(("chapter", "exercises"), FAST.items())
def test_a_copy_runs_alone(stranger: Path, repository: Path, tmp_path: Path, chapter: str, exercises: int) -> None:
    for kind in ("exercises", "solved"):
        made = browse.HTML / "notebooks" / kind / f"{chapter}.ipynb"
        if not made.is_file():
            pytest.skip("the book is not built: run `make book`")
        shutil.copy(made, tmp_path / f"{kind}.ipynb")
        done = run(stranger, tmp_path, "-c", EXECUTE, f"{kind}.ipynb", "--output=done", BOOK_REPOSITORY=str(repository))
        assert done.returncode == 0, done.stderr
        notebook = json.loads((tmp_path / "done.ipynb").read_text(encoding="utf8"))
        assert f"Working in {tmp_path / 'cwn_lite-newest' / 'book'}" in printed(notebook["cells"][0])
        graders = [printed(cell) for cell in notebook["cells"] if "grader" in cell["metadata"].get("tags", [])]
        wanted = "not yet solved: " if kind == "exercises" else "correct"
        assert len(graders) == exercises and all(text.startswith(wanted) for text in graders)
        assert not [text for cell in notebook["cells"] for text in shown(cell) if "}`" in text or ".ipynb)" in text]


def test_what_is_missing_is_said(stranger: Path, tmp_path: Path) -> None:
    first = (browse.ROOT / "book" / "_ext" / "alone.py").read_text(encoding="utf8")
    done = run(stranger, tmp_path, "-c", f'{first}\nenter_book("", "", ["torch"])')
    assert done.returncode == 1 and "set BOOK_REPOSITORY" in done.stderr
    done = run(stranger, tmp_path, "-c", f'{first}\nenter_book("{tmp_path.as_posix()}/gone", "12ab", [])')
    assert done.returncode == 1 and "fetch" in done.stderr
    assert not [*tmp_path.iterdir()], "an interrupted clone leaves nothing"


def test_a_checkout_around_is_used(stranger: Path, repository: Path) -> None:
    first = (browse.ROOT / "book" / "_ext" / "alone.py").read_text(encoding="utf8")
    done = run(stranger, repository / "book", "-c", f'{first}\nenter_book("", "", [])\nimport cwn_lite')
    assert done.stdout == f"Working in {repository / 'book'}\n", done.stderr


def printed(cell: dict[str, Any]) -> str:
    return "".join("".join(output.get("text", "")) for output in cell.get("outputs", []))


def shown(cell: dict[str, Any]) -> list[str]:
    return ["".join(output.get("data", {}).get("text/markdown", "")) for output in cell.get("outputs", [])]
