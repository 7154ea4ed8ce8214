"""`AngularMuon` and its groups: what is promised of an optimizer of torch, and the step against a plain oracle."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from nets import MIXED_ROWS, mixed_batch, mixed_net, saved_and_loaded, scaled_step, train
from refusals import refused
from torch import Tensor, nn
from torch.nn import functional as F

import cwn_lite as cwn
from cwn_lite.turning import pull


def optimizer_of(model: nn.Module, lr: float = 0.05, **options: Any) -> cwn.AngularMuon:
    return cwn.AngularMuon(cwn.angular_groups(model, lr), **options)


def as_matrices(weight: Tensor, name: str) -> list[Tensor]:
    """The matrices of the weights of `mixed_net`, written down by hand."""
    if name == "3.weight":  # two groups of three outputs
        return [part.flatten(1) for part in weight.split(3)]
    if name == "5.weight":  # transposed: (in, out, kernel)
        return [weight.transpose(0, 1).flatten(1)]
    return [weight.flatten(1)]


def polar(m: Tensor) -> Tensor:
    u, s, vh = torch.linalg.svd(m, full_matrices=False)
    keep = s > 1e-9 * s[0]
    return u[:, keep] @ vh[keep]


def test_three_steps_are_those_of_a_plain_oracle() -> None:
    """Momentum of the gradient, its look-ahead, tangent part, polar factor, pull, projection; AdamW for the rest."""
    model = mixed_net()
    optimizer = optimizer_of(model, 0.05)
    cwn.constrain(optimizer, model, c=3.0)
    twin = copy.deepcopy(model)
    rest = [(name, p) for name, p in twin.named_parameters() if name not in MIXED_ROWS]
    decayed = [p for name, p in rest if name == "10.weight"]
    free = [p for name, p in rest if name != "10.weight"]
    adam = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": free, "weight_decay": 0.0}], lr=0.01, betas=(0.9, 0.99)
    )
    momenta = {name: torch.zeros_like(twin.get_parameter(name)) for name in MIXED_ROWS}
    x, y = mixed_batch()
    for _ in range(3):
        before = {name: model.get_parameter(name).detach().clone() for name in MIXED_ROWS}
        train(model, optimizer, (x, y))
        twin.zero_grad()
        F.cross_entropy(twin(x), y).backward()
        adam.step()
        for name in MIXED_ROWS:
            weight = twin.get_parameter(name)
            assert weight.grad is not None
            momenta[name] = 0.9 * momenta[name] + weight.grad
            ahead = weight.grad + 0.9 * momenta[name]
            new = []
            for w, d in zip(as_matrices(weight.detach(), name), as_matrices(ahead, name), strict=True):
                d = d - d.mean(1, keepdim=True)
                unit = w / w.norm(dim=1, keepdim=True)
                d = d - unit * (unit * d).sum(1, keepdim=True)
                step = polar(d) * w.norm() / math.sqrt(min(w.shape))
                pull = w @ w.mT @ w / (3.0 * (1 + math.sqrt(w.shape[0] / w.shape[1])) ** 2)
                new.append(cwn.project_rows(w - 0.05 * (step + pull), c=3.0))
            for mine, expected in zip(as_matrices(model.get_parameter(name).detach(), name), new, strict=True):
                moved = as_matrices(before[name], name)
                length = sum(float((e - b).norm()) for e, b in zip(new, moved, strict=True))
                # `orthogonalize` is right to a tenth.
                assert (mine - expected).norm() < 0.12 * length
            with torch.no_grad():
                weight.copy_(model.get_parameter(name))
        for (name, p), mine in zip(rest, (model.get_parameter(n) for n, _ in rest), strict=True):
            torch.testing.assert_close(mine.detach(), p.detach(), msg=name)


def test_the_groups_hold_each_parameter_once_in_its_place() -> None:
    model = mixed_net()
    groups = cwn.angular_groups(model, 0.02, rest=0.5, weight_decay=0.1)
    turning = [group for group in groups if group["turn"]]
    assert [(g["transposed"], g["groups"], len(g["params"])) for g in turning] == [
        (False, 1, 2),
        (False, 2, 1),
        (True, 1, 1),
    ]
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    decayed, free = [group for group in groups if not group["turn"]]
    assert [p.shape for p in decayed["params"]] == [(3, 8)] and decayed["weight_decay"] == 0.1
    assert all(p.ndim == 1 for p in free["params"]) and free["weight_decay"] == 0.0
    assert {g["lr"] for g in turning} == {0.02} and decayed["lr"] == free["lr"] == 0.01


def test_the_groups_are_of_the_weights_that_constrain_takes() -> None:
    model = mixed_net()
    for said in ({}, {"exclude": ("0",)}, {"include": ("10",)}, {"classifier": ("8",)}):
        fresh = copy.deepcopy(model)
        groups = cwn.angular_groups(fresh, **said)
        turning = {id(p) for group in groups if group["turn"] for p in group["params"]}
        constraint = cwn.constrain(cwn.AngularMuon(groups), fresh, **said)
        assert turning == {id(fresh.get_parameter(name)) for name in constraint.names}


def test_batch_norm_gets_the_same_steps() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 4))
    optimizer = cwn.AngularMuon(cwn.angular_groups(model, 0.02, centralize=False), coherence_decay=0.0)
    x, y = torch.randn(32, 3, 6, 6) + 1, torch.randint(4, (32,))
    before, start = copy.deepcopy(model), float(F.cross_entropy(model(x), y).detach())
    train(model, optimizer, (x, y), 1)
    first = model[0].weight.detach() - before[0].weight.detach()
    turn = first.norm() / before[0].weight.detach().norm()
    assert 0.015 < turn < 0.022 and first.mean().abs() > 1e-6
    train(model, optimizer, (x, y), 20)
    assert float(F.cross_entropy(model(x), y).detach()) < 0.5 * start


@pytest.mark.parametrize("options", [{}, {"nesterov": False, "coherence_decay": 0.0}, {"momentum": 0.0}])
def test_it_learns_and_stays_on_the_set(options: dict[str, Any]) -> None:
    model = mixed_net()
    optimizer = optimizer_of(model, 0.05, **options)
    constraint = cwn.constrain(optimizer, model, c=3.0)
    x, y = mixed_batch()
    start = float(F.cross_entropy(model(x), y).detach())
    violations: list[float] = []
    train(model, optimizer, (x, y), 30, after=lambda: violations.append(constraint.violation()))
    assert max(violations) < 1e-14
    assert float(F.cross_entropy(model(x), y).detach()) < 0.5 * start


def test_state_dict_round_trip_then_steps_equal_undisturbed() -> None:
    model, batch = mixed_net(), mixed_batch()
    optimizer = optimizer_of(model)
    cwn.constrain(optimizer, model)
    train(model, optimizer, batch, 3)
    resumed = mixed_net()
    resumed_optimizer = optimizer_of(resumed, 0.3)
    cwn.constrain(resumed_optimizer, resumed)
    checkpoint = saved_and_loaded(model, optimizer)
    resumed.load_state_dict(checkpoint["model"])
    resumed_optimizer.load_state_dict(checkpoint["optimizer"])
    assert resumed_optimizer.param_groups[0]["lr"] == 0.05, "rates come from the checkpoint, as in torch"
    train(model, optimizer, batch, 3)
    train(resumed, resumed_optimizer, batch, 3)
    for weight, expected in zip(resumed.parameters(), model.parameters(), strict=True):
        assert torch.equal(weight, expected)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=4),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda step: 0.5**step),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, [g["lr"] for g in o.param_groups], total_steps=8),
    ],
)
def test_schedules_turn_the_rates_of_all_groups(schedule: Callable[[Any], Any]) -> None:
    model = mixed_net()
    # OneCycleLR moves the momentum, of AdamW by its betas: it asks for one of the two in the defaults.
    optimizer = optimizer_of(model)
    scheduler = schedule(optimizer)
    cwn.constrain(optimizer, model)
    seen = []
    for _ in range(4):
        train(model, optimizer, mixed_batch())
        seen.append([group["lr"] for group in optimizer.param_groups])
        scheduler.step()
    assert all(math.isclose(a[0] / a[-1], 5.0) for a in seen), "in their proportion"
    assert len({a[0] for a in seen}) == 4


def test_the_rate_may_be_a_tensor() -> None:
    model, twin = mixed_net(), None
    twin = copy.deepcopy(model)
    for net, lr in ((model, 0.05), (twin, torch.tensor(0.05, dtype=torch.float64))):
        turning = cwn.angular_groups(net)[:3]
        train(net, cwn.AngularMuon([group | {"lr": lr} for group in turning]), mixed_batch(), 3)
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_gradient_scaling_skips_a_step_that_overflowed() -> None:
    model = mixed_net().float()
    optimizer = optimizer_of(model)
    constraint = cwn.constrain(optimizer, model)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    scaled_step(model, optimizer, scaler)
    before = copy.deepcopy(model.state_dict())
    scaled_step(model, optimizer, scaler, poisoned=model[3].weight)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    scaled_step(model, optimizer, scaler)
    assert constraint.violation() < 1e-6 and not torch.equal(model[3].weight, before["3.weight"])


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_a_row_without_usable_gradient_stays_and_comes_back(value: float) -> None:
    """Also with momentum from before; and nothing non-finite is remembered."""
    model = mixed_net()
    optimizer = optimizer_of(model)
    x, y = mixed_batch()
    train(model, optimizer, (x, y), 2)
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    grad = model[0].weight.grad
    assert grad is not None
    grad[1] = value
    before = model[0].weight.detach().clone()
    optimizer.step()
    moved = (model[0].weight.detach() - before).flatten(1).norm(dim=1)
    assert moved[1] == 0 and (moved[[0, 2, 3]] > 1e-3).all()
    train(model, optimizer, (x, y), 1)
    assert all(p.isfinite().all() for p in model.parameters())
    assert not torch.equal(model[0].weight[1], before[1])


def test_a_parameter_without_gradient_is_not_touched() -> None:
    model = mixed_net()
    optimizer = optimizer_of(model)
    F.cross_entropy(model(mixed_batch()[0]), mixed_batch()[1]).backward()
    model[3].weight.grad = None
    model[10].weight.grad = None
    before = copy.deepcopy(model)
    optimizer.step()
    assert torch.equal(model[3].weight, before[3].weight) and torch.equal(model[10].weight, before[10].weight)
    assert not torch.equal(model[0].weight, before[0].weight)
    assert all(
        torch.equal(p.grad, q.grad)
        for p, q in zip(model.parameters(), before.parameters(), strict=True)
        if q.grad is not None
    )


def test_memory_formats_and_batching_change_nothing_but_rounding() -> None:
    torch.manual_seed(0)

    def net() -> nn.Sequential:
        return nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(3))).double()

    together, apart, last = net(), None, None
    apart, last = copy.deepcopy(together), copy.deepcopy(together).to(memory_format=torch.channels_last)
    x = torch.randn(8, 4, 5, 5, dtype=torch.float64)
    steps: list[tuple[nn.Module, list[torch.optim.Optimizer]]] = [
        (together, [cwn.AngularMuon(together.parameters())]),
        (last, [cwn.AngularMuon(last.parameters())]),
        (apart, [cwn.AngularMuon([p]) for p in apart.parameters()]),
    ]
    for model, optimizers in steps:
        for _ in range(3):
            model.zero_grad()
            model(x).square().mean().backward()
            for optimizer in optimizers:
                optimizer.step()
    assert last[0].weight.is_contiguous(memory_format=torch.channels_last)
    for a, b, c in zip(together.parameters(), apart.parameters(), last.parameters(), strict=True):
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(a, c)


def test_depthwise_rows_turn_each_on_its_own() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 6, 3, groups=6, bias=False)
    model = nn.Sequential(layer, cwn.ScaleBias(6), nn.Flatten(), nn.Linear(6, 2))
    optimizer = optimizer_of(model, 0.1, coherence_decay=0.0)
    cwn.constrain(optimizer, model)
    before = layer.weight.detach().flatten(1).clone()
    x, y = torch.randn(16, 6, 3, 3), torch.randint(2, (16,))
    train(model, optimizer, (x, y))
    after = layer.weight.detach().flatten(1)
    angles = torch.acos((before * after).sum(1) / (before.norm(dim=1) * after.norm(dim=1)))
    torch.testing.assert_close(angles, torch.full((6,), math.atan(0.1)), rtol=0.11, atol=0)


def test_a_copy_of_the_optimizer_steps_alike() -> None:
    model = mixed_net()
    optimizer = optimizer_of(model)
    train(model, optimizer, mixed_batch(), 2)
    both = copy.deepcopy({"model": model, "optimizer": optimizer})
    train(model, optimizer, mixed_batch(), 2)
    train(both["model"], both["optimizer"], mixed_batch(), 2)
    for a, b in zip(model.parameters(), both["model"].parameters(), strict=True):
        assert torch.equal(a, b)


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"lr": -0.1}, ValueError, "lr must not be negative, got -0.1"),
    ({"lr": math.nan}, ValueError, "lr must be finite"),
    ({"lr": "0.1"}, TypeError, "lr must be a number"),
    ({"momentum": 1.0}, ValueError, "momentum must be below 1, got 1.0"),
    ({"betas": (0.9, 1.0)}, ValueError, "each of betas must be below 1, got 1.0"),
    ({"coherence_decay": -1}, ValueError, "coherence_decay must not be negative"),
    ({"weight_decay": -1}, ValueError, "weight_decay"),
    ({"eps": -1}, ValueError, "eps"),
    ({"nesterov": 1}, TypeError, "nesterov must be True or False"),
    ({"turn": "yes"}, TypeError, "turn must be True or False"),
    ({"centralize": None}, TypeError, "centralize"),
]


@pytest.mark.parametrize(("options", "error", "words"), BAD, ids=lambda v: str(v)[:30])
def test_bad_values_are_named(options: dict[str, Any], error: type[Exception], words: str) -> None:
    weight = nn.Parameter(torch.randn(4, 4))
    with refused(error, words):
        cwn.AngularMuon([weight], **options)
    optimizer = cwn.AngularMuon([weight])
    with refused(error, words):
        optimizer.add_param_group({"params": [nn.Parameter(torch.randn(4, 4))], **options})
    assert len(optimizer.param_groups) == 1


def test_parameters_that_cannot_turn_are_named() -> None:
    with refused(ValueError, "shape (3,)", "turn=False"):
        cwn.AngularMuon([nn.Parameter(torch.randn(3))])
    for shape, stored in (((5, 1), {}), ((2, 1, 1, 1), {}), ((2, 3), {"transposed": True, "groups": 2})):
        with refused(ValueError, str(shape), "rows of one number", "turn=False"):
            cwn.AngularMuon([{"params": [nn.Parameter(torch.randn(shape))], **stored}])
    with pytest.raises(KeyError, match="params"):  # as torch says it
        cwn.AngularMuon([{"params": [nn.Parameter(torch.randn(3, 3))]}, {"param": [nn.Parameter(torch.randn(3, 3))]}])
    with refused(TypeError, "complex64"):
        cwn.AngularMuon([nn.Parameter(torch.randn(3, 3, dtype=torch.complex64))])
    with refused(ValueError, "rest"):
        cwn.angular_groups(mixed_net(), rest=-1)
    with refused(ValueError, "lr"):
        cwn.angular_groups(mixed_net(), -0.1)
    with refused(TypeError, "model"):
        cwn.angular_groups([mixed_net()])  # type: ignore[arg-type]


def test_a_momentum_that_overflowed_recovers() -> None:
    weight = nn.Parameter(torch.randn(4, 8).half())
    optimizer = cwn.AngularMuon([weight])
    for _ in range(4):
        weight.grad = torch.full_like(weight, 30_000.0)
        optimizer.step()
    assert optimizer.state[weight]["momentum_buffer"].isfinite().all()
    before = weight.detach().clone()
    weight.grad = torch.randn(4, 8).half()
    optimizer.step()
    assert weight.isfinite().all() and not torch.equal(weight, before)


def test_sparse_gradients_are_refused_before_anything_moves() -> None:
    model = nn.Sequential(nn.Embedding(5, 4, sparse=True), nn.Flatten(), nn.Linear(8, 3))
    groups = [{"params": [model[2].weight]}, {"params": [model[0].weight, model[2].bias], "turn": False}]
    optimizer = cwn.AngularMuon(groups)
    model(torch.tensor([[0, 1]])).sum().backward()
    before = copy.deepcopy(model)
    with refused(RuntimeError, "sparse"):
        optimizer.step()
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before.parameters(), strict=True))


def test_states_of_others_and_groups_that_change_their_kind() -> None:
    model = mixed_net()
    sgd = torch.optim.SGD([model[0].weight], lr=0.1, momentum=0.9)
    optimizer = cwn.AngularMuon([model[0].weight])
    optimizer.load_state_dict(sgd.state_dict())
    train(model, optimizer, mixed_batch(), 1)
    assert optimizer.param_groups[0]["turn"] is False, "SGD's weights did not turn"
    optimizer = cwn.AngularMuon([model[0].weight])
    train(model, optimizer, mixed_batch(), 1)
    optimizer.param_groups[0]["turn"] = False
    train(model, optimizer, mixed_batch(), 1)
    assert "exp_avg" in optimizer.state[model[0].weight]


def test_parameters_without_values_are_passed_over() -> None:
    empty, weight = nn.Parameter(torch.zeros(0, 4)), nn.Parameter(torch.randn(4, 4))
    optimizer = cwn.AngularMuon([empty, weight])
    for p in (empty, weight):
        p.grad = torch.randn_like(p)
    optimizer.step()
    assert weight.isfinite().all()


def test_layers_of_different_c_may_share_groups() -> None:
    model = mixed_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    cwn.constrain(optimizer, model, c=2.0, exclude=("8",)).remove()
    cwn.constrain(optimizer, model, c=3.0, exclude=("0", "3", "5"), include=("8",)).remove()
    assert cwn.angular_groups(model, exclude=())


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"betas": (0.9,)}, TypeError, "betas must be two numbers"),
    ({"betas": 0.9}, TypeError, "betas must be two numbers"),
    ({"lr": torch.tensor(-1.0)}, ValueError, "lr must not be negative"),
    ({"lr": torch.tensor([0.1, 0.2])}, ValueError, "lr must hold one number"),
]


@pytest.mark.parametrize(("options", "error", "words"), WRONG, ids=lambda v: str(v)[:30])
def test_more_bad_values_are_named(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with refused(error, words):
        cwn.AngularMuon([nn.Parameter(torch.randn(4, 4))], **options)


def test_groups_that_do_not_divide_a_weight_are_named_before_a_step() -> None:
    with refused(ValueError, "groups is 3", "(8, 3, 3, 3)"):
        cwn.AngularMuon([{"params": [nn.Parameter(torch.randn(8, 3, 3, 3))], "groups": 3}])
    with refused(TypeError, "set"):
        cwn.AngularMuon([{"params": {nn.Parameter(torch.randn(4, 4))}}])


def test_a_graph_is_captured_on_a_gpu_alone() -> None:
    with pytest.raises(ValueError, match=r"capturable is for parameters on a GPU, got one on cpu"):
        optimizer_of(mixed_net(), capturable=True)
    optimizer = optimizer_of(mixed_net())
    groups = len(optimizer.param_groups)
    with pytest.raises(ValueError, match="capturable"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.randn(4, 4))], "capturable": True})
    assert len(optimizer.param_groups) == groups
    with pytest.raises(TypeError, match="capturable"):
        optimizer_of(mixed_net(), capturable=1)


def test_a_state_of_captured_steps_goes_on_without() -> None:
    net, ends = mixed_net(), []
    for captured in (False, True):
        model = copy.deepcopy(net)
        optimizer = optimizer_of(model)
        train(model, optimizer, mixed_batch(), 2)
        state = optimizer.state_dict()
        for group in state["param_groups"] if captured else ():  # as it would be of a GPU
            group |= {"capturable": True, "lr": torch.tensor(group["lr"])}
        resumed = optimizer_of(model)
        resumed.load_state_dict(copy.deepcopy(state))
        assert not any(group["capturable"] for group in resumed.param_groups)
        train(model, resumed, mixed_batch(), 2)
        ends.append([p.detach() for p in model.parameters()])
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


def test_a_state_that_does_not_fit_is_refused_in_torchs_words() -> None:
    state = optimizer_of(mixed_net()).state_dict()
    state["param_groups"] = state["param_groups"][:1]
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer_of(mixed_net()).load_state_dict(state)


def test_what_orthogonalizes_is_held_for_as_many_steps_as_asked_for() -> None:
    """A twin that orthogonalizes at each step begins each from the same weights and momenta."""
    model = mixed_net()
    optimizer = optimizer_of(model, orthogonalize_every=3)
    differing = []
    for step in range(7):
        twin = copy.deepcopy(model)
        state = copy.deepcopy(optimizer.state_dict())
        for group in state["param_groups"]:
            group["orthogonalize_every"] = 1
        each = optimizer_of(twin)
        each.load_state_dict(state)
        before = model[0].weight.detach().clone()
        for net, own in ((model, optimizer), (twin, each)):
            train(net, own, tuple(part.roll(step, 0) for part in mixed_batch()), 1)
        apart = max(float((model.get_parameter(n) - twin.get_parameter(n)).detach().norm()) for n in MIXED_ROWS)
        turn = float((model[0].weight.detach() - before).norm())
        differing.append(apart > 1e-3 * turn)
        assert apart < turn, "what is held still serves"
    assert differing == [False, True, True, False, True, True, False]


def test_the_step_between_is_that_of_a_plain_oracle() -> None:
    """The inverse root of the first step's Gram matrix, times the second's tangent direction, brought to its size."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(6, 20, dtype=torch.float64))
    optimizer = cwn.AngularMuon([weight], lr=0.05, orthogonalize_every=2, coherence_decay=0.0)
    momentum = torch.zeros(6, 20, dtype=torch.float64)
    tangents = []
    for _ in range(2):
        grad = torch.randn(6, 20, dtype=torch.float64)
        momentum = 0.9 * momentum + grad
        before = weight.detach().clone()
        d = grad + 0.9 * momentum
        d = d - d.mean(1, keepdim=True)
        unit = before / before.norm(dim=1, keepdim=True)
        tangents.append(d - unit * (unit * d).sum(1, keepdim=True))
        weight.grad = grad
        optimizer.step()
    first, second = tangents
    values, vectors = torch.linalg.eigh(first @ first.mT)
    step = vectors @ torch.diag(values.rsqrt()) @ vectors.mT @ second
    step = step * math.sqrt(6) / step.norm()
    step = step / (step.norm(dim=1, keepdim=True) / 1.1).clamp_min(1)  # the longest row `orthogonalize` may leave
    expected = before - 0.05 * before.norm() / math.sqrt(6) * step
    moved = (expected - before).norm()
    assert (weight.detach() - expected).norm() < 0.12 * moved  # `orthogonalize` is right to a tenth
    assert float((weight.detach() - before).norm()) == pytest.approx(float(moved), rel=0.1)


def test_held_steps_follow_the_rate_and_leave_rows_without_usable_gradient() -> None:
    model = mixed_net()
    optimizer = optimizer_of(model, orthogonalize_every=5)
    train(model, optimizer, mixed_batch(), 1)
    turns = []
    for scale in (1.0, 0.5, 2.0):
        twin, own = copy.deepcopy((model, optimizer))
        for group in own.param_groups:
            group["lr"] *= scale
        train(twin, own, mixed_batch(), 1)
        turns.append((twin[0].weight - model[0].weight).detach() / scale)
    torch.testing.assert_close(turns[1], turns[0])
    torch.testing.assert_close(turns[2], turns[0])
    for value in (0.0, math.nan, math.inf):
        optimizer.zero_grad()
        F.cross_entropy(model(mixed_batch()[0]), mixed_batch()[1]).backward()
        assert model[0].weight.grad is not None
        model[0].weight.grad[1] = value
        before = model[0].weight.detach().clone()
        optimizer.step()
        moved = (model[0].weight.detach() - before).flatten(1).norm(dim=1)
        assert moved[1] == 0 and (moved[[0, 2, 3]] > 1e-3).all()


@pytest.mark.parametrize("options", [{}, {"coherence_decay": 0.0}])
def test_held_steps_learn_and_stay_on_the_set(options: dict[str, Any]) -> None:
    model = mixed_net()
    optimizer = optimizer_of(model, 0.05, orthogonalize_every=4, **options)
    constraint = cwn.constrain(optimizer, model, c=3.0)
    x, y = mixed_batch()
    start = float(F.cross_entropy(model(x), y).detach())
    train(model, optimizer, (x, y), 30)
    assert constraint.violation() < 1e-14
    assert float(F.cross_entropy(model(x), y).detach()) < 0.5 * start


def test_states_in_half_precision_orthogonalize_anew() -> None:
    model, batch = mixed_net().bfloat16(), tuple(mixed_batch())
    batch = (batch[0].bfloat16(), batch[1])
    optimizer = optimizer_of(model, orthogonalize_every=100)
    train(model, optimizer, batch, 2)
    resumed = optimizer_of(model, orthogonalize_every=100)
    resumed.load_state_dict(optimizer.state_dict())
    assert resumed.state[model[0].weight]["inverse_root"].dtype == torch.bfloat16, "as torch does"
    train(model, resumed, batch, 1)
    assert resumed.state[model[0].weight]["inverse_root"].dtype == torch.float32
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("key", ["orthogonalize_every", "coherence_decay_every"])
def test_a_resumed_run_goes_on_with_what_is_held_and_counted(key: str) -> None:
    model = mixed_net()
    optimizer = optimizer_of(model, **{key: 3})
    cwn.constrain(optimizer, model)
    train(model, optimizer, mixed_batch(), 2)
    resumed = mixed_net()
    resumed_optimizer = optimizer_of(resumed)
    cwn.constrain(resumed_optimizer, resumed)
    checkpoint = saved_and_loaded(model, optimizer)
    resumed.load_state_dict(checkpoint["model"])
    resumed_optimizer.load_state_dict(checkpoint["optimizer"])
    train(model, optimizer, mixed_batch(), 3)
    train(resumed, resumed_optimizer, mixed_batch(), 3)
    for weight, expected in zip(resumed.parameters(), model.parameters(), strict=True):
        assert torch.equal(weight, expected)


def test_a_weight_that_joins_later_turns_at_once() -> None:
    early, late = nn.Parameter(torch.randn(4, 8)), nn.Parameter(torch.randn(4, 8))
    optimizer = cwn.AngularMuon([early, late], orthogonalize_every=3)
    for step in range(5):
        early.grad, late.grad = torch.randn(4, 8), torch.randn(4, 8) if step else None
        before = late.detach().clone()
        optimizer.step()
        assert torch.equal(late, before) == (step == 0)


@pytest.mark.parametrize("key", ["orthogonalize_every", "coherence_decay_every"])
def test_steps_that_differ_and_captured_ones_exclude_each_other(key: str) -> None:
    with refused(ValueError, f"{key}=4", "capturable"):
        optimizer_of(mixed_net(), **{key: 4}, capturable=True)
    with refused(ValueError, key, "0"):
        optimizer_of(mixed_net(), **{key: 0})
    with refused(TypeError, key):
        optimizer_of(mixed_net(), **{key: 2.0})


def test_what_is_held_goes_with_its_settings() -> None:
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(8, 16)) for _ in range(2)]
    optimizer = cwn.AngularMuon(weights, orthogonalize_every=3)
    group, states = optimizer.param_groups[0], [optimizer.state[weight] for weight in weights]

    def step() -> None:
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        optimizer.step()

    step()
    assert all(state.keys() == {"momentum_buffer", "step", "inverse_root", "size"} for state in states)
    group["orthogonalize_every"] = 1
    step()
    assert not any("inverse_root" in state or "size" in state for state in states)
    states[0] |= {"inverse_root": None, "size": None}  # a state of another time is not looked at
    step()
    group["orthogonalize_every"] = 3
    step()
    for weight, state in zip(weights, states, strict=True):
        weight.data, weight.grad = weight.data.double(), None
        state["momentum_buffer"] = state["momentum_buffer"].double()
    step()
    assert all(state["inverse_root"].dtype == torch.float64 for state in states)


def test_what_is_held_takes_no_more_memory_than_it_needs() -> None:
    weights = [nn.Parameter(torch.randn(8, 8)) for _ in range(6)]
    optimizer = cwn.AngularMuon(weights, orthogonalize_every=2)
    for weight in weights:
        weight.grad = torch.randn(8, 8)
    optimizer.step()
    for weight in weights:
        for value in optimizer.state[weight].values():
            assert value.untyped_storage().nbytes() == value.nbytes


def test_a_first_step_of_zeros_does_not_freeze_the_next_ones() -> None:
    """As behind branches that start at zero, or where a batch was not finite."""
    for first in (0.0, math.nan):
        weight = nn.Parameter(torch.randn(8, 16))
        optimizer = cwn.AngularMuon([weight], lr=0.1, orthogonalize_every=8, coherence_decay=0.0)
        weight.grad = torch.full((8, 16), first)
        before = weight.detach().clone()
        optimizer.step()
        assert torch.equal(weight, before)
        weight.grad = torch.randn(8, 16)
        optimizer.step()
        assert float((weight.detach() - before).norm() / before.norm()) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("every", [1, 3, 8])
def test_rows_that_agree_are_pulled_apart_however_seldom(every: int) -> None:
    torch.manual_seed(0)
    common = F.normalize(torch.randn(256), dim=0)
    start = 1.5 * math.sqrt(256) * common + torch.randn(64, 256)
    weight = nn.Parameter(cwn.project_rows(start, c=3.0))
    common = cwn.project_rows(common[None], c=1.0)[0]
    optimizer = cwn.AngularMuon([weight], lr=0.015, coherence_decay_every=every)
    agreement = []
    for _ in range(120):
        weight.grad = torch.randn_like(weight)
        optimizer.step()
        with torch.no_grad():
            weight.copy_(cwn.project_rows(weight, c=3.0))
        agreement.append(float((weight.detach() @ common).mean()) / math.sqrt(3))
    assert agreement[0] > 0.6 and agreement[-1] < 0.3
    assert min(agreement) > -0.1, "nothing flips"
    assert max(b - a for a, b in itertools.pairwise(agreement)) < 0.02, "nor swings back"


def test_the_pull_of_several_steps_is_taken_at_once() -> None:
    """Each third step is longer by three times what a step with the pull of its own takes off besides."""
    torch.manual_seed(0)
    start, grads = torch.randn(6, 20, dtype=torch.float64), torch.randn(7, 6, 20, dtype=torch.float64)
    weight = nn.Parameter(start.clone())
    optimizer = cwn.AngularMuon([weight], lr=0.02, coherence_decay_every=3)
    taken = []
    for grad in grads:
        before, state = weight.detach().clone(), copy.deepcopy(optimizer.state_dict())
        ends = []
        for decay in (0.0, 1.0):
            twin = nn.Parameter(before.clone())
            other = cwn.AngularMuon([twin], lr=0.02)
            other.load_state_dict(copy.deepcopy(state))
            other.param_groups[0] |= {"coherence_decay": decay, "coherence_decay_every": 1}
            twin.grad = grad
            other.step()
            ends.append(twin.detach())
        weight.grad = grad
        optimizer.step()
        of_one = ends[1] - ends[0]
        taken.append(float(((weight.detach() - ends[0]) * of_one).sum() / of_one.square().sum()))
    assert taken == pytest.approx([0, 0, 3, 0, 0, 3, 0], abs=1e-9)


def test_the_pull_of_several_steps_is_that_of_one_for_random_rows_of_a_wide_layer() -> None:
    torch.manual_seed(0)
    rows = torch.randn(256, 2304)
    torch.testing.assert_close(pull(rows, 0.015, 1.0, steps=8), 8 * pull(rows, 0.015, 1.0))


def test_the_pull_of_several_steps_does_not_flip_rows() -> None:
    agreeing = torch.ones(64, 1) * torch.linspace(-1, 1, 32) + 0.01 * torch.randn(64, 32)
    weight = nn.Parameter(cwn.project_rows(agreeing, c=3.0))
    before = weight.detach().clone()
    optimizer = cwn.AngularMuon([weight], lr=0.015, coherence_decay_every=1000)
    for _ in range(1000):
        weight.grad = 1e-9 * torch.randn_like(weight)
        optimizer.param_groups[0]["lr"] = 0.015 if optimizer.state[weight].get("step", 0) == 999 else 0.0
        optimizer.step()
    assert ((weight.detach() * before).sum(1) > -0.1).all()
