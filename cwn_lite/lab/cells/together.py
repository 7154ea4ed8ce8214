"""The same command several times at once, of which none outlives the process that started them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from types import FrameType

from . import interrupt


def together(command: Sequence[str], jobs: int) -> list[int]:
    """Run a command several times at once; return how each run ended, as :attr:`subprocess.Popen.returncode` says it.

    When a signal asks to stop, or one of them cannot be started, no more are started, and the others get SIGTERM, on
    which a run of the lab stops with a checkpoint. A second signal is passed on, too.

    Args:
        command: program and arguments.
        jobs: how many.

    Raises:
        KeyboardInterrupt: a signal came; all of them have ended.
        OSError: one could not be started; the others have ended.
    """
    children: list[subprocess.Popen[bytes]] = []
    asked: list[int] = []  # no Event, whose lock a signal that interrupts another would find taken

    def end_all(number: int = 0, frame: FrameType | None = None) -> None:
        asked.append(number)
        for child in children:
            child.terminate()

    with interrupt.handled(end_all):
        try:
            while len(children) < jobs and not asked:
                children.append(subprocess.Popen(command))
                if asked:  # the signal came before this one was in the list
                    children[-1].terminate()
        except BaseException:
            end_all()
            raise
        finally:
            codes = [child.wait() for child in children]
    if asked:
        raise KeyboardInterrupt
    return codes
