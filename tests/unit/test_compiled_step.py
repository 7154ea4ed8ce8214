"""A whole step under torch's compiler, the optimizer's and the projection behind it: one way to spare a GPU calls."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from nets import mixed_batch, mixed_net
from torch import nn
from torch._dynamo.backends.debugging import aot_eager
from torch.nn import functional as F

import cwn_lite as cwn
from cwn_lite import fast


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=torch.tensor(0.1), momentum=0.9)


def angular(model: nn.Module, every: int = 1, pull_every: int = 1) -> torch.optim.Optimizer:
    groups = cwn.angular_groups(model, 0.05)
    groups = [group | {"lr": torch.tensor(group["lr"])} for group in groups]
    return cwn.AngularMuon(groups, orthogonalize_every=every, coherence_decay_every=pull_every)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "memory_format"),
    [
        (sgd, torch.contiguous_format),
        (sgd, torch.channels_last),
        (angular, torch.contiguous_format),
        (angular, torch.channels_last),
        (partial(angular, every=2), torch.channels_last),
        (partial(angular, pull_every=2), torch.channels_last),
    ],
)
def test_a_compiled_step_is_that_of_plain_pytorch(
    make: Callable[[nn.Module], torch.optim.Optimizer],
    memory_format: torch.memory_format,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As on a GPU, where nothing asks for values. No code is generated: that takes a minute, and the generator for
    # CPUs fails on rows that are read and written in place.
    monkeypatch.setattr(fast, "are_fast", lambda rows: False)
    graphs: list[object] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Any]) -> object:
        graphs.append(graph)
        return aot_eager(graph, inputs)  # without writes in place, as what generates code gets it

    model = mixed_net().to(memory_format=memory_format)  # type: ignore[call-overload]  # as torch's stubs say
    twin = copy.deepcopy(model)
    compiled, plain = make(model), make(twin)
    constraint = cwn.constrain(compiled, model)
    cwn.constrain(plain, twin)
    schedules = [torch.optim.lr_scheduler.LinearLR(each, 1.0, 0.1, total_iters=4) for each in (compiled, plain)]
    step = torch.compile(compiled.step, backend=backend)  # after the schedule, which looks for calls of it
    x, y = mixed_batch()
    made = []
    for _ in range(4):
        for net, take, schedule in zip((model, twin), (step, plain.step), schedules, strict=True):
            net.zero_grad()
            F.cross_entropy(net(x), y).backward()
            take()
            schedule.step()
        made.append(len(graphs))
        for a, b in zip(model.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
        assert constraint.violation() < 1e-12
    # The first step makes the state, the second finds it; no rate of the schedule and no weight has code of its own.
    # Where what orthogonalizes is held, the third step is the first that finds the state and makes it anew, and the
    # count that says so breaks the graph.
    each = make in (sgd, angular)
    assert made[1 if each else 2] == made[3] < (6 if each else 10), made
