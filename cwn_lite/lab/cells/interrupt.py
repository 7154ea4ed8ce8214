"""Stop between two steps when asked to, not in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# Ctrl-C, `kill`, and a terminal that is closed, which Windows does not know.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_HANGUP: int = getattr(signal, "SIGHUP", 0)


@contextmanager
def requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C, SIGTERM or SIGHUP came; a second Ctrl-C or SIGTERM acts at once.

    Of two different ones the second does not: Ctrl-C reaches all processes of a terminal, and the one that started the
    others adds its SIGTERM. A SIGHUP never does, which shell and terminal both send.
    """
    asked: list[int] = []  # no Event, whose lock a signal that interrupts another would find taken
    before: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if number != _HANGUP:
            signal.signal(number, before[number])

    with handled(ask):
        yield lambda: bool(asked)


@contextmanager
def handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let a function handle the signals that ask to stop, but for a SIGHUP that is ignored: `nohup` started this.

    In a thread other than the main one signals cannot be caught: nothing is asked for then.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    if before.get(_HANGUP) == signal.SIG_IGN:
        del before[_HANGUP]
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
