"""A notebook judged in a process of its own, because chapters set defaults of torch and matplotlib."""

import json
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bookcheck.pages import BOOK
from classroom.child import IMPORTED

Judge = Callable[[dict[str, Any]], list[str]]

# A server that has imported what chapters import, and is forked for each of them.
KIND = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
PROCESSES = multiprocessing.get_context(KIND)


def apart(judge: Judge, path: Path, folder: Path = BOOK, timeout: float = 120) -> list[str]:
    """Return what a judge, a function of some module, finds in a notebook that lies, or might lie, in a folder."""
    PROCESSES.set_forkserver_preload(list(IMPORTED))
    here, there = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_report, args=(judge, path.resolve(), folder, there))
    process.start()
    there.close()
    try:
        problems: list[str] = here.recv() if here.poll(timeout) else [f"{path.name} takes more than {timeout} s"]
    except EOFError:
        process.join()
        problems = [f"{path.name} does not run: its process ended with {process.exitcode}"]
    finally:
        process.kill()
        process.join()
        here.close()
    return problems


def _report(judge: Judge, path: Path, folder: Path, there: Connection) -> None:
    """Send the problems of a notebook."""
    import matplotlib

    matplotlib.use("Agg")
    os.chdir(folder)
    try:
        problems = judge(json.loads(path.read_text(encoding="utf-8")))
    except Exception as error:
        problems = [f"{path.name} does not run: {type(error).__name__}: {error}"]
    there.send(problems)
