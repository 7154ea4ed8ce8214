"""One process per cell: a lock file that the system releases when its holder dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import LabError
from .files import naming

# Nobody writes this far; Windows locks a range of bytes and would else hide the process id from readers.
_FAR = 1 << 30


class BusyError(LabError):
    """Another process works on this cell."""


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a lock file, with this process's id in it, for the duration of the block.

    The lock is the system's, not the file's existence: a file left by a killed process does not block.

    Args:
        path: the lock file; its folder is made, the file stays.

    Raises:
        BusyError: another process holds it; the text names that process.
        OSError: it cannot be written or locked; the error names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with naming(path):
            if not _try_lock(handle):
                holder = path.read_text(errors="replace").strip() or "unknown"
                raise BusyError(f"another process (id {holder}) works on this run; it holds {path}")
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        os.lseek(handle, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
