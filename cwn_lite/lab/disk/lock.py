"""One process per cell: a lock file that the system releases when its holder dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import LabError
from .files import naming


class BusyError(LabError):
    """Another process works on this cell."""


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a lock file for the duration of the block; beside it stands who holds it.

    The lock is the system's, not the file's existence: a file left by a killed process does not block.

    Args:
        path: the lock file; its folder is made, the file stays.

    Raises:
        BusyError: another process holds it; the text names that process.
        OSError: it cannot be written or locked; the error names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.with_suffix(".holder")
    lock = FileLock(path, timeout=0)
    with naming(path):
        try:
            lock.acquire()
        except Timeout:
            pid = holder.read_text(errors="replace").strip() if holder.exists() else "unknown"
            raise BusyError(f"another process (id {pid}) works on this run; it holds {path}") from None
    try:
        with naming(holder):
            holder.write_text(f"{os.getpid()}\n")
        yield
    finally:
        lock.release()
