"""A disk that is full or may not be written: the error names the file, and nothing is half-written."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from cwn_lite.lab import recipes, results
from cwn_lite.lab.__main__ import main
from cwn_lite.lab.disk import checkpoint, files
from cwn_lite.lab.results import provenance
from cwn_lite.lab.training import Trainer

RECIPE = recipes.get("digits-bn").but(name="digits-bn-quick", epochs=1, width=4)
CODES = [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO]


class Full(io.FileIO):
    """A file of which ten bytes fit on the disk."""

    code = errno.ENOSPC

    def write(self, data: Any) -> int:
        super().write(bytes(data)[:10])
        raise OSError(self.code, os.strerror(self.code))


def fill_up(monkeypatch: pytest.MonkeyPatch, part: str, code: int) -> None:
    """Let the disk be full for all files with ``part`` in their names."""
    whole = Path.open
    monkeypatch.setattr(Full, "code", code)

    def opened(self: Path, mode: str = "r", *arguments: Any, **settings: Any) -> Any:
        if "w" in mode and part in self.name:
            return Full(self, "w")
        return whole(self, mode, *arguments, **settings)

    monkeypatch.setattr(Path, "open", opened)


class Lab:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.out, self.runs, self.capsys = folder / "out", folder / "runs", capsys
        self.cell = self.runs / RECIPE.directory / "seed-0"
        self.result = results.path_of(self.out, RECIPE.directory, 0)

    def fails(self, *settings: str) -> str:
        given = ["run", RECIPE.name, "--out", str(self.out), "--runs", str(self.runs), "--threads", "1", "--quiet"]
        assert main([*given, "--device", "cpu", *settings]) == 2
        captured = self.capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1
        assert not self.result.exists() and not list(self.out.parent.rglob("*.tmp"))
        return captured.err


@pytest.fixture
def lab(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setitem(recipes.RECIPES, RECIPE.name, RECIPE)
    return Lab(tmp_path, capsys)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("part", ["probe", "checkpoint", "seed-0.json", ".gitignore"])
def test_the_error_names_the_file(part: str, code: int, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    path = {
        "probe": lab.out / RECIPE.directory,
        "checkpoint": lab.cell / "checkpoint",
        "seed-0.json": lab.result,
        ".gitignore": lab.runs / ".gitignore",
    }[part]
    fill_up(monkeypatch, part, code)
    assert lab.fails() == f"error: {path}: {os.strerror(code)}\n"
    assert path.is_dir() or not path.exists()


def test_a_checkpoint_outlives_a_full_disk(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_up(monkeypatch, "seed-0.json", errno.ENOSPC)
    lab.fails()
    before = (lab.cell / "checkpoint").read_bytes()
    monkeypatch.setattr(Trainer, "step", lambda self: pytest.fail("the checkpoint holds a run that is done"))
    lab.fails()
    assert (lab.cell / "checkpoint").read_bytes() == before


@pytest.mark.parametrize("code", CODES)
def test_a_lock_that_cannot_be_written(code: int, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: Any) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(FileLock, "acquire", refused)
    assert lab.fails() == f"error: {lab.cell / 'lock'}: {os.strerror(code)}\n"


def test_a_traceback_that_cannot_be_written(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "evaluate", lambda self: 1 / 0)
    fill_up(monkeypatch, "traceback", errno.ENOSPC)
    assert lab.fails() == f"error: {lab.cell / 'traceback.txt'}: No space left on device\n"
    assert not (lab.cell / "traceback.txt").exists()


@pytest.mark.parametrize("call", ["link", "fsync"])
def test_other_calls_that_fail(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: Any) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), *(str(a) for a in arguments if isinstance(a, Path)))

    monkeypatch.setattr(os, call, refused)
    with pytest.raises(PermissionError) as error:
        files.write_atomically(tmp_path / "a" / "file", b"content", overwrite=False)
    assert error.value.filename == str(tmp_path / "a" / "file")
    assert not list((tmp_path / "a").iterdir())


@pytest.fixture(params=[errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP])
def no_links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A FAT stick or a network share."""

    def refused(*arguments: Any) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(os, "link", refused)


@pytest.mark.usefixtures("no_links")
def test_a_run_is_published_where_there_are_no_hard_links(lab: Lab) -> None:
    settings = ["--out", str(lab.out), "--runs", str(lab.runs), "--threads", "1", "--quiet", "--device", "cpu"]
    assert main(["run", RECIPE.name, *settings]) == 0
    assert results.read(lab.result).status == "done"
    assert [path.name for path in lab.result.parent.iterdir()] == ["seed-0.json"]


@pytest.mark.usefixtures("no_links")
def test_nothing_is_replaced_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    files.write_atomically(path, b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        files.write_atomically(path, b"second", overwrite=False)
    assert path.read_bytes() == b"first" and list(tmp_path.iterdir()) == [path]

    def broken(self: Path, target: Path) -> None:
        raise OSError(errno.EIO, "the stick was pulled out")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="pulled out"):
        files.write_atomically(tmp_path / "other", b"content", overwrite=False)
    assert list(tmp_path.iterdir()) == [path], "a name that was taken in vain is given back"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_the_end(
    overwrite: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut leaves an empty file, or none after the checkpoint is gone."""
    real, seen = os.fsync, []

    def synced(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}")
        seen.append(("folder" if path.is_dir() else "draft", (tmp_path / "file").exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", synced)
    files.write_atomically(tmp_path / "file", b"content", overwrite=overwrite)
    assert seen == [("draft", False), ("folder", True)]


def test_a_folder_that_knows_no_fsync_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def of_files_only(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").is_dir():
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(handle)

    monkeypatch.setattr(os, "fsync", of_files_only)
    files.write_atomically(tmp_path / "file", b"content", overwrite=False)
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_folder_is_tried_as_it_will_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before hours of work: writing and publishing, also where a killed process of the same id left its own try."""
    files.check_writable(tmp_path)
    (tmp_path / f".probe.{os.getpid()}.published").write_text("left")
    files.check_writable(tmp_path)
    assert not list(tmp_path.iterdir())

    def refused(*arguments: Any) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(PermissionError):
        files.check_writable(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_swept_away(lab: Lab) -> None:
    lab.cell.mkdir(parents=True)
    (lab.cell / ".checkpoint.99999.tmp").write_bytes(b"half")
    settings = ["--out", str(lab.out), "--runs", str(lab.runs), "--threads", "1", "--quiet", "--device", "cpu"]
    assert main(["run", RECIPE.name, *settings]) == 0
    assert not list(lab.runs.rglob("*.tmp"))


def test_the_systems_own_limit(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits on files are for POSIX systems")
    path = tmp_path / "checkpoint"
    checkpoint.save(path, {"few": 1}, {})
    before, limit = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit[1]))
    try:
        with pytest.raises(OSError, match="checkpoint"):
            checkpoint.save(path, {"much": list(range(50_000))}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def lab_into(stdout: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(provenance.PACKAGE.parent)}
    command = [sys.executable, "-m", "cwn_lite.lab", "list"]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment, timeout=120)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_output_onto_a_full_disk() -> None:
    with Path("/dev/full").open("w") as full:
        done = lab_into(full)
    assert (done.returncode, done.stderr) == (2, "error: standard output: No space left on device\n")


def test_output_that_nobody_reads() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = lab_into(writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
