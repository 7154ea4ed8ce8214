"""kill -9 at any moment, start again: the result is that of an undisturbed run, bit for bit."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cwn_lite.lab import results
from cwn_lite.lab.results import Result, provenance

KILLS = 20


class Runs:
    """Starts runs through killed_run.py."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.stdin, self.stdout = process.stdin, process.stdout
        assert self.stdout.readline() == "ready\n"

    def start(self, folder: Path, checkpoint_s: float) -> int:
        print(folder, checkpoint_s, file=self.stdin, flush=True)
        return int(self.stdout.readline())

    def wait(self) -> int:
        print("wait", file=self.stdin, flush=True)
        return int(self.stdout.readline())


@pytest.fixture
def runs() -> Iterator[Runs]:
    script = Path(__file__).with_name("killed_run.py")
    environment = {**os.environ, "PYTHONPATH": str(provenance.PACKAGE.parent)}
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Runs(process)
        process.kill()


def only_result(folder: Path) -> Result:
    (result,) = results.load(folder / "out")
    return result


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_killed_at_random_moments(tmp_path: Path, runs: Runs) -> None:
    begun = time.monotonic()
    runs.start(tmp_path / "whole", 1e9)
    assert runs.wait() == 0
    duration = time.monotonic() - begun
    whole = only_result(tmp_path / "whole")
    assert whole.status == "done" and len(whole.sessions) == 1

    killed = resumed = 0
    moments = random.Random(time.time_ns())
    for folder in (tmp_path / f"killed-{k}" for k in range(100)):
        # Checkpoints at each step and at each epoch in turn: the blow falls on training and on writing.
        checkpoint_s, status = 0.0, -1
        while status:
            child = runs.start(folder, checkpoint_s)
            if killed < KILLS:
                time.sleep(moments.uniform(0, 0.7) * duration)
                os.kill(child, signal.SIGKILL)
            status = runs.wait()
            assert status in (0, -signal.SIGKILL)
            killed += status != 0
            checkpoint_s = 1e9 - checkpoint_s
        result = only_result(folder)
        assert result.curve == whole.curve
        assert result.final == whole.final
        assert result.weights_sha256 == whole.weights_sha256
        resumed += len(result.sessions) > 1
        if killed >= KILLS:
            break
    assert killed >= KILLS and resumed >= 1
