"""The handle that `constrain` returns: what it says, what it does when asked, and how it ends."""

from __future__ import annotations

import copy
import io
import math
import pickle
import warnings

import pytest
import torch
from nets import MIXED_ROWS, mixed_batch, mixed_net, mlp, train
from torch import nn

import cwn_lite as cwn


def attach(model: nn.Module, **options: object) -> tuple[torch.optim.Optimizer, cwn.Constraint]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return optimizer, cwn.constrain(optimizer, model, **options)


def test_it_projects_at_once_and_says_what_it_holds() -> None:
    model = mixed_net()
    _, constraint = attach(model, c=3.0, exclude=("3",))
    assert constraint.names == ("0.weight", "5.weight", "8.weight")
    assert constraint.skipped == {
        "3.weight": "excluded by the caller",
        "10.weight": "taken for the classifier: it feeds the output and no scale follows",
    }
    assert (constraint.c, constraint.centralize, constraint.spherize) == (3.0, True, True)
    assert repr(constraint).splitlines() == [
        "Constraint(c=3, centralize=True, spherize=True)",
        "  0.weight: constrained",
        "  5.weight: constrained",
        "  8.weight: constrained",
        "  3.weight: free, excluded by the caller",
        "  10.weight: free, taken for the classifier: it feeds the output and no scale follows",
    ]
    for name in constraint.names:
        rows = model.get_parameter(name)
        torch.testing.assert_close(rows.square().sum(MIXED_ROWS[name]), torch.full_like(rows.sum(MIXED_ROWS[name]), 3))
        assert rows.sum(MIXED_ROWS[name]).abs().max() < 1e-14


def test_violation_is_the_largest_relative_distance_over_rows() -> None:
    model = mlp().double()
    _, constraint = attach(model, c=2.0)
    assert constraint.violation() < 1e-14
    rows = model[2].weight
    with torch.no_grad():
        rows[3] *= 2.0  # squared norm 8 instead of 2
    assert constraint.violation() == pytest.approx(3.0)
    constraint.project()
    with torch.no_grad():
        rows[1] += 0.5  # eight numbers: the sum is 4, the squared norm 2 + 8 / 4
    assert constraint.violation() == pytest.approx(max(4 / math.sqrt(8 * 2), 1.0))
    with torch.no_grad():
        rows[1] += 7.5
    centred = attach(mlp().double(), spherize=False)[1]
    centred._modules = {"2.weight": model[2]}
    assert centred.violation() == pytest.approx(64 / math.sqrt(8 * 2)), "only what is asked for counts"


def test_a_diverged_weight_is_no_small_violation() -> None:
    model = mlp()
    _, constraint = attach(model)
    with torch.no_grad():
        model[0].weight[1, 1] = math.nan
    assert math.isnan(constraint.violation())
    constraint.project()
    assert math.isnan(constraint.violation()), "a projection does not hide it"


def test_project_repairs_after_loading_and_after_assignment() -> None:
    """The handle holds modules, so also a tensor that `load_state_dict(assign=True)` put there is found."""
    model, free = mixed_net(), mixed_net()
    _, constraint = attach(model)
    for assign in (False, True):
        state = copy.deepcopy(free.state_dict())
        model.load_state_dict(state, assign=assign)
        assert constraint.violation() > 0.1
        constraint.project()
        assert constraint.violation() < 1e-14
    assert model[0].weight is state["0.weight"] or model[0].weight.data_ptr() == state["0.weight"].data_ptr()


def test_assigned_weights_train_on_the_set() -> None:
    """An optimizer that is built after the assignment, as torch asks for."""
    model = mixed_net()
    model.load_state_dict(mixed_net().state_dict(), assign=True)
    optimizer, constraint = attach(model)
    train(model, optimizer, mixed_batch(), 3)
    assert constraint.violation() < 1e-14


def test_removing_ends_it_and_removing_twice_is_no_error() -> None:
    model = mixed_net()
    optimizer, constraint = attach(model)
    before = copy.deepcopy(model.state_dict())
    constraint.remove()
    constraint.remove()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items()), "weights stay"
    train(model, optimizer, mixed_batch(), 2)
    assert constraint.violation() > 1e-3
    assert cwn.constrain(optimizer, model).violation() < 1e-14, "and may be attached again"


def test_two_constraints_share_one_optimizer_if_they_share_no_weight() -> None:
    model = mixed_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    first = cwn.constrain(optimizer, model, c=2.0, exclude=("0", "3"))
    second = cwn.constrain(optimizer, model, c=5.0, centralize=False, exclude=("5", "8"))
    assert first.names == ("5.weight", "8.weight") and second.names == ("0.weight", "3.weight")
    train(model, optimizer, mixed_batch(), 3)
    assert max(first.violation(), second.violation()) < 1e-14
    second.remove()
    train(model, optimizer, mixed_batch(), 3)
    assert first.violation() < 1e-14 < 1e-3 < second.violation(), "the other one stays in force"


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda optimizer: pickle.loads(pickle.dumps(optimizer)),
    "torch.save": lambda optimizer: torch.save(optimizer, io.BytesIO()),
}
copies = pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)


@copies
def test_a_copied_optimizer_loses_the_constraint_and_says_so(duplicate) -> None:
    """torch drops step hooks silently; the warning names the loss and the way out."""
    optimizer, _ = attach(mixed_net())
    with pytest.warns(UserWarning, match=r"loses its step hooks.*call cwn_lite\.constrain on the copy"):
        duplicate(optimizer)


@copies
def test_without_a_constraint_copies_do_not_warn(duplicate) -> None:
    optimizer, constraint = attach(mixed_net())
    constraint.remove()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        duplicate(optimizer)


def test_one_of_two_constraints_is_enough_to_warn() -> None:
    model = mixed_net()
    optimizer, first = attach(model, exclude=("0", "3"))
    second = cwn.constrain(optimizer, model, exclude=("5", "8"))
    first.remove()
    with pytest.warns(UserWarning, match="loses its step hooks"):
        copy.deepcopy(optimizer)
    second.remove()
    copy.deepcopy(optimizer)


def test_the_copy_can_be_constrained_again() -> None:
    model = mixed_net()
    optimizer, original = attach(model)
    with pytest.warns(UserWarning, match="loses its step hooks"):
        twin, twin_optimizer = copy.deepcopy((model, optimizer))
    constraint = cwn.constrain(twin_optimizer, twin)
    copy_again = copy.deepcopy
    constraint.remove()
    copy_again(twin_optimizer)  # the copy carries no trace of the first constraint
    constraint = cwn.constrain(twin_optimizer, twin)
    train(twin, twin_optimizer, mixed_batch(), 2)
    assert constraint.violation() < 1e-14
    untouched = original.violation()
    assert untouched < 1e-14 and not torch.equal(twin[0].weight, model[0].weight)


def test_state_dicts_do_not_warn_and_hold_nothing_of_ours() -> None:
    model = mixed_net()
    optimizer, _ = attach(model)
    plain = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for each in (optimizer, plain):
        train(model, each, mixed_batch())
    state, expected = optimizer.state_dict(), plain.state_dict()
    assert state.keys() == expected.keys() and state["param_groups"] == expected["param_groups"]
    assert {k: set(v) for k, v in state["state"].items()} == {k: set(v) for k, v in expected["state"].items()}
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert loaded["param_groups"] == state["param_groups"]
    copy.deepcopy(state), copy.deepcopy(model)
