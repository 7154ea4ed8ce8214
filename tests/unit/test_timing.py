"""The harness of the benchmarks, with a clock that the test turns."""

import gc
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import cwn_lite as cwn
from benchmarks import timing
from benchmarks.inference import forward, network
from benchmarks.networks import NORMALIZATIONS, build
from benchmarks.optimizer_step import candidates
from benchmarks.timing import peak_bytes, ratios, table, write
from benchmarks.training_step import step

CPU = torch.device("cpu")


class Clock:
    """Time passes only when somebody works."""

    def __init__(self) -> None:
        self.now, self.speed = 0.0, 1.0

    def work(self, seconds: float) -> timing.Candidate:
        def call() -> None:
            self.now += seconds * self.speed
            self.speed *= 1.1  # the machine gets slower and slower

        return lambda: call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    return clock


@pytest.mark.slow
def test_the_ratio_survives_a_machine_that_slows_down(clock: Clock) -> None:
    found = ratios({"one": clock.work(1.0), "three": clock.work(3.0)}, "one", CPU, rounds=20)
    assert found["one"].median == found["one"].low == found["one"].high == 1
    # The machine gets several times slower within a round, and the medians lie at most one call apart.
    assert found["three"].median == pytest.approx(3, rel=0.02)
    assert 3 / 1.11 < found["three"].low <= found["three"].high < 3 * 1.11
    assert (found["three"].rounds, found["three"].peak_mib) == (20, 0)


@pytest.mark.parametrize("anew", [True, False])
def test_what_is_not_counted(clock: Clock, anew: bool) -> None:
    """Making a candidate, its first two calls in a round, and the last one, which is for its memory."""
    made: list[int] = []

    def make() -> Callable[[], None]:
        made.append(0)
        clock.now += 1000

        def call() -> None:
            made[-1] += 1
            clock.now += 50.0 if made[-1] <= 2 else 1.0

        return call

    found = ratios({"new": make, "steady": clock.work(1.0)}, "new", CPU, rounds=5, anew=anew)
    in_a_round = 2 + timing.CALLS
    assert made == ([*[in_a_round] * 4, in_a_round + 1] if anew else [5 * in_a_round + 1])
    assert (found["new"].reference_ms, found["new"].high) == (1000, 1)


def test_a_quick_call_is_repeated(clock: Clock) -> None:
    calls = {"quick": 0, "slow": 0}

    def work(name: str, seconds: float) -> timing.Candidate:
        def call() -> None:
            calls[name] += 1
            clock.now += seconds

        return lambda: call

    found = ratios({"quick": work("quick", 0.003), "slow": work("slow", 3.0)}, "slow", CPU, rounds=4)
    # Seven times 0.003 s are the first to last 0.02 s.
    assert calls == {"quick": 4 * (2 + 7 * timing.CALLS) + 1, "slow": 4 * (2 + timing.CALLS) + 1}
    assert found["quick"].median == pytest.approx(0.001)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="reference='c' is none of a, b"):
        ratios({"a": lambda: int, "b": lambda: int}, "c", CPU, rounds=4)
    with pytest.raises(ValueError, match="rounds=3"):
        ratios({"a": lambda: int}, "a", CPU, rounds=3)


def test_a_table_and_a_file(clock: Clock, tmp_path: Path) -> None:
    found = {"net": ratios({"a": clock.work(1.0), "b": clock.work(2.0)}, "a", CPU, rounds=4)}
    lines = table("net", found["net"], "a").splitlines()
    assert lines[0].startswith("net") and lines[2].startswith("b") and "[" in lines[2]
    write(tmp_path / "x" / "out.json", "what", {"device": "cpu", "rounds": 4}, found)
    content = json.loads((tmp_path / "x" / "out.json").read_text())
    assert content["ratios"]["net"]["b"]["median"] == found["net"]["b"].median
    assert content["benchmark"] == "what" and content["env"]["torch"] and "library_sha" in content


def test_peak_memory_is_the_most_at_one_time() -> None:
    x, kept = torch.ones(1000), []

    def call() -> None:
        y = x.clone()  # 1
        z = torch.cat([y, y])  # 3
        del y  # 2
        z.relu_()
        del z  # 0
        kept.append(x.clone())  # 1

    assert peak_bytes(call, CPU) == 3 * 4 * 1000


def test_peak_memory_of_a_step() -> None:
    """Fused, CWO keeps no activation that a plain network does not keep; batch norm keeps the input of each."""
    peaks = {}
    for method in ("plain", "ours", "bn", "ours, not fused"):
        once = step("cnn16", method, 32, CPU)
        once()  # makes the momentum
        peaks[method] = peak_bytes(once, CPU)
    assert 1 < peaks["ours"] / peaks["plain"] < 1.1
    assert peaks["bn"] > 1.6 * peaks["plain"] and peaks["ours, not fused"] > 1.6 * peaks["plain"]


@pytest.mark.parametrize("network", ["resnet20", "resnet50"])
@pytest.mark.parametrize("method", NORMALIZATIONS)
def test_a_step_runs(network: str, method: str) -> None:
    once = step(network, method, 2, CPU)
    once()
    once()


def test_a_step_is_captured_on_a_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    made: list[Callable[[], object]] = []
    real = timing.captured
    monkeypatch.setattr(timing, "captured", lambda call, device: made.append(call) or real(call, device))
    once = step("resnet20", "ours", 2, CPU, graph=True)
    assert made == [once]
    once()
    assert step("resnet20", "ours", 2, CPU, compiled=True) not in made


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # geoopt compiles at import, in torch's old way
def test_the_optimizer_steps_run() -> None:
    found = candidates("resnet20", CPU)
    assert {"SGD", "SGD and projection", "copy of the parameters"} <= set(found)
    for make in found.values():
        gc.collect()
        make()()


@pytest.mark.parametrize("name", ["resnet20", "cnn16", "resnet50"])
def test_folded_networks_are_plain_ones(name: str) -> None:
    kinds = [{type(m) for m in network(name, f"{m}, folded", CPU).modules()} for m in ("ours", "bn")]
    assert all(not kind & {cwn.ScaleBias, nn.BatchNorm2d} for kind in kinds)
    forward(name, "ours, folded", 2, CPU)()


@pytest.mark.parametrize("network", ["resnet20", "resnet50"])
def test_compiled_means_the_projection_too(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[cwn.Constraint] = []
    monkeypatch.setattr(cwn.Constraint, "compile", lambda constraint: compiled.append(constraint))
    build(network, "bn", CPU, compiled=True)
    build(network, "ours", CPU)
    assert not compiled
    build(network, "ours", CPU, compiled=True)
    assert len(compiled) == 1


def test_the_constraint_lives_as_long_as_the_step() -> None:
    model, optimizer = build("resnet20", "ours", CPU)
    weight = next(module for module in model.modules() if isinstance(module, nn.Conv2d)).weight
    call = optimizer.step
    del model, optimizer
    gc.collect()
    with torch.no_grad():
        weight.mul_(3)
    weight.grad = torch.zeros_like(weight)
    call()
    assert (weight.flatten(1).square().sum(1) - 2).abs().max() < 1e-5


def test_calls_that_differ_are_counted_by_whole_periods(clock: Clock) -> None:
    """Every fourth call takes five times as long: a mean of two, whichever call comes first."""

    def uneven() -> Callable[[], object]:
        count = itertools.count()

        def call() -> None:
            clock.now += 5.0 if next(count) % 4 == 3 else 1.0

        return call

    def even() -> None:
        clock.now += 1.0

    found = ratios({"even": lambda: even, "uneven": uneven}, "even", CPU, rounds=4, period=4)
    assert found["uneven"].low == found["uneven"].high == 2
