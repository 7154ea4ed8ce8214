"""The constraint among what real training loops do: gradient scaling, schedules, groups, compilation, formats."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from nets import mixed_batch, mixed_net, scaled_step, train
from torch import nn
from torch.nn import functional as F

import cwn_lite as cwn


@pytest.mark.parametrize(
    "options", [{"foreach": False}, {"foreach": True}, {"fused": True}], ids=lambda o: next(iter(o))
)
def test_a_step_that_the_gradient_scaler_skips_moves_nothing(options: dict[str, bool]) -> None:
    """A fused optimizer is stepped even when the gradients overflowed, and so the hook runs: by rounding at most."""
    model = mixed_net().float()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, **options)
    constraint = cwn.constrain(optimizer, model)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    scaled_step(model, optimizer, scaler)
    before = copy.deepcopy(model.state_dict())
    scaled_step(model, optimizer, scaler, poisoned=model[3].weight)
    assert scaler.get_scale() == 2.0**9, "the overflow was seen"
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=5e-7 if name in constraint.names else 0)
    scaled_step(model, optimizer, scaler)
    assert constraint.violation() < 1e-6
    assert not torch.equal(model[3].weight, before["3.weight"])


def test_a_learning_rate_schedule_acts_and_does_not_warn() -> None:
    model = mixed_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    constraint = cwn.constrain(optimizer, model)  # behind the schedule, which wraps optimizer.step
    moves = []
    for _ in range(4):
        before = model[8].weight.detach().clone()
        train(model, optimizer, mixed_batch())
        schedule.step()
        moves.append(float((model[8].weight.detach() - before).norm()))
        assert constraint.violation() < 1e-14
    assert optimizer.param_groups[0]["lr"] < 1e-9
    before = model[8].weight.detach().clone()
    train(model, optimizer, mixed_batch())
    assert (model[8].weight - before).abs().max() < 1e-8 < min(moves), "a learning rate of 0 stands still"


def test_groups_with_their_own_settings_and_a_group_added_later() -> None:
    model = mixed_net()
    body, head = [p for m in model[:8] for p in m.parameters()], [p for m in model[9:] for p in m.parameters()]
    groups = [{"params": body, "lr": 0.05, "weight_decay": 0.1}, {"params": head, "lr": 0.2, "momentum": 0.5}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    early = cwn.constrain(optimizer, model, exclude=("8",))
    optimizer.add_param_group({"params": list(model[8].parameters()), "lr": 0.01})
    late = cwn.constrain(optimizer, model, c=3.0, exclude=("0", "3", "5"))
    train(model, optimizer, mixed_batch(), 5)
    assert early.names == ("0.weight", "3.weight", "5.weight") and late.names == ("8.weight",)
    assert max(early.violation(), late.violation()) < 1e-14


def test_accumulated_gradients_and_several_optimizers() -> None:
    """One optimizer for each half of the model: each keeps its own weights."""
    model = mixed_net()
    halves = [model[:5], model[5:]]
    optimizers = [torch.optim.SGD(half.parameters(), lr=0.1) for half in halves]
    classifiers = [(), None]  # the first half has none
    constraints = [cwn.constrain(*pair, classifier=c) for *pair, c in zip(optimizers, halves, classifiers, strict=True)]
    x, y = mixed_batch()
    for rows in (slice(0, 8), slice(8, 16)):
        F.cross_entropy(model(x[rows]), y[rows]).backward()
    for optimizer in optimizers:
        optimizer.step()
    assert [c.names for c in constraints] == [("0.weight", "3.weight"), ("5.weight", "8.weight")]
    assert max(c.violation() for c in constraints) < 1e-14


@pytest.mark.slow
def test_a_compiled_model_trains_as_the_plain_one() -> None:
    """Same weights after the same steps, whether or not the forward and backward pass are compiled."""
    plain = mixed_net()
    compiled = copy.deepcopy(plain)
    for model, forward in ((plain, plain), (compiled, torch.compile(compiled, backend="aot_eager", fullgraph=True))):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        constraint = cwn.constrain(optimizer, forward)
        train(forward, optimizer, mixed_batch(), 3)
        assert constraint.violation() < 1e-14
    for a, b in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_a_channels_last_model_trains_on_the_set() -> None:
    plain, packed = mixed_net(), mixed_net()
    packed.load_state_dict(plain.state_dict())
    packed = packed.to(memory_format=torch.channels_last)
    for model in (plain, packed):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        constraint = cwn.constrain(optimizer, model)
        train(model, optimizer, mixed_batch(), 5)
        assert constraint.violation() < 1e-14
    assert packed[3].weight.is_contiguous(memory_format=torch.channels_last) and not packed[3].weight.is_contiguous()
    for a, b in zip(plain.parameters(), packed.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_a_model_converted_after_attaching_is_still_held() -> None:
    model = mixed_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    constraint = cwn.constrain(optimizer, model)
    model.to(torch.float32)
    x, y = mixed_batch()
    train(model, optimizer, (x.float(), y), 3)
    assert model[0].weight.dtype == torch.float32 and 1e-15 < constraint.violation() < 1e-6


def test_weights_in_bfloat16_stay_as_near_as_their_bits_allow() -> None:
    """The projection of a stored weight is exact to its rounding: 2⁻⁸ for each number, less for norm and mean."""
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3)).to(torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    constraint = cwn.constrain(optimizer, model)
    x, y = torch.randn(32, 64, dtype=torch.bfloat16), torch.randint(3, (32,))
    train(model, optimizer, (x, y), 5)
    assert constraint.violation() < 2**-8


def test_averages_and_copies_of_the_model_are_no_concern_of_the_hook() -> None:
    model = mixed_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    constraint = cwn.constrain(optimizer, model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        average = torch.optim.swa_utils.AveragedModel(model)
    train(model, optimizer, mixed_batch(), 3, after=lambda: average.update_parameters(model))
    assert constraint.violation() < 1e-14
    assert not torch.equal(average.module[0].weight, model[0].weight)
