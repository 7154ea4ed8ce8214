"""Reading a forward pass leaves no trace on the model, and sees the path that will run."""

from __future__ import annotations

import random
from collections import deque
from typing import Any, ClassVar

import pytest
import torch
from foreign import Checking
from torch import Tensor, nn

import cwn_lite as cwn
from cwn_lite.feeds import Feeds
from cwn_lite.stand_in import hooks, stand_in
from cwn_lite.tracing import trace

GLOBAL: list[Any] = []


class Keeper(nn.Module):
    """Keeps what it computes wherever one can: attributes, buffers, containers, its class, a global."""

    of_the_class: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 4)
        self.register_buffer("running", torch.zeros(8))
        self.mean = torch.zeros(1, 3, 1, 1)
        self.calls, self.seen = 0, set[int]()
        self.history, self.recent, self.cache = [], deque(maxlen=2), {"list": []}

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == 3, f"three colours, not {x.shape}"
        self.calls += 1
        self.seen.add(self.calls)
        self.mean = self.mean.type_as(x)
        y = self.bn(self.conv(x - self.mean)).relu()
        self.running = 0.9 * self.running + y.mean((0, 2, 3)).detach()
        self.history.append(y.mean())
        self.recent.append(y)
        self.cache["list"].append(y)
        self.cache[f"call {self.calls}"] = y
        type(self).of_the_class["last"] = y
        GLOBAL.append(y)
        self.noise = torch.rand(1) + random.random()
        return self.fc(y.mean((2, 3)))


def state(model: Keeper) -> list[Any]:
    listed = [model.history, model.recent, model.cache, model.cache["list"], model.of_the_class, GLOBAL, model.seen]
    numbers = [model.calls, model.running.tolist(), model.mean.tolist(), sorted(vars(model)), random.getstate()]
    return [[repr(value) for value in listed], numbers, torch.get_rng_state().tolist()]


@pytest.mark.parametrize("change", [cwn.fuse, lambda m: cwn.fold(m.eval()), lambda m: cwn.replace_batchnorm(Keeper())])
def test_a_module_that_keeps_what_it_computes_is_as_it_was_and_trains(change: Any) -> None:
    model = cwn.replace_batchnorm(Keeper())
    before = state(model)
    change(model)
    assert state(model)[0] == before[0]
    after = state(model)
    assert after[1][:4] == before[1][:4]
    model.train()
    x = torch.randn(2, 3, 9, 9)
    loss = model(x).square().sum()
    assert type(loss) is Tensor
    loss.backward()
    assert model.conv.weight.grad.abs().max() > 0 and model.calls == 1
    Keeper.of_the_class.clear()
    GLOBAL.clear()


def test_random_states_are_as_they_were() -> None:
    model = cwn.replace_batchnorm(Keeper())
    before = random.getstate(), torch.get_rng_state()
    cwn.fuse(model)
    assert random.getstate() == before[0] and torch.equal(torch.get_rng_state(), before[1])


def test_a_list_in_a_closure_is_as_it_was() -> None:
    seen: list[Any] = []

    class Closing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.scale = nn.Conv2d(3, 4, 3), cwn.ScaleBias(4)

        def forward(self, x: Tensor) -> Tensor:
            y = self.scale(self.conv(x))
            seen.append(y)
            return y

    assert cwn.report(cwn.fuse(Closing())).names("fused") == ("scale",)
    assert seen == []


def test_a_stand_in_shares_no_tensor_and_no_container_and_has_no_hooks() -> None:
    model = Keeper()
    model.conv.register_forward_hook(lambda module, args, out: out)
    twins = stand_in(model)
    twin = twins[model]
    assert twin is not model and type(twin) is Keeper and twin.conv is twins[model.conv]
    assert twin.conv.weight.is_meta and isinstance(twin.conv.weight, nn.Parameter)
    assert twin.running is not model.running and torch.equal(twin.running, model.running)
    assert twin.cache["list"] is not model.cache["list"]
    assert hooks(model.conv) == "a forward hook" and hooks(twin.conv) == ""


class Stored(nn.Module):
    """Keeps the convolution's output where somebody may read it later."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where, self.features = where, [None]
        self.conv, self.scale = nn.Conv2d(3, 4, 3), cwn.ScaleBias(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.where == "attribute":
            self.feature = y
        if self.where == "list":
            self.features[0] = {"deep": (y,)}
        return self.scale(y)


@pytest.mark.parametrize(("where", "path"), [("attribute", "feature"), ("list", "features")])
def test_an_output_that_is_kept_has_another_use(where: str, path: str) -> None:
    for model in (cwn.fuse(Stored(where)), cwn.fold(Stored(where).eval())):
        (line,) = cwn.report(model)
        assert (line.action, line.code) == ("kept", "other_uses")
        assert line.reason == f"conv also feeds {path}, where it is kept"
    assert cwn.report(cwn.fuse(Stored("nowhere"))).names("fused") == ("scale",)


class Asking(nn.Module):
    """Takes a path that depends on what a value is, in several spellings."""

    def __init__(self, question: str) -> None:
        super().__init__()
        self.question = question
        self.conv, self.scale = nn.Conv2d(3, 4, 3), cwn.ScaleBias(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        z = self.scale(y)
        answer = {
            "instance": lambda: isinstance(y, torch.Tensor),
            "instance of one": lambda: isinstance(y, (list, (dict, Tensor))),
            "union": lambda: isinstance(y, list | Tensor),
            "is_tensor": lambda: torch.is_tensor(y),
            "no list": lambda: not isinstance(y, (list, tuple, dict)),
            "no parameter": lambda: not isinstance(y, nn.Parameter),
            "training": lambda: self.training,
            "eval": lambda: not self.training,
        }[self.question]()
        return z + y if answer else z


@pytest.mark.parametrize(
    "question",
    ["instance", "instance of one", "union", "is_tensor", "no list", "no parameter", "training", "eval"],
)
def test_the_traced_path_is_the_one_that_runs(question: str) -> None:
    model = Asking(question).double()
    nn.init.normal_(model.scale.weight)
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    for training in (True, False):
        expected = model.train(training)(x)
        torch.testing.assert_close(cwn.fuse(model)(x), expected)
        assert cwn.report(model).names("kept") == ("scale",)
        cwn.unfuse(model)
    torch.testing.assert_close(cwn.fold(model.eval())(x), model(x))


def test_checks_of_the_input_are_no_obstacle_and_go_on_checking() -> None:
    model = cwn.fuse(Checking())
    assert cwn.report(model).names("fused") == ("scale",)
    assert model(torch.randn(1, 3, 5, 5)).shape == (1, 4, 3, 3)
    with pytest.raises(ValueError, match="odd width"):
        model(torch.randn(1, 3, 5, 4))
    with pytest.raises(AssertionError, match="too small"):
        model(torch.randn(1, 3, 2, 5))


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scale = nn.Conv2d(3, 4, 3), cwn.ScaleBias(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.conv(x)) if x.sum() > 0 else x


def test_the_reason_says_why_the_forward_could_not_be_traced() -> None:
    (line,) = cwn.report(cwn.fuse(Branching()))
    assert line.action == "kept" and line.code == "untraced"
    assert "(the forward raised UntraceableError: symbolically traced variables cannot be used" in line.reason
    (line,) = cwn.report(cwn.fuse(nn.Sequential(Branching(), nn.ReLU())))
    assert "(the forward of 0 raised UntraceableError" in line.reason


def test_the_reason_names_a_forward_that_was_set_on_the_object() -> None:
    model = Checking()
    model.forward = lambda x: x
    (line,) = cwn.report(cwn.fuse(model))
    assert line.action == "kept" and "its forward was set on the object" in line.reason
    with pytest.raises(TypeError, match="set on the object"):
        trace(model)


def test_a_layer_reached_through_a_closure_is_read_like_any_other() -> None:
    class Closing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.scale = nn.Conv2d(3, 4, 3), cwn.ScaleBias(4)
            self.steps = [lambda x: self.conv(x), lambda x: self.scale(x)]

        def forward(self, x: Tensor) -> Tensor:
            for step in self.steps:
                x = step(x)
            return x

    model = Closing()
    assert Feeds(model).source("scale").name == "conv"


def test_hooks_on_all_modules_are_not_run_and_nothing_is_changed() -> None:
    seen: list[Any] = []
    handle = torch.nn.modules.module.register_module_forward_hook(lambda module, args, out: seen.append(out))
    try:
        model = cwn.fuse(nn.Sequential(nn.Conv2d(3, 4, 3), cwn.ScaleBias(4)))
    finally:
        handle.remove()
    assert seen == [] and "hooks are set for all modules" in next(iter(cwn.report(model))).reason
