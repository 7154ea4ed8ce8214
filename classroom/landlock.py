"""The kernel's part of the fence: on Linux, a process gives up all files but those it names (Landlock).

Python's hook does not see what a library opens in C. The kernel does, and no code in the process can take this back.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

CREATE, ADD, RESTRICT = 444, 445, 446  # system calls, the same on all processors
NO_NEW_PRIVILEGES = 38
EXECUTE, WRITE, READ, LIST, TRUNCATE = (1 << bit for bit in (0, 1, 2, 3, 14))
RIGHTS_OF = {1: 13, 2: 14, 3: 15}  # version of the interface -> how many rights on files it knows
BIND_OR_CONNECT = 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version() -> int:
    """Return the version of the interface that the kernel offers; 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(int(ctypes.CDLL(None).syscall(CREATE, None, ctypes.c_size_t(0), 1)), 0)


def confine(readable: Iterable[str | Path], writable: Iterable[str | Path]) -> bool:
    """Leave this thread, and what it starts, these paths and no other; no TCP either, from version 4 on.

    Returns:
        Whether the kernel can do that; if not, nothing is changed.

    Raises:
        OSError: the kernel can, and has refused.
    """
    known = version()
    if not known:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    every = (1 << RIGHTS_OF[min(known, 3)]) - 1
    rules = _Ruleset(every, BIND_OR_CONNECT if known >= 4 else 0)
    size = ctypes.sizeof(rules) if known >= 4 else 8
    ruleset = _call(libc, CREATE, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    try:
        for paths, rights in ((readable, EXECUTE | READ | LIST), (writable, every)):
            for path in paths:
                _allow(libc, ruleset, Path(path), rights & every)
        if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        _call(libc, RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return True


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        rights &= EXECUTE | WRITE | READ | TRUNCATE
    folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        _call(libc, ADD, ruleset, 1, ctypes.byref(_Beneath(rights, folder)), 0)
    finally:
        os.close(folder)


def _call(libc: ctypes.CDLL, number: int, *arguments: object) -> int:
    result = int(libc.syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return result
