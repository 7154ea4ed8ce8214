"""Fills at the same time: no cell twice, none lost, also when one of them is killed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cwn_lite.lab import recipes, results
from cwn_lite.lab.results import provenance

# Weight Standardization alone diverges in its first steps at rates of 0.1 and 1; at 0.01 two starts of three train on.
SHORT = "grid-ws-l*[!0]1-*-d6"
LONG = "grid-ws-lr0.01-wd0-*-d6"
SEEDS = 2


started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    """A test that fails leaves no fill behind, which would train on; and `nohup pytest` is no `nohup` of theirs."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
    while started:
        with started.pop() as process, suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def fill(folder: Path, pattern: str, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cwn_lite.lab", "fill", "--minutes", "10", "--only", pattern]
    command += ["--seeds", str(SEEDS), "--out", str(folder / "out"), "--runs", str(folder / "runs")]
    command += ["--device", "cpu", "--threads", "1", "--quiet", *more]
    environment = {**os.environ, "PYTHONPATH": str(provenance.PACKAGE.parent)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    started.append(process)
    return process


def wanted(pattern: str) -> set[tuple[str, int]]:
    return {(recipe.name, seed) for recipe in recipes.select(pattern) for seed in range(SEEDS)}


def ended(output: str) -> Counter[tuple[str, int]]:
    """Cells that a fill says it ran to their end."""
    return Counter((name, int(seed)) for name, seed in re.findall(r"^(\S+) seed (\d+), ", output, re.MULTILINE))


@pytest.mark.slow
def test_two_jobs_share_the_cells(tmp_path: Path) -> None:
    process = fill(tmp_path, SHORT, "--jobs", "2")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "error:" not in err, err  # a cell that is run twice has a result already when it ends
    assert ended(out) == Counter(wanted(SHORT)), f"a cell was run twice, or not at all:\n{out}\n{err}"
    assert {(r.name, r.seed) for r in results.load(tmp_path / "out")} == wanted(SHORT)
    assert out.count(" left\n") == 2  # both had a say


@pytest.mark.slow
def test_a_killed_fill_loses_nothing(tmp_path: Path) -> None:
    doomed, other = fill(tmp_path, LONG), fill(tmp_path, LONG)
    while not list((tmp_path / "runs").glob("*/seed-*/lock")):
        assert doomed.poll() is None
        time.sleep(0.02)
    time.sleep(0.3)
    doomed.send_signal(signal.SIGKILL)
    other.communicate(timeout=300)
    doomed.communicate()
    assert other.returncode == 0
    last = fill(tmp_path, LONG)
    last.communicate(timeout=300)
    assert {(r.name, r.seed) for r in results.load(tmp_path / "out")} == wanted(LONG)
    assert not list((tmp_path / "runs").rglob("checkpoint"))


@pytest.mark.slow
# `kill` reaches the parent alone, a terminal that is closed all of its processes.
@pytest.mark.parametrize(("send", "number"), [(os.kill, signal.SIGTERM), (os.killpg, signal.SIGHUP)])
def test_ending_the_parent_ends_its_jobs_with_checkpoints(
    send: Callable[[int, int], None], number: int, tmp_path: Path
) -> None:
    process = fill(tmp_path, "late-bn-*", "--jobs", "2", "--checkpoint-minutes", "0")
    while len(list((tmp_path / "runs").glob("*/seed-*/checkpoint"))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    send(process.pid, number)
    out, _ = process.communicate(timeout=60)  # the pipe closes when the last of them is gone
    assert process.returncode == 130
    assert out.count("goes on from its checkpoint") == 2
    assert len(list((tmp_path / "runs").rglob("checkpoint"))) == 2


@pytest.mark.slow
def test_a_job_that_was_killed_is_no_success(tmp_path: Path) -> None:
    process = fill(tmp_path, "late-bn-*", "--jobs", "2", "--checkpoint-minutes", "0")
    while len(holders := list((tmp_path / "runs").glob("*/seed-*/lock.holder"))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.2)
    os.kill(int(holders[0].read_text()), signal.SIGKILL)
    time.sleep(0.2)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode != 0
