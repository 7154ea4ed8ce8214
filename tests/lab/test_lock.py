"""Two processes never work on one cell, and a dead one blocks nobody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cwn_lite.lab.disk import lock

HOLDER = """
import sys, time
from pathlib import Path
sys.modules.update(dict.fromkeys(["torch"]))  # the lock needs none, and it takes seconds
import importlib.util, types
lab = Path(sys.argv[1])
for name, folder in (("cwn_lite", lab.parent), ("cwn_lite.lab", lab)):
    package = types.ModuleType(name); package.__path__ = [str(folder)]; sys.modules[name] = package
from cwn_lite.lab.disk import lock
with lock.hold(Path(sys.argv[2])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(path: Path) -> subprocess.Popen[str]:
    package = str(Path(lock.__file__).parents[1])
    process = subprocess.Popen([sys.executable, "-c", HOLDER, package, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "cell" / "lock"
    with holder(path) as process:
        try:
            with pytest.raises(lock.BusyError, match=rf"another process \(id {process.pid}\)"), lock.hold(path):
                pytest.fail("held twice")
        finally:
            process.kill()
    # Killed, its files still there: free again.
    assert path.with_suffix(".holder").read_text() == f"{process.pid}\n"
    with lock.hold(path):
        assert path.with_suffix(".holder").read_text() == f"{os.getpid()}\n"


def test_free_again_after_the_block_and_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for _ in range(2):
        with pytest.raises(RuntimeError), lock.hold(path):
            raise RuntimeError
