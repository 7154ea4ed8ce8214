"""What a student's code may not do while it is graded: read solutions, leave its folder, start programs, call out.

A hook of Python's own auditing sees each attempt, refuses and reports it. Behind it stand the limits of the operating
system and, on Linux, its refusal to open any other file. Still, checks run in one process with what they check: code
that is out to forge its marks may find a way. Grade exams in a container, and read the answers.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from . import ROOT
from .landlock import confine

# Of the checkout, code under test may read the library and the data, but no notebook.
READABLE = tuple(ROOT / name for name in ("cwn_lite", "classroom", ".venv", "book/results", "book/costs", "book/since"))
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
ON_FILES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn")
NETWORK = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto")
INWARDS = ("ctypes.dlopen", "ctypes.dlsym", "gc.get_objects", "gc.get_referrers", "sys._getframe", "sys.addaudithook")
FRAMES = ("tb_frame", "gi_frame", "cr_frame", "ag_frame")
BY_WAY_OF = ("ctypes", "inspect.py", "traceback.py")  # whose callers are meant where they look inwards
SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev/urandom")
MOST_FILES = 200
GIT = ["git", "-C", str(ROOT / "cwn_lite")]  # the lab asks which commit it is, and lives with no answer


@dataclass(frozen=True)
class Limits:
    """What the code of one exercise may use.

    seconds: for one exercise. memory: megabytes on top of the chapter's set-up. file: megabytes of one file.
    setup: seconds for the chapter's set-up, which is the book's own.
    """

    seconds: float = 120.0
    memory: int = 2048
    file: int = 16
    setup: float = 180.0


def set_limits(limits: Limits, exercises: int) -> None:
    """Limit this process: its memory (on Linux), the size of files, how many are open, and its time on a processor."""
    _lower(resource.RLIMIT_FSIZE, limits.file * 2**20)
    _lower(resource.RLIMIT_NOFILE, 256)
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + limits.seconds * exercises) + 60)
    sizes = Path("/proc/self/statm")
    if sizes.is_file():
        taken = int(sizes.read_text().split()[0]) * resource.getpagesize()
        _lower(resource.RLIMIT_AS, taken + limits.memory * 2**20)


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (wanted, wanted))


def enter(folder: Path) -> None:
    """Make a folder the place where this process works and keeps its own files."""
    os.chdir(folder)
    os.environ.update(HOME=str(folder), TMPDIR=str(folder), MPLBACKEND="Agg", MPLCONFIGDIR=str(folder))
    tempfile.tempdir = str(folder)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)


def confine_to(folder: Path) -> bool:
    """Let the kernel refuse all files but Python's, the library's and those in a folder, where it can."""
    libraries = {os.path.realpath(place) for place in (sys.prefix, sys.base_prefix, *_installed())}
    return confine((*SYSTEM, *READABLE, *sorted(libraries)), (folder, os.devnull))


def _installed() -> list[str]:
    """Folders that modules come from, other than those of the checkout."""
    return [place for place in sys.path if place and not _inside(os.path.realpath(place), ROOT)]


class RefusedError(PermissionError):
    """Raised in code that tried what it may not."""


class Fence:
    """The hook: from `close` on, it refuses and reports. There is no way to take it down again."""

    def __init__(self, work: Path) -> None:
        self.work = os.path.realpath(work)
        self.reports: list[str] = []
        self.closed = False
        self._busy = False
        self._written: set[str] = set()
        sys.addaudithook(self._hook)

    def close(self) -> None:
        """Begin to refuse."""
        self.closed = True

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.closed or self._busy:
            return
        self._busy = True
        try:
            report = self._judge(event, arguments)
        finally:
            self._busy = False
        if report is not None:
            if report and report not in self.reports:
                self.reports.append(report)
            raise RefusedError(report or "not while grading")

    def _judge(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        """Return what was tried, if it is refused; an empty text where nobody is to blame."""
        if event == "open":
            return self._open(arguments[0], arguments[2])
        if event in ON_FILES:
            places = arguments[:2] if event in ("os.rename", "os.link", "os.symlink") else arguments[:1]
            outside = [place for place in places if isinstance(place, str | bytes | os.PathLike) and self._away(place)]
            return f"changed files outside of its folder: {self._show(outside[0])}" if outside else None
        if event in PROGRAMS:
            command = list(arguments[1]) if event == "subprocess.Popen" and not isinstance(arguments[1], str) else []
            return "" if command[:3] == GIT else f"started another program ({event})"
        if event in NETWORK:
            return f"used the network ({event})"
        inwards = event in INWARDS or (event == "object.__getattr__" and arguments[1] in FRAMES)
        if inwards and _called_by_answer():
            return f"looked behind the scenes ({event})"
        return None

    def _open(self, place: Any, flags: int | None) -> str | None:
        if not isinstance(place, str | bytes | os.PathLike):
            return None  # a descriptor, opened before
        path = os.path.realpath(os.fsdecode(place))
        if not self._away(path):
            if (flags or 0) & WRITES:
                self._written.add(path)
            return f"wrote more than {MOST_FILES} files" if len(self._written) > MOST_FILES else None
        if (flags or 0) & WRITES and path != os.devnull:
            return f"wrote outside of its folder: {self._show(path)}"
        if path.endswith(".ipynb") or (_inside(path, ROOT) and not any(_inside(path, part) for part in READABLE)):
            return f"opened {self._show(path)}, where solutions may be"
        return None

    def _away(self, place: Any) -> bool:
        return not _inside(os.path.realpath(os.fsdecode(place)), self.work)

    def _show(self, place: Any) -> str:
        path = os.path.realpath(os.fsdecode(place))
        return os.path.relpath(path, ROOT) if _inside(path, ROOT) else Path(path).name


def _inside(path: str, folder: str | Path) -> bool:
    return path == str(folder) or path.startswith(f"{folder}{os.sep}")


def _called_by_answer() -> bool:
    """Whether the call that is judged stands in a student's cell, and not in a library that it uses."""
    frame = sys._getframe(3)
    while frame is not None and any(way in frame.f_code.co_filename for way in BY_WAY_OF):
        frame = frame.f_back  # type: ignore[assignment]  # ends at None, which the loop's condition sees
    return frame is not None and frame.f_code.co_filename.startswith("<answer")


class Unchanged:
    """What checks rely on: the functions of modules, compared before and after."""

    def __init__(self, modules: list[ModuleType]) -> None:
        self._before = [(module, dict(vars(module))) for module in modules]

    def changed(self) -> list[str]:
        """Return the names that mean something else now, and give them their meaning back."""
        found = []
        for module, before in self._before:
            now = vars(module)
            for name, value in before.items():
                if not name.startswith("__") and now.get(name) is not value:
                    found.append(f"{module.__name__}.{name}")
                    setattr(module, name, value)
        return found
