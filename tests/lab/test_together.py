"""`fill --jobs`: whenever it is asked to stop, and whatever cannot be started, no child outlives it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cwn_lite.lab.__main__ import main
from cwn_lite.lab.cells import interrupt

JOBS = 3
# A child that is no trouble to start, and says whether it was let run to its end.
SLEEPER = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(20)"]
STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
Hook = Callable[[int], None]


@pytest.fixture(autouse=True)
def a_terminal() -> Iterator[None]:
    """Signals are not ignored, as they are where the tests run in the background of something."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in STOPS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[int, list[Any]]]]:
    """Return a function that fills with three jobs and returns the exit status and the children."""
    whole = subprocess.Popen
    children: list[Any] = []

    def fill(before: Hook = lambda k: None, within: Hook = lambda k: None) -> tuple[int, list[Any]]:
        class Child(whole):  # type: ignore[misc, valid-type]
            def __init__(self, command: list[str], *arguments: Any, **settings: Any) -> None:
                k = len(children)
                before(k)
                super().__init__(SLEEPER, *arguments, **settings)
                children.append(self)
                within(k)

        monkeypatch.setattr(subprocess, "Popen", Child)
        status = main(["fill", "--minutes", "1", "--jobs", str(JOBS), "--threads", "1"])
        return status, children

    yield fill
    survivors = [child for child in children if child.poll() is None]
    for child in survivors:
        child.kill()
        child.wait()
    assert survivors == []


def to_self(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0)  # the handler runs now


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
@pytest.mark.parametrize("moment", range(JOBS))
@pytest.mark.parametrize("place", ["before", "within"])
def test_a_signal_while_the_children_start(place: str, moment: int, number: int, start: Any) -> None:
    status, children = start(**{place: lambda k: to_self(number) if k == moment else None})
    assert status == 130
    # The one being started is started; none comes after it.
    assert [child.returncode for child in children] == [-signal.SIGTERM] * (moment + 1)


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_a_signal_when_all_have_started(number: int, start: Any) -> None:
    later = threading.Timer(0.3, lambda: os.kill(os.getpid(), number))
    status, children = start(within=lambda k: later.start() if k == JOBS - 1 else None)
    assert status == 130
    assert [child.returncode for child in children] == [-signal.SIGTERM] * JOBS


@pytest.mark.parametrize("error", [OSError(11, "Resource temporarily unavailable"), MemoryError()])
@pytest.mark.parametrize("moment", range(JOBS))
def test_one_that_cannot_be_started(
    moment: int, error: Exception, start: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(k: int) -> None:
        if k == moment:
            raise error

    if isinstance(error, OSError):
        assert start(before=refuse)[0] == 2
        assert capfd.readouterr().err == "error: Resource temporarily unavailable\n"
    else:
        with pytest.raises(MemoryError):
            start(before=refuse)


def test_the_handlers_are_given_back(start: Any) -> None:
    before = [signal.getsignal(number) for number in STOPS]
    start(within=lambda k: to_self(signal.SIGTERM))
    assert [signal.getsignal(number) for number in STOPS] == before


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_a_run_is_asked_by_each_signal(number: int) -> None:
    with interrupt.requests() as asked:
        assert not asked()
        to_self(number)
        assert asked()
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


def test_signals_of_two_kinds_are_one_request() -> None:
    """Ctrl-C or a closed terminal reaches every process, and then the one that started them adds its SIGTERM."""
    with interrupt.requests() as asked:
        for number in STOPS:
            to_self(number)
        if hasattr(signal, "SIGHUP"):
            to_self(signal.SIGHUP)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            to_self(signal.SIGINT)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminals that hang up on this system")
def test_nohup_is_respected() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interrupt.requests() as asked:
        to_self(signal.SIGHUP)
        assert not asked()
