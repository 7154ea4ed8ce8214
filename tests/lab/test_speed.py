"""Compiling, rehearsing and profiling change no result and keep nothing."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from cwn_lite.lab import Options, Recipe, measure, run
from cwn_lite.lab.cells.profiling import PARTS, profile
from cwn_lite.lab.data import Dataset
from cwn_lite.lab.training import Trainer
from cwn_lite.lab.training import trainer as train_module


@pytest.fixture
def quick_compile(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Compile with the backend that traces forward and backward and generates no code: the same path, in seconds."""
    calls: list[dict[str, Any]] = []
    real = torch.compile

    def compiled(model: torch.nn.Module, **settings: Any) -> Any:
        calls.append(settings)
        return real(model, backend="aot_eager", dynamic=settings["dynamic"])

    monkeypatch.setattr(train_module.torch, "compile", compiled)
    return calls


def finish(trainer: Trainer) -> Trainer:
    while not trainer.done:
        trainer.step()
    return trainer


@pytest.mark.parametrize("method", ["ours", "bn", "ws+gn", "wn"])
def test_compiling_changes_nothing_but_speed(
    method: str, tiny: Recipe, toy: Dataset, quick_compile: list[dict[str, Any]]
) -> None:
    recipe = tiny.but(method=method)
    eager, compiled = Trainer(recipe, 0, toy), Trainer(recipe, 0, toy)
    before = copy.deepcopy(compiled.state_dict())
    compiled.compile()
    assert compiled.compiled and not eager.compiled
    assert len(quick_compile) == 1 + (method == "ours")  # the network, and the projection of ours
    after = compiled.state_dict()
    assert measure.weights_sha256(compiled.model) == measure.weights_sha256(eager.model)
    assert torch.equal(before["rng"], after["rng"]) and after["optimizer"]["state"] == {}
    assert (after["curve"], after["seconds"], after["position"]) == ([], 0.0, [0, 0])
    torch.manual_seed(0)
    finish(eager)
    torch.manual_seed(0)
    finish(compiled)
    for mine, theirs in zip(compiled.curve, eager.curve, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4)


@pytest.mark.slow
def test_every_run_of_a_process_is_compiled(tiny: Recipe, toy: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch gives up after some eight graphs of what looks to it like one function."""
    graphs: list[int] = []

    def counting(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        graphs[-1] += 1
        return graph.forward

    real = torch.compile
    monkeypatch.setattr(
        train_module.torch, "compile", lambda model, **settings: real(model, backend=counting, dynamic=False)
    )
    for seed in range(6):
        graphs.append(0)
        Trainer(tiny, seed, toy).compile()
    assert min(graphs) == max(graphs) > 0


def test_compiling_a_resumed_run_keeps_its_place(
    tiny: Recipe, toy: Dataset, quick_compile: list[dict[str, Any]]
) -> None:
    begun = Trainer(tiny, 0, toy)
    for _ in range(6):
        begun.step()
    resumed = Trainer(tiny, 0, toy)
    resumed.load_state_dict(copy.deepcopy(begun.state_dict()))
    resumed.compile()
    rng = torch.get_rng_state()
    assert torch.equal(rng, begun.state_dict()["rng"])
    assert (resumed.epoch, resumed.batch) == (1, 2) and len(resumed.curve) == 1
    momentum = [state["momentum_buffer"] for state in resumed.optimizer.state.values()]
    expected = [state["momentum_buffer"] for state in begun.optimizer.state.values()]
    assert all(torch.equal(a, b) for a, b in zip(momentum, expected, strict=True)) and momentum


def test_a_compiler_that_fails_is_done_without(
    tiny: Recipe, toy: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(model: torch.nn.Module, **settings: Any) -> Any:
        def call(x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no C++ compiler\nand more")

        return call

    monkeypatch.setattr(train_module.torch, "compile", broken)
    trainer = Trainer(tiny, 0, toy)
    trainer.compile()
    assert not trainer.compiled
    said = capsys.readouterr().err
    assert said == "torch.compile failed (RuntimeError: no C++ compiler); going on without it\n"
    assert finish(trainer).curve == finish(Trainer(tiny, 0, toy)).curve


def test_the_result_says_whether_it_was_compiled(
    tiny: Recipe, toy: Dataset, options: Options, quick_compile: list[dict[str, Any]]
) -> None:
    plain = run(tiny, 0, toy, options)
    compiled = run(tiny, 1, toy, dataclasses.replace(options, compile=True))
    assert plain is not None and plain.env["compiled"] is False
    assert compiled is not None and compiled.env["compiled"] is True
    assert plain.env["deterministic"] is False and plain.env["processes"] == 1


def test_profile_names_the_parts_and_writes_nothing(
    tiny: Recipe, toy: Dataset, options: Options, tmp_path: Path
) -> None:
    recipe = tiny.but(batch=8)
    lines = profile(recipe, toy, options).splitlines()
    assert lines[0].startswith("tiny: ") and "ms per step of 8 samples, 4 steps" in lines[0]
    shares = {part: float(next(line for line in lines if line.startswith(part)).split()[-2]) for part in PARTS}
    assert 50 < sum(shares.values()) <= 100.5
    assert min(shares.values()) > 0
    assert any("convolution" in line for line in lines)
    assert list(tmp_path.iterdir()) == []
