"""Which code ran: the commit of the package's own repository, or nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cwn_lite.lab.results import provenance


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if shutil.which("git") is None:
        pytest.skip("no git here")
    folder = tmp_path / "cwn_lite"
    (folder / "lab").mkdir(parents=True)
    for name in ("__init__.py", "lab/__init__.py"):
        (folder / name).write_text("")
    monkeypatch.setattr(provenance, "PACKAGE", folder)
    return folder


def test_commit_and_dirtiness(package: Path) -> None:
    assert provenance.source()["commit"] is None and provenance.source()["dirty"] is None
    git(package.parent, "init", "-q")
    assert provenance.source()["commit"] is None  # in a repository, but not part of it
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-qm", "first")
    assert provenance.source()["commit"] == git(package, "rev-parse", "HEAD")
    assert provenance.source()["dirty"] is False
    (package.parent / "seed-0.json").write_text("a result beside the package")
    assert provenance.source()["dirty"] is False
    (package / "lab" / "__init__.py").write_text("x = 1\n")
    assert provenance.source()["dirty"] is True


def test_library_hash_follows_the_sources_only(package: Path) -> None:
    first = provenance.library_sha()
    (package / "notes.txt").write_text("no code")
    (package / "__init__.py").write_text("")
    assert provenance.library_sha() == first
    (package / "lab" / "__init__.py").write_text("x = 1\n")
    second = provenance.library_sha()
    assert second != first
    (package / "lab" / "__init__.py").write_bytes(b"x = 1\r\n")  # a checkout on Windows
    assert provenance.library_sha() == second
    (package / "lab" / "nets").mkdir()
    (package / "lab" / "nets" / "blocks.py").write_text("x = 1\n")
    third = provenance.library_sha()
    assert third != second
    (package / "lab" / "nets" / "blocks.py").write_text("x = 2\n")
    assert provenance.library_sha() != third


def test_environment_is_plain_values() -> None:
    env = provenance.environment(torch.device("cpu"))
    assert {type(value) for value in env.values()} <= {str, int, bool, type(None)}
    assert env["python"] == ".".join(map(str, sys.version_info[:3])) and env["precision"] == "float32"
