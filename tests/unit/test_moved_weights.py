"""Wrappers that move weights outside of `step`: what is detected, what is said, and the way back to the set."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from refusals import net, refused, snapshot
from torch import nn
from torch.optim.swa_utils import AveragedModel

import cwn_lite as cwn


def trained(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(4, 2, 6, 6)).tanh().sum().backward()
        optimizer.step()


class ScheduleFree(torch.optim.SGD):
    """Keeps an average of the weights, and puts it in their place in eval mode."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr=lr)
        self.averages = [p.detach().clone() for group in self.param_groups for p in group["params"]]

    def step(self, closure: Any = None) -> None:
        super().step(closure)
        for average, p in zip(self.averages, self.param_groups[0]["params"], strict=True):
            average.lerp_(p.detach(), 0.5)

    def _exchange(self) -> None:
        for average, p in zip(self.averages, self.param_groups[0]["params"], strict=True):
            old = p.detach().clone()
            p.data.copy_(average)
            average.copy_(old)

    eval = train = _exchange


def test_a_schedule_free_optimizer_is_announced_and_projecting_again_is_the_way() -> None:
    model = net()
    optimizer = ScheduleFree(model.parameters(), lr=0.1)
    with pytest.warns(
        UserWarning, match=r"ScheduleFree moves weights in eval\(\) and train\(\).*constraint\.project"
    ) as caught:
        constraint = cwn.constrain(optimizer, model)
    assert caught[0].filename == __file__
    trained(model, optimizer)
    assert constraint.violation() < 1e-5
    optimizer.eval()
    assert constraint.violation() > 1e-3
    constraint.project()
    assert constraint.violation() < 1e-5
    optimizer.train()
    trained(model, optimizer)
    assert constraint.violation() < 1e-5


class SharpnessAware(torch.optim.Optimizer):
    """Two phases: up along the gradient, then the inner step from where it was."""

    def __init__(self, params: Any, inner: torch.optim.Optimizer) -> None:
        super().__init__(params, {})
        self.base_optimizer = inner
        self.param_groups = inner.param_groups

    def first_step(self) -> None:
        for p in self.param_groups[0]["params"]:
            self.state[p]["old"] = p.detach().clone()
            p.data.add_(p.grad, alpha=0.05)

    def second_step(self) -> None:
        for p in self.param_groups[0]["params"]:
            p.data.copy_(self.state[p]["old"])
        self.base_optimizer.step()

    def step(self, closure: Any = None) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("inner", [True, False])
def test_two_phase_steps_are_announced_and_the_inner_optimizer_is_the_way(inner: bool) -> None:
    model = net()
    base = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer = SharpnessAware(model.parameters(), base)
    if inner:
        constraint = cwn.constrain(optimizer.base_optimizer, model)
    else:
        with pytest.warns(UserWarning, match=r"SharpnessAware moves weights in first_step\(\) and second_step"):
            constraint = cwn.constrain(optimizer, model)
    for _ in range(3):
        for phase in (optimizer.first_step, optimizer.second_step):
            optimizer.zero_grad()
            model(torch.randn(4, 2, 6, 6)).tanh().sum().backward()
            phase()
        assert (constraint.violation() < 1e-5) is inner
        constraint.project()
        assert constraint.violation() < 1e-5


@pytest.mark.parametrize(
    "average",
    [
        lambda model: AveragedModel(model),
        lambda model: AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5)),
        lambda model: copy.deepcopy(model),
    ],
)
@pytest.mark.parametrize("fused", [False, True])
def test_an_average_is_projected_as_the_model_is(average: Callable[[nn.Module], nn.Module], fused: bool) -> None:
    torch.manual_seed(0)
    model = cwn.replace_batchnorm(net(), c=3.0)
    if fused:
        cwn.fuse(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    constraint = cwn.constrain(optimizer, model)
    averaged = average(model)
    for _ in range(3):
        trained(model, optimizer, steps=1)
        if isinstance(averaged, AveragedModel):
            averaged.update_parameters(model)
        else:
            for mine, theirs in zip(averaged.parameters(), model.parameters(), strict=True):
                mine.data.lerp_(theirs.data, 0.5)
    before = [p.detach().clone() for p in model.parameters()]
    assert constraint.violation() < 1e-5 < 1e-3 < constraint.violation(averaged)
    constraint.project(averaged)
    assert constraint.violation(averaged) < 1e-5
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))
    assert averaged(torch.randn(4, 2, 6, 6)).isfinite().all()


def test_a_model_that_is_no_copy_is_refused_by_name() -> None:
    model = net()
    constraint = cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model)
    for ask in (constraint.project, constraint.violation):
        with refused(ValueError, "model has no 2.weight; give a copy of the model that is constrained"):
            ask(model[:2])


class Wrapper:
    def __init__(self, inner: torch.optim.Optimizer) -> None:
        self.optimizer = inner


class Accelerated(torch.optim.Optimizer):
    """An optimizer by name, which never calls torch's constructor, as wrappers do."""

    def __init__(self, inner: torch.optim.Optimizer) -> None:
        self._optimizer = inner

    param_groups = property(lambda self: self._optimizer.param_groups)


class Empty(torch.optim.Optimizer):
    def __init__(self) -> None:
        pass


def test_wrappers_without_hooks_name_the_optimizer_to_constrain_first() -> None:
    model = net()
    inner = torch.optim.SGD(model.parameters(), lr=0.1)
    before = snapshot(model, inner)
    way = "constrain the inner optimizer first, constrain(optimizer.{}, model)"
    with refused(TypeError, "optimizer is a Wrapper, which has no step hooks", way.format("optimizer")):
        cwn.constrain(Wrapper(inner), model)
    with refused(TypeError, "optimizer is a Accelerated", way.format("_optimizer")):
        cwn.constrain(Accelerated(inner), model)
    with refused(TypeError, "optimizer is a Empty, whose constructor never called torch's"):
        cwn.constrain(Empty(), model)
    with refused(TypeError, "optimizer must be a torch.optim.Optimizer, got Sequential", "the order is"):
        cwn.constrain(model, inner)
    assert snapshot(model, inner) == before
    assert cwn.constrain(Wrapper(inner).optimizer, model).violation() < 1e-6


def test_violation_does_not_depend_on_the_default_device() -> None:
    model = net()
    constraint = cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model)
    with torch.device("meta"):
        assert constraint.violation() < 1e-6
        constraint.project()
    assert constraint.violation() < 1e-6
