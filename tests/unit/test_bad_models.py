"""A model that cannot be constrained is refused with the weight's name and the way out, and nothing is changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from refusals import net, refused, snapshot
from torch import nn

import cwn_lite as cwn


def zero_row(model: nn.Module) -> None:
    nn.init.zeros_(model[2].weight[1])


def constant_rows(model: nn.Module) -> None:
    nn.init.constant_(model[2].weight, 0.3)


def nan(model: nn.Module) -> None:
    nn.init.constant_(model[2].weight[0, 0, 0, 0], math.nan)


def infinite(model: nn.Module) -> None:
    nn.init.constant_(model[2].weight[0], math.inf)


def complex_weight(model: nn.Module) -> None:
    model[2].weight = nn.Parameter(torch.randn(4, 4, 3, 3, dtype=torch.complex64))


def sparse_weight(model: nn.Module) -> None:
    model[2] = nn.Linear(4, 4)
    model[2].weight = nn.Parameter(torch.eye(4).to_sparse())


def tied(model: nn.Module) -> None:
    model.append(nn.Conv2d(4, 4, 3))
    model[5].weight = model[2].weight


def lazy(model: nn.Module) -> None:
    model[2] = nn.LazyConv2d(4, 3)


DAMAGES: list[tuple[Callable[[nn.Module], None], type[Exception], tuple[str, ...]]] = [
    (zero_row, ValueError, ("2.weight has 1 rows of equal numbers (zero", "initialize them", "exclude '2'")),
    (constant_rows, ValueError, ("2.weight has 4 rows of equal numbers", "exclude '2'")),
    (nan, ValueError, ("2.weight holds non-finite numbers", "initialize it again")),
    (infinite, ValueError, ("2.weight holds non-finite numbers",)),
    (complex_weight, TypeError, ("2.weight is torch.complex64", "only dense real", "exclude it")),
    (sparse_weight, TypeError, ("2.weight is torch.float32, torch.sparse_coo", "exclude it")),
    (tied, ValueError, ("2.weight and 5.weight are one tied weight", "projected twice", "exclude one of them")),
    (lazy, ValueError, ("2.weight is uninitialized", "run one forward pass")),
]
damages = pytest.mark.parametrize(("damage", "error", "parts"), DAMAGES, ids=[d[0].__name__ for d in DAMAGES])


@damages
def test_constrain_refuses_bad_weights_and_changes_nothing(
    damage, error: type[Exception], parts: tuple[str, ...]
) -> None:
    model = net()
    with torch.no_grad():
        damage(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = snapshot(model, optimizer) if damage is not lazy else None
    with refused(error, *parts):
        cwn.constrain(optimizer, model)
    assert before is None or snapshot(model, optimizer) == before
    assert not optimizer._optimizer_step_post_hooks and type(optimizer.defaults) is dict
    excluded = cwn.constrain(optimizer, model, exclude=("2",))
    assert "0.weight" in excluded.names, "the way out works"


@damages
def test_surgery_refuses_bad_weights_and_changes_nothing(
    damage, error: type[Exception], parts: tuple[str, ...]
) -> None:
    model = net()
    with torch.no_grad():
        damage(model)
    before = snapshot(model) if damage is not lazy else None
    with refused(error, *parts):
        cwn.replace_batchnorm(model, noise_std=0.1)
    assert before is None or snapshot(model) == before
    assert isinstance(model[1], nn.BatchNorm2d) and not hasattr(model, "report")


def test_constrain_refuses_what_does_not_fit_together() -> None:
    model, other = net(), net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = snapshot(model, optimizer)
    with refused(TypeError, "optimizer must be a torch.optim.Optimizer, got Sequential", "constrain(optimizer, model)"):
        cwn.constrain(model, optimizer)
    with refused(ValueError, "does not hold 0.weight, 2.weight", "build it from the parameters of this model"):
        cwn.constrain(optimizer, other)
    partly = torch.optim.SGD(model[:2].parameters(), lr=0.1)
    with refused(ValueError, "does not hold 2.weight", "exclude them"):
        cwn.constrain(partly, model)
    deep = nn.Sequential(*[nn.Linear(3, 3) for _ in range(7)])
    with refused(ValueError, "does not hold 0.weight, 1.weight, 2.weight and 3 more"):
        cwn.constrain(optimizer, deep)
    with refused(ValueError, "centralize and spherize are both False"):
        cwn.constrain(optimizer, model, centralize=False, spherize=False)
    with refused(ValueError, "no weight to constrain", "taken for the classifier", "fan-in 1"):
        cwn.constrain(optimizer, nn.Sequential(nn.Conv2d(1, 3, 1), nn.Linear(3, 2)))
    with refused(ValueError, "no weight to constrain (it has no such layer)"):
        cwn.constrain(optimizer, nn.Sequential(nn.ReLU()))
    assert snapshot(model, optimizer) == before


def test_a_weight_is_constrained_once() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    first = cwn.constrain(optimizer, model, exclude=("0",))
    before = snapshot(model, optimizer)
    with refused(ValueError, "2.weight constrained by this optimizer already", "call remove() on that handle"):
        cwn.constrain(optimizer, model)
    assert snapshot(model, optimizer) == before
    first.remove()
    cwn.constrain(optimizer, model)


EXCLUDES: list[tuple[Any, type[Exception], tuple[str, ...]]] = [
    ("2", TypeError, ("exclude must be a sequence of names or modules, got '2'", "write exclude=('2',)")),
    (nn.ReLU(), TypeError, ("exclude must be a sequence", "ReLU()")),
    ((3,), TypeError, ("exclude must hold names or modules, got int 3",)),
    (("layer.2",), ValueError, ("exclude names 'layer.2', which matches no module", "model.named_modules()")),
    (("fc*",), ValueError, ("'fc*'",)),
    ((nn.ReLU(),), ValueError, ("exclude names ReLU()", "matches no module of the model")),
]


@pytest.mark.parametrize(("exclude", "error", "parts"), EXCLUDES, ids=lambda v: str(v)[:16])
def test_exclude_that_cannot_be_meant(exclude: Any, error: type[Exception], parts: tuple[str, ...]) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = snapshot(model, optimizer)
    with refused(error, *parts):
        cwn.constrain(optimizer, model, exclude=exclude)
    with refused(error, *parts):
        cwn.replace_batchnorm(model, exclude=exclude)
    assert snapshot(model, optimizer) == before


def test_a_typo_in_exclude_gets_a_suggestion() -> None:
    model = nn.ModuleDict({"backbone": nn.Linear(3, 3), "classifier": nn.Linear(3, 2)})
    with refused(ValueError, "exclude names 'backbon'", "did you mean 'backbone'?"):
        cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model, exclude=("backbon",))


def test_surgery_needs_a_batch_norm_with_a_size() -> None:
    plain = nn.Sequential(nn.Conv2d(2, 2, 3), nn.GroupNorm(1, 2))
    before = snapshot(plain)
    with refused(ValueError, "model has no batch norm to replace", "Sequential"):
        cwn.replace_batchnorm(plain)
    assert snapshot(plain) == before
    for affine in (True, False):
        lazy_norm = nn.Sequential(nn.Conv2d(2, 4, 3), nn.LazyBatchNorm2d(affine=affine))
        with refused(ValueError, "1 is an uninitialized lazy batch norm", "run one forward pass"):
            cwn.replace_batchnorm(lazy_norm)
        lazy_norm(torch.randn(2, 2, 5, 5))
        assert isinstance(cwn.replace_batchnorm(lazy_norm)[1], cwn.ScaleBias), "the way out works"
