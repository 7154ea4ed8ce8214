"""Stock SGD and the projection hook are Algorithm 1 to rounding; without the hook, plain SGD to the bit."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from nets import MIXED_ROWS, mixed_batch, mixed_net, train
from torch import nn
from torch.nn import functional as F

import cwn_lite as cwn

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "dampening": {"momentum": 0.8, "dampening": 0.5},
    "the paper's": {"momentum": 0.9, "weight_decay": 1e-3},
    "maximize": {"momentum": 0.5, "weight_decay": 1e-2, "maximize": True},
}
variants = pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)


class Algorithm1:
    """The paper's algorithm to the letter, with the gradient centred before momentum; weights are never centred."""

    def __init__(
        self, model, rows, c, lr, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0, maximize=False
    ):
        self.__dict__.update({k: v for k, v in locals().items() if k != "self"})
        self.buffers: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def step(self) -> None:
        for name, w in self.model.named_parameters():
            g = (-w.grad if self.maximize else w.grad) + self.weight_decay * w
            if name in self.rows:
                g = g - g.mean(self.rows[name], keepdim=True)
            if self.momentum:
                first = name not in self.buffers
                self.buffers[name] = g if first else self.momentum * self.buffers[name] + (1 - self.dampening) * g
                g = g + self.momentum * self.buffers[name] if self.nesterov else self.buffers[name]
            w -= self.lr * g
            if name in self.rows:
                w *= math.sqrt(self.c) / w.square().sum(self.rows[name], keepdim=True).sqrt()


@torch.no_grad()
def furthest(a: nn.Module, b: nn.Module) -> float:
    return max(float((p - q).abs().max()) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@variants
def test_sgd_equals_algorithm_1_over_500_steps(options: dict[str, Any]) -> None:
    model, c = mixed_net(), 2.0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, **options)
    constraint = cwn.constrain(optimizer, model, c=c)
    assert constraint.names == tuple(MIXED_ROWS), "the oracle constrains the same weights"
    twin = copy.deepcopy(model)
    start = copy.deepcopy(model)
    oracle = Algorithm1(twin, MIXED_ROWS, c, lr=0.05, **options)
    x, y = batch = mixed_batch()
    sign = -1.0 if options.get("maximize") else 1.0
    for _ in range(500):
        train(model, optimizer, batch, sign=sign)
        twin.zero_grad()
        (sign * F.cross_entropy(twin(x), y)).backward()
        oracle.step()
    assert furthest(model, twin) < 1e-12
    assert furthest(model, start) > 0.1, "the network did train"
    assert F.cross_entropy(model(x), y) < 0.5 * F.cross_entropy(start(x), y)


@variants
def test_with_the_handle_removed_it_is_plain_sgd_to_the_bit(options: dict[str, Any]) -> None:
    model = mixed_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, **options)
    cwn.constrain(optimizer, model).remove()
    plain = copy.deepcopy(model)
    train(model, optimizer, mixed_batch(), steps=20)
    train(plain, torch.optim.SGD(plain.parameters(), lr=0.05, **options), mixed_batch(), steps=20)
    assert furthest(model, plain) == 0.0


def test_free_parameters_take_plain_steps() -> None:
    """One step from the same point: what is not constrained moves as without the constraint, to the bit."""
    model = mixed_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    constraint = cwn.constrain(optimizer, model)
    plain = copy.deepcopy(model)
    train(model, optimizer, mixed_batch())
    train(plain, torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.9), mixed_batch())
    for (name, p), q in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(p, q) == (name not in constraint.names), name


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad])
def test_foreach_fused_and_loop_agree(kind: type[torch.optim.Optimizer]) -> None:
    models = {}
    start = mixed_net()
    for options in ({"foreach": False}, {"foreach": True}, {"fused": True}):
        model = copy.deepcopy(start)
        optimizer = kind(model.parameters(), lr=0.01, weight_decay=1e-3, **options)
        constraint = cwn.constrain(optimizer, model)
        train(model, optimizer, mixed_batch(), steps=20)
        assert constraint.violation() < 1e-14
        models[next(iter(options.items()))] = model
    loop, *others = models.values()
    assert all(furthest(loop, other) < 1e-12 for other in others)
    assert furthest(loop, start) > 0.01


def test_weight_decay_only_changes_the_learning_rate() -> None:
    """Without momentum, decay λ on a constrained row is a step with α / (1 − αλ)."""
    lr, decay = 0.2, 0.5
    decayed, scaled = mixed_net(), mixed_net()
    scaled.load_state_dict(decayed.state_dict())
    for model, options in ((decayed, {"lr": lr, "weight_decay": decay}), (scaled, {"lr": lr / (1 - lr * decay)})):
        optimizer = torch.optim.SGD(model.parameters(), **options)
        cwn.constrain(optimizer, model)
        train(model, optimizer, mixed_batch())
    for name in MIXED_ROWS:
        torch.testing.assert_close(decayed.get_parameter(name), scaled.get_parameter(name), rtol=1e-13, atol=1e-14)
