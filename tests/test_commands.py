"""The commands do the work once and only once: the Makefile and `.ci/run`, on a project of stubs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
STUB = '#!/bin/sh\necho "$(basename "$0") $*" >> calls\n'
FILES = (
    "requirements.txt",
    "pyproject.toml",
    "CHANGELOG.md",
    "_config.yml",
    "_toc.yml",
    "book/a.md",
    "cwn_lite/a.py",
    "cwn_lite/lab/t.json",
)


def stub(path: Path, script: str = STUB) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script, encoding="utf8")
    path.chmod(0o755)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "book" / "assets").mkdir(parents=True)
    (tmp_path / "book" / "assets" / "front-door.html").touch()
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one", encoding="utf8")
    for tool in ("python", "jupyter-book", "ruff", "mypy", "zizmor"):
        stub(tmp_path / ".venv" / "bin" / tool)
    return tmp_path


def make(project: Path, *arguments: str) -> list[str]:
    """Run make; return the tools it called."""
    (project / "calls").unlink(missing_ok=True)
    run = ["make", f"PYTHON={sys.executable}", *arguments]
    done = subprocess.run(run, cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    calls = project / "calls"
    return calls.read_text(encoding="utf8").splitlines() if calls.exists() else []


# Notebooks whose code is cached are not executed by either.
BUILD = [
    "python book/_ext/execute.py --workers 2",
    "jupyter-book build . -W -n --keep-going",
    "python book/_ext/front_door.py _build/html",
]


def cached(project: Path) -> bool:
    return (project / "_build" / ".jupyter_cache").exists()


def built(project: Path) -> Path:
    """Build once, and leave what the build would leave."""
    assert [call.split()[0] for call in make(project, "book")] == [
        "python",
        "python",
        "python",
        "jupyter-book",
        "python",
    ]
    (project / "_build" / ".jupyter_cache").mkdir()
    return project


def test_the_second_build_does_nothing(project: Path) -> None:
    assert make(built(project), "book") == [] and cached(project)


def test_a_new_date_is_no_change(project: Path) -> None:
    built(project)
    for name in FILES:
        if name not in ("requirements.txt", "pyproject.toml"):
            os.utime(project / name)
    assert make(project, "book") == [] and cached(project)


@pytest.mark.parametrize("name", ["book/a.md", "CHANGELOG.md", "_config.yml", "_toc.yml"])
def test_a_changed_page_builds_and_executes_nothing_anew(project: Path, name: str) -> None:
    (built(project) / name).write_text("two", encoding="utf8")
    assert make(project, "book") == BUILD and cached(project)


@pytest.mark.parametrize("name", ["cwn_lite/a.py", "cwn_lite/lab/t.json", "book/results/r/seed-0.json"])
def test_a_changed_library_or_result_executes_the_chapters_anew(project: Path, name: str) -> None:
    path = built(project) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("two", encoding="utf8")
    assert make(project, "book") == BUILD and not cached(project)


def test_a_deleted_module_executes_the_chapters_anew(project: Path) -> None:
    (built(project) / "cwn_lite" / "a.py").unlink()
    assert make(project, "book") != [] and not cached(project)


def test_another_home_builds_the_pages_anew(project: Path) -> None:
    built(project)
    assert make(project, "book", "REPOSITORY_URL=https://example.org/fork") == BUILD and cached(project)
    assert make(project, "book", "REPOSITORY_URL=https://example.org/fork") == []


def test_a_failed_build_is_tried_again(project: Path) -> None:
    stub(project / ".venv/bin/jupyter-book", STUB + "exit 1\n")
    with pytest.raises(AssertionError):
        make(project, "book")
    stub(project / ".venv/bin/jupyter-book")
    assert make(project, "book") == BUILD


def test_what_is_taken_along_is_made_from_the_pages(project: Path) -> None:
    commands = {
        "pdf": ["python book/_ext/one_pdf.py _build/html", "python book/_ext/downloads.py offer _build/html"],
        "zip": ["python book/_ext/downloads.py pack _build/html"],
    }
    built(project)
    for command, calls in commands.items():
        assert make(project, command) == calls and cached(project)
    (project / "book/a.md").write_text("two", encoding="utf8")
    assert make(project, "zip") == [*BUILD, *commands["zip"]]


def test_the_book_without_solutions_is_another_book(project: Path) -> None:
    (project / "book" / "a.ipynb").touch()
    calls = make(built(project), "book", "SOLUTIONS=0")
    assert calls == [
        "python book/_ext/course.py write _build/course",
        "python _build/course/book/_ext/execute.py --workers 2 _build/course/book/a.ipynb",
        "jupyter-book build _build/course -W -n --keep-going",
        "python book/_ext/course.py check _build/course/_build/html",
    ]
    assert make(project, "book", "SOLUTIONS=0") == [] and make(project, "book") == [] and cached(project)


def test_a_site_that_holds_a_solution_fails(project: Path) -> None:
    built(project)
    stub(project / ".venv/bin/python", STUB + 'case "$*" in *check*) exit 1; esac\n')
    for _ in range(2):
        with pytest.raises(AssertionError):
            make(project, "book", "SOLUTIONS=0")


def test_notebooks_run_on_three_kinds_of_arithmetic(project: Path) -> None:
    (project / "book" / "a.ipynb").touch()
    assert "python book/_ext/execute.py --workers 2 book/a.ipynb" in make(project, "book")  # on the processor's own
    calls = make(project, "arithmetic")
    for call, kind in zip(calls, ("plain", "avx2"), strict=True):
        assert "-m pytest" in call and "--nbval " in call and f"--arithmetic {kind} " in call and "book/a.ipynb" in call
    assert make(project, "arithmetic", "ARITHMETIC=avx2") == calls[1:]
    workflow = (ROOT / ".github" / "workflows" / "arithmetic.yml").read_text(encoding="utf8")
    assert "run: make arithmetic" in workflow and "kind: [plain, avx2]" in workflow


def test_a_changed_lock_is_installed(project: Path) -> None:
    built(project)
    (project / "requirements.txt").write_text("two", encoding="utf8")
    os.utime(project / "requirements.txt", (2**31, 2**31))
    assert make(project, "lint")[0].startswith("python -m pip install")


def test_an_old_python_is_named(project: Path) -> None:
    stub(project / "old", '#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.8.1" || exit 1\n')
    done = subprocess.run(["make", "book", "PYTHON=./old"], cwd=project, capture_output=True, text=True)
    assert done.returncode != 0
    assert "need Python 3.11 or newer; './old' is Python 3.8.1" in done.stdout
    assert "make book PYTHON=" in done.stdout


@pytest.mark.parametrize(
    ("log", "status", "last"),
    [
        ("= 12 passed in 1.00s =", 0, "12 passed, 0 failed"),
        ("=== 12 passed, 2 skipped in 61.00s (0:01:01) ===", 0, "12 passed, 0 failed, 2 skipped"),
        ("= 1 failed, 2 passed, 1 error in 9.1s =\n== 5 passed in 1.0s ==", 2, "7 passed, 2 failed"),
        ("= 3 passed, 1 xfailed, 1 warning in 0.1s =", 0, "4 passed, 0 failed"),
        ("lint went wrong", 2, "0 passed, 0 failed"),
    ],
)
def test_the_last_line_counts(tmp_path: Path, log: str, status: int, last: str) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    stub(tmp_path / "bin" / "make", f"#!/bin/sh\ncat <<'END'\n{log}\nEND\nexit {status}\n")
    stub(tmp_path / "bin" / "chromium")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([tmp_path / ".ci" / "run"], env={"PATH": path}, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == last
    assert done.returncode == status


def test_long_files_come_first(pytestconfig: pytest.Config) -> None:
    """Whole and in their order; processes that share a run take them one after the other."""
    conftest = pytestconfig.pluginmanager.get_plugin(str(ROOT / "conftest.py"))
    assert conftest is not None
    notebook, other = SimpleNamespace(skip_compare=()), SimpleNamespace()

    def item(path: str, *marks: str, parent: object = other) -> SimpleNamespace:
        return SimpleNamespace(path=path, parent=parent, get_closest_marker=lambda name: name in marks)

    short, slow, site, cell = item("a"), item("b", "slow"), item("c", "site"), item("n", parent=notebook)
    same = item("b")  # a short one in the file of a long one
    items = [short, same, slow, site, cell]
    conftest.pytest_collection_modifyitems(items)
    assert items == [cell, same, slow, site, short]
