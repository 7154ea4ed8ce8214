"""The harness of the benchmarks, with a clock that the test turns."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import cwn_lite as cwn
from benchmarks import timing
from benchmarks.inference import forward, networks
from benchmarks.networks import METHODS, images
from benchmarks.optimizer_step import candidates
from benchmarks.timing import ratios, table, write
from benchmarks.training_step import step

CPU = torch.device("cpu")


class Clock:
    """Time passes only when somebody works."""

    def __init__(self) -> None:
        self.now, self.speed = 0.0, 1.0

    def work(self, seconds: float) -> Callable[[], None]:
        def call() -> None:
            self.now += seconds * self.speed
            self.speed *= 1.1  # the machine gets slower and slower

        return call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    return clock


def test_the_ratio_survives_a_machine_that_slows_down(clock: Clock) -> None:
    found = ratios({"one": clock.work(1.0), "three": clock.work(3.0)}, "one", CPU, rounds=20)
    assert found["one"].median == found["one"].low == found["one"].high == 1
    # Beside each other in a round, in turns first and second: off by one step of slowing down either way.
    assert found["three"].median == pytest.approx(3, rel=0.02)
    assert 3 / 1.11 < found["three"].low <= found["three"].high < 3 * 1.11
    assert (found["three"].rounds, found["three"].peak_mib) == (20, None)


def test_two_rounds_are_not_counted(clock: Clock) -> None:
    spent = iter([100.0, 50.0, 1.0, 1.0, 1.0, 1.0, 1.0])

    def warming() -> None:
        clock.now += next(spent)

    def steady() -> None:
        clock.now += 2.0

    found = ratios({"warming": warming, "steady": steady}, "steady", CPU, rounds=5)
    assert found["warming"].high == 0.5 and found["steady"].reference_ms == 2000


def test_a_quick_call_is_repeated(clock: Clock) -> None:
    calls = {"quick": 0, "slow": 0}

    def work(name: str, seconds: float) -> Callable[[], None]:
        def call() -> None:
            calls[name] += 1
            clock.now += seconds

        return call

    found = ratios({"quick": work("quick", 0.03), "slow": work("slow", 3.0)}, "slow", CPU, rounds=4)
    assert calls == {"quick": 1 + 1 + 4 * 4, "slow": 6}  # four times 0.03 s are the first to last 0.1 s
    assert found["quick"].median == pytest.approx(0.01)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="reference='c' is none of a, b"):
        ratios({"a": int, "b": int}, "c", CPU, rounds=4)
    with pytest.raises(ValueError, match="rounds=3"):
        ratios({"a": int}, "a", CPU, rounds=3)


def test_a_table_and_a_file(clock: Clock, tmp_path: Path) -> None:
    found = {"net": ratios({"a": clock.work(1.0), "b": clock.work(2.0)}, "a", CPU, rounds=4)}
    lines = table("net", found["net"], "a").splitlines()
    assert lines[0].startswith("net") and lines[2].startswith("b") and "[" in lines[2]
    write(tmp_path / "x" / "out.json", "what", {"device": "cpu", "rounds": 4}, found)
    content = json.loads((tmp_path / "x" / "out.json").read_text())
    assert content["ratios"]["net"]["b"]["median"] == found["net"]["b"].median
    assert content["benchmark"] == "what" and content["env"]["torch"] and "library_sha" in content


@pytest.mark.parametrize("network", ["resnet20", "resnet50"])
@pytest.mark.parametrize("method", METHODS)
def test_a_step_runs(network: str, method: str) -> None:
    once = step(network, method, 2, CPU)
    once()
    once()


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # geoopt compiles at import, in torch's old way
def test_the_optimizer_steps_run() -> None:
    found = candidates("resnet20", CPU)
    assert {"SGD", "SGD and projection", "copy of the parameters"} <= set(found)
    for call in found.values():
        call()


@pytest.mark.parametrize("name", ["resnet20", "cnn16", "resnet50"])
def test_folded_networks_are_plain_ones(name: str) -> None:
    found = networks(name, CPU)
    kinds = [[type(m) for m in found[key].modules() if not list(m.children())] for key in found if "folded" in key]
    assert all(kind is not cwn.ScaleBias and kind is not nn.BatchNorm2d for kinds in kinds for kind in kinds)
    forward(found["ours, folded"], images(name, 2, CPU)[0])()
