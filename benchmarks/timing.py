"""Candidates in turn, round after round: a machine that slows down slows all of them, and the ratio stays."""

from __future__ import annotations

import argparse
import ctypes
import gc
import itertools
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from tqdm import tqdm

from cwn_lite.lab.cells.cell import pick_device
from cwn_lite.lab.results import provenance

# Makes the call that is timed.
Candidate = Callable[[], Callable[[], object]]
# Seconds that a measurement lasts at least: clock and scheduler leave less than a thousandth.
LEAST = 0.02
# Measurements of a candidate in a round; fewer, but at least three, where each is of several calls.
CALLS = 8


@dataclass(frozen=True)
class Ratio:
    """Time of a candidate over that of the reference, round by round.

    Attributes:
        median: of the rounds' ratios.
        low: their first quartile.
        high: their third quartile.
        rounds: how many rounds.
        reference_ms: median time of the reference in milliseconds, for scale only.
        peak_mib: most memory that tensors take during a call of the candidate, in MiB, above what they take before it
            (weights, momentum).
    """

    median: float
    low: float
    high: float
    rounds: int
    reference_ms: float
    peak_mib: float


def ratios(
    candidates: Mapping[str, Candidate],
    reference: str,
    device: torch.device,
    *,
    rounds: int,
    anew: bool = True,
    period: int = 1,
) -> dict[str, Ratio]:
    """Time candidates against one of them.

    In each round all candidates are made anew, called twice without counting, and then called in turn, each time in an
    order that is drawn anew. The ratio of a round is that of the median times. So other work on the machine slows down
    all of them alike; and two copies of one network, which can differ by several per cent for as long as they live by
    where in memory they happen to lie, average out over the rounds. After the last round each is called once more, for
    its peak memory.

    Args:
        candidates: name -> what makes the call to time.
        reference: name of the one to divide by.
        device: a GPU is waited for before each look at the clock.
        rounds: at least 4.
        anew: ``False`` makes the candidates once, where that takes long.
        period: calls are counted in multiples of it, where not all of them do the same.

    Raises:
        ValueError: ``reference`` is no candidate, or there are too few rounds for quartiles.
    """
    if reference not in candidates:
        raise ValueError(f"reference={reference!r} is none of {', '.join(candidates)}")
    if rounds < 4:
        raise ValueError(f"rounds={rounds}: quartiles need at least 4")
    _keep_freed_memory()
    names = list(candidates)
    order = random.Random(0)
    times: dict[str, list[float]] = {name: [] for name in names}
    calls: dict[str, Callable[[], object]] = {}
    for turn in tqdm(range(rounds), unit="round", mininterval=5.0):
        if anew or not turn:
            calls.clear()
            gc.collect()  # hooks are cycles
            calls.update({name: candidates[name]() for name in order.sample(names, len(names))})
        repeats = {}
        for name in calls:
            calls[name]()
            repeats[name] = period * math.ceil(LEAST / max(_seconds(calls[name], device, period), 1e-9))
        inner: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(max(3, CALLS // period)):
            for name in order.sample(names, len(names)):
                inner[name].append(_seconds(calls[name], device, repeats[name]) / repeats[name])
        for name in names:
            times[name].append(statistics.median(inner[name]))
    scale = 1e3 * statistics.median(times[reference])
    found = {}
    for name in names:
        per_round = [a / b for a, b in zip(times[name], times[reference], strict=True)]
        low, median, high = statistics.quantiles(per_round, n=4)
        found[name] = Ratio(median, low, high, rounds, scale, peak_bytes(calls[name], device) / 2**20)
    return found


def _keep_freed_memory() -> None:
    """Let the C library keep what is freed, as torch does on a GPU; else a step pays for what others gave back."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return
    for option, value in ((-3, 32 << 20), (-1, (1 << 31) - 1)):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
        mallopt(option, value)


def captured(call: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """Return the replay of a call as one CUDA graph, which spares the host all calls within; on a CPU the call itself.

    Args:
        call: what runs once, on the same memory each time; taken three times first, so that its state is there.
        device: where its tensors are.
    """
    if device.type != "cuda":
        return call
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()

    def replay() -> object:
        graph.replay()
        return call  # which holds the memory that the graph reads

    return replay


def peak_bytes(call: Callable[[], object], device: torch.device) -> int:
    """Return the most memory that tensors take during a call above what they take before it, in bytes.

    On a CPU torch's profiler records what is allocated and freed. It does not see what kernels take elsewhere, nor that
    something is freed which was there before the call.

    Args:
        call: what runs once.
        device: where its tensors are.

    Example:
        >>> x = torch.ones(1000)
        >>> peak_bytes(lambda: x.clone().relu_(), torch.device("cpu"))
        4000
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return int(torch.cuda.max_memory_allocated(device)) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        call()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiled.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf8"))["traceEvents"]
    memory = sorted((event for event in events if event["name"] == "[memory]"), key=lambda event: float(event["ts"]))
    return max(itertools.accumulate((int(event["args"]["Bytes"]) for event in memory), initial=0))


def _seconds(call: Callable[[], object], device: torch.device, repeat: int) -> float:
    _wait(device)
    begun = time.perf_counter()
    for _ in range(repeat):
        call()
    _wait(device)
    return time.perf_counter() - begun


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """Return a command line with the options that all benchmarks have.

    Args:
        description: what it measures.
        rounds: counted rounds without a choice.
    """
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--device", default="auto", help="auto, cpu or cuda")
    made.add_argument("--threads", type=int, default=torch.get_num_threads())
    made.add_argument("--out", type=Path, help="JSON file")
    return made


def measure(
    what: str,
    given: argparse.Namespace,
    cases: Iterable[str],
    candidates: Callable[[str, torch.device], Mapping[str, Candidate]],
    reference: str,
    anew: bool = True,
    period: int = 1,
) -> None:
    """Time the candidates of each case and print, and with ``--out`` write, their ratios.

    Args:
        what: name of the benchmark.
        given: parsed options of :func:`parser`.
        cases: networks, sizes.
        candidates: maps a case and a device to the candidates of :func:`ratios`.
        reference: name of the candidate to divide by.
        anew: as in :func:`ratios`.
        period: likewise.
    """
    torch.set_num_threads(given.threads)
    device = pick_device(given.device)
    settings = {key: value for key, value in vars(given).items() if key != "out"} | {"device": device.type}
    found: dict[str, dict[str, Ratio]] = {}
    for case in cases:
        found[case] = ratios(candidates(case, device), reference, device, rounds=given.rounds, anew=anew, period=period)
        print(table(case, found[case], reference), flush=True)
        if given.out:
            write(given.out, what, settings, found)


def table(title: str, found: Mapping[str, Ratio], reference: str) -> str:
    """Return ratios as lines of text: median, quartiles and peak memory."""
    width = max(map(len, [*found, title]))
    lines = [f"{title:{width}}  over {reference} ({next(iter(found.values())).reference_ms:.3g} ms)"]
    for name, ratio in found.items():
        peak = f"peak {ratio.peak_mib:.0f} MiB"
        lines.append(f"{name:{width}}  {ratio.median:.3f}  [{ratio.low:.3f}, {ratio.high:.3f}]  {peak}")
    return "\n".join(lines)


def write(path: Path, what: str, settings: Mapping[str, Any], found: Mapping[str, Mapping[str, Ratio]]) -> None:
    """Write measurements with where and with which code they were made, as JSON.

    Args:
        path: where to; an older file is replaced.
        what: name of the benchmark.
        settings: rounds, batch size and the like.
        found: case -> candidate -> ratio.
    """
    device = torch.device(settings["device"])
    content = {
        "benchmark": what,
        "settings": dict(settings),
        **provenance.source(),
        "env": provenance.environment(device),
        "ratios": {case: {name: asdict(ratio) for name, ratio in rows.items()} for case, rows in found.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf8")
