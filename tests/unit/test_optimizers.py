"""Every optimizer of torch keeps its weights on the set; what it does to the rest is its own affair."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from nets import mixed_batch, mixed_net, mlp, saved_and_loaded, train
from torch import nn
from torch.optim import Optimizer

import cwn_lite as cwn

KEYWORDS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.05, "momentum": 0.9},
    "Adam": {"lr": 0.01, "weight_decay": 1e-3},
    "AdamW": {"lr": 0.01},
    "Adagrad": {"lr": 0.05},
    "RMSprop": {"lr": 0.003, "momentum": 0.5, "centered": True},
    "Adadelta": {"lr": 1.0},
    "Adamax": {"lr": 0.01},
    "NAdam": {"lr": 0.01},
    "RAdam": {"lr": 0.01},
    "ASGD": {"lr": 0.05, "t0": 2},
    "Rprop": {"lr": 0.003},
    "LBFGS": {"lr": 1.0, "max_iter": 3, "line_search_fn": "strong_wolfe"},
    "Adafactor": {"lr": 0.02},
    "Muon": {"lr": 0.02},
}
NOT_APPLICABLE = {"SparseAdam": "takes sparse gradients only, and constrained weights are dense"}
present = [name for name in KEYWORDS if hasattr(torch.optim, name)]


def build(name: str, parameters: Iterable[nn.Parameter], **extra: Any) -> Optimizer:
    make: Callable[..., Optimizer] = getattr(torch.optim, name)
    return make(list(parameters), **{**KEYWORDS[name], **extra})


def test_the_registry_knows_every_optimizer_of_torch() -> None:
    """Goes red when torch gains an optimizer: add it to KEYWORDS, or say why it cannot apply."""
    exported = {name: getattr(torch.optim, name) for name in torch.optim.__all__}
    optimizers = {
        name
        for name, value in exported.items()
        if inspect.isclass(value) and issubclass(value, Optimizer) and value is not Optimizer
    }
    assert optimizers <= KEYWORDS.keys() | NOT_APPLICABLE.keys()
    assert {"SGD", "Adam", "AdamW", "Adagrad"} <= set(present)


@pytest.mark.parametrize("name", present)
@pytest.mark.parametrize(("centralize", "spherize"), [(True, True), (True, False), (False, True)])
def test_every_optimizer_stays_on_the_set_and_learns(name: str, centralize: bool, spherize: bool) -> None:
    """Checked after each of 25 steps; without the hook the same steps leave the set."""
    model, x, y = mlp().double(), torch.randn(64, 6).double(), torch.randint(3, (64,))
    optimizer = build(name, model.parameters())
    constraint = cwn.constrain(optimizer, model, c=3.0, centralize=centralize, spherize=spherize)
    start = copy.deepcopy(model)
    violations: list[float] = []
    train(model, optimizer, (x, y), 25, after=lambda: violations.append(constraint.violation()))
    assert len(violations) == 25 and max(violations) < 1e-14
    loss = nn.functional.cross_entropy
    assert loss(model(x), y) < loss(start(x), y)
    for weight, before in zip(model.parameters(), start.parameters(), strict=True):
        assert (weight - before).abs().max() > 1e-4, "every weight moved"
    unguarded = build(name, start.parameters())
    constraint = cwn.constrain(unguarded, start, c=3.0, centralize=centralize, spherize=spherize)
    constraint.remove()
    train(start, unguarded, (x, y), 5)
    assert constraint.violation() > 1e-6


@pytest.mark.parametrize("name", present)
def test_state_dict_round_trip_then_a_step_equals_undisturbed(name: str) -> None:
    """The state dict of a constrained optimizer is that of a plain one, and loading it loses nothing."""
    model, batch = mlp().double(), (torch.randn(32, 6).double(), torch.randint(3, (32,)))
    optimizer = build(name, model.parameters())
    cwn.constrain(optimizer, model)
    train(model, optimizer, batch, 3)

    resumed = mlp().double()
    resumed_optimizer = build(name, resumed.parameters())
    constraint = cwn.constrain(resumed_optimizer, resumed)
    checkpoint = saved_and_loaded(model, optimizer)
    resumed.load_state_dict(checkpoint["model"])
    resumed_optimizer.load_state_dict(checkpoint["optimizer"])
    for steps in (1, 3):
        train(model, optimizer, batch, steps)
        train(resumed, resumed_optimizer, batch, steps)
        for weight, expected in zip(resumed.parameters(), model.parameters(), strict=True):
            # NAdam's own state dict rounds a product of its coefficients to float32, constrained or not.
            torch.testing.assert_close(weight, expected, rtol=0, atol=1e-9 if name == "NAdam" else 0)
    assert constraint.violation() < 1e-14


@pytest.mark.parametrize("name", [n for n in present if n not in ("LBFGS", "Muon")])
def test_a_weight_without_gradient_is_not_touched(name: str) -> None:
    """Bit for bit, also where it is off the set, and in a model of all layer kinds."""
    model = mixed_net()
    optimizer = build(name, model.parameters())
    constraint = cwn.constrain(optimizer, model)
    with torch.no_grad():
        model[3].weight.add_(0.125)
    idle = model[3].weight.detach().clone()
    x, y = mixed_batch()
    nn.functional.cross_entropy(model(x), y).backward()
    model[3].weight.grad = None
    moving = model[0].weight.detach().clone()
    optimizer.step()
    assert torch.equal(model[3].weight, idle)
    assert not torch.equal(model[0].weight, moving)
    model[3].weight.grad = torch.zeros_like(idle)
    optimizer.step()
    assert constraint.violation() < 1e-14, "with a gradient, if only a zero one, it is projected"


def test_gradients_are_only_read() -> None:
    """Some peers add the decay or a centring to `p.grad` itself, which breaks accumulation and logging."""
    model = mixed_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True)
    cwn.constrain(optimizer, model)
    x, y = mixed_batch()
    nn.functional.cross_entropy(model(x), y).backward()
    before = [p.grad.clone() for p in model.parameters()]
    for _ in range(2):
        optimizer.step()
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), before, strict=True))


def test_hooks_of_others_run_once_per_step() -> None:
    """A subclass calling `super().step()` would run them twice; a hook does not."""
    model = mixed_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    calls: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: calls.append("pre"))
    optimizer.register_step_post_hook(lambda *_: calls.append("post"))
    cwn.constrain(optimizer, model)
    train(model, optimizer, mixed_batch(), 2)
    assert calls == ["pre", "post", "pre", "post"]
