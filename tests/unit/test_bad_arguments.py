"""A bad argument raises an error that names the parameter, the value and the way out, and changes nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from refusals import net, refused, snapshot
from torch import Tensor, nn

import cwn_lite as cwn

NUMBERS = [  # value of a parameter that must be positive, error, what the message says beside its name
    (0, ValueError, "must be positive, got 0"),
    (-2.0, ValueError, "must be positive, got -2.0"),
    (math.nan, ValueError, "must be finite, got nan"),
    (math.inf, ValueError, "must be finite, got inf"),
    ("2", TypeError, "must be a number, got str '2'"),
    (True, TypeError, "must be a number, got bool True"),
    (None, TypeError, "must be a number, got NoneType None"),
    (torch.tensor(2.0), TypeError, "must be a number, got Tensor"),
]
TAKES_C: dict[str, Callable[[Any], object]] = {
    "project_rows": lambda c: cwn.project_rows(torch.randn(2, 3), c),
    "project_": lambda c: cwn.project_(torch.randn(2, 3), c),
    "projected_step": lambda c: cwn.projected_step(torch.randn(2, 3), torch.randn(2, 3), 0.1, c),
    "constrain": lambda c: cwn.constrain(torch.optim.SGD((m := net()).parameters(), lr=0.1), m, c=c),
    "replace_batchnorm": lambda c: cwn.replace_batchnorm(net(), c=c),
}


@pytest.mark.parametrize(("value", "error", "message"), NUMBERS, ids=lambda v: str(v)[:12])
@pytest.mark.parametrize("call", TAKES_C.values(), ids=TAKES_C)
def test_c_is_a_positive_number(
    call: Callable[[Any], object], value: object, error: type, message: str, request: pytest.FixtureRequest
) -> None:
    if value is None and request.node.callspec.id.startswith(("constrain", "replace_batchnorm")):
        call(value)  # not said: the default
        return
    with refused(error, "c " + message):
        call(value)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda v: cwn.ScaleBias(3, noise_std=v), "noise_std"),
        (lambda v: cwn.replace_batchnorm(net(), noise_std=v), "noise_std"),
        (lambda v: cwn.noise_schedule(3, v), "noise_std"),
        (lambda v: cwn.set_noise(net(), v), "noise_std"),
        (lambda v: cwn.param_groups(net(), v), "weight_decay"),
        (lambda v: cwn.weight_standardization(nn.Linear(3, 2), eps=v), "eps"),
    ],
    ids=["ScaleBias", "replace_batchnorm", "noise_schedule", "set_noise", "param_groups", "weight_standardization"],
)
def test_levels_are_numbers_not_below_zero(call: Callable[[Any], object], name: str) -> None:
    with refused(ValueError, f"{name} must not be negative, got -0.5"):
        call(-0.5)
    with refused(ValueError, f"{name} must be finite, got nan"):
        call(math.nan)
    with refused(TypeError, f"{name} must be a number, got str '0.5'"):
        call("0.5")


@pytest.mark.parametrize(
    "call",
    [
        lambda m: cwn.constrain(torch.optim.SGD(net().parameters(), lr=0.1), m),
        cwn.replace_batchnorm,
        lambda m: cwn.param_groups(m, 0.1),
        lambda m: cwn.set_noise(m, 0.1),
        cwn.fold,
    ],
    ids=["constrain", "replace_batchnorm", "param_groups", "set_noise", "fold"],
)
def test_a_model_is_a_module(call: Callable[[Any], object]) -> None:
    with refused(TypeError, "model must be a torch.nn.Module, got list"):
        call([nn.Linear(2, 3)])


PROJECTIONS = {"rows": cwn.project_rows, "weight": cwn.project_}


@pytest.mark.parametrize("name", PROJECTIONS)
def test_projection_refuses_what_has_no_rows(name: str) -> None:
    project = PROJECTIONS[name]
    with refused(TypeError, f"{name} has dtype torch.complex64", "real floating-point"):
        project(torch.randn(2, 3, dtype=torch.complex64))
    with refused(TypeError, f"{name} has dtype torch.int64"):
        project(torch.ones(2, 3, dtype=torch.long))
    with refused(TypeError, f"{name} is sparse (torch.sparse_coo)", ".to_dense()"):
        project(torch.eye(3).to_sparse())
    with refused(TypeError, f"{name} must be a tensor, got list"):
        project([[1.0, 2.0]])
    with refused(ValueError, "fan-in 1", "exclude this weight", "centralize=False"):
        project(torch.randn(4, 1))
    with refused(ValueError, "fan-in 0", "the constraint set is empty"):
        project(torch.randn(4, 0))
    assert project(torch.tensor([[3.0]]), centralize=False).item() == pytest.approx(math.sqrt(2))


def test_projection_refuses_shapes_without_rows() -> None:
    with refused(ValueError, "rows is a scalar", "(..., n)"):
        cwn.project_rows(torch.tensor(1.0))
    with refused(ValueError, "weight has shape (3,)", "at least two axes"):
        cwn.project_(torch.randn(3))
    for groups, message in (
        (0, "groups must be at least 1, got 0"),
        (-1, "groups must be at least 1, got -1"),
        (4, "groups is 4, which does not divide the 6 inputs"),
    ):
        weight = torch.randn(6, 2, 3)
        before = weight.clone()
        with refused(ValueError, message):
            cwn.project_(weight, transposed=True, groups=groups)
        assert torch.equal(weight, before)
    with refused(ValueError, "fan-in 1"):
        cwn.project_(nn.Conv2d(4, 4, 1, groups=4).weight)
    with refused(ValueError, "fan-in 1"):
        cwn.project_(nn.ConvTranspose2d(4, 4, 1, groups=4).weight, transposed=True, groups=4)
    with refused(ValueError, "w and grad must have one shape, got (2, 3) and (2, 4)"):
        cwn.projected_step(torch.randn(2, 3), torch.randn(2, 4), 0.1)


def test_scale_bias_and_its_schedule_refuse_what_has_no_channels() -> None:
    for features in (0, -1):
        with refused(ValueError, f"num_features must be at least 1, got {features}"):
            cwn.ScaleBias(features)
    scale_bias = cwn.ScaleBias(3)
    for shape in ((3,), (2, 4), (2, 4, 3), ()):
        with refused(ValueError, f"input has shape {shape}", "(N, 3, ...)"):
            scale_bias(torch.randn(shape))
    with refused(TypeError, "input has dtype torch.int64", ".float()"):
        scale_bias(torch.ones(2, 3, dtype=torch.long))
    with refused(ValueError, "depth must not be negative, got -1"):
        cwn.noise_schedule(-1, 0.5)
    model = nn.Sequential(cwn.ScaleBias(2, noise_std=0.1), nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2))
    before = snapshot(model)
    for call in (
        lambda: cwn.noise_schedule(3, 0.5, "cosine"),
        lambda: cwn.set_noise(model, 0.5, "cosine"),
        lambda: cwn.replace_batchnorm(model, noise_std=0.5, schedule="cosine"),
    ):
        with refused(ValueError, "schedule must be 'constant' or 'linear', got 'cosine'"):
            call()
    assert snapshot(model) == before and model[0].noise_std == 0.1


STANDARDIZATIONS: list[tuple[Callable[[], nn.Module], dict[str, Any], type[Exception], tuple[str, ...]]] = [
    (lambda: nn.ReLU(), {}, TypeError, ("module must be a Linear or a convolution, got ReLU", "model.modules()")),
    (lambda: nn.Sequential(nn.Linear(3, 2)), {}, TypeError, ("got Sequential",)),
    (lambda: nn.Linear(3, 2), {"gain": 0.0}, ValueError, ("gain must be positive, got 0.0",)),
    (lambda: nn.Linear(3, 2), {"gain": "2"}, TypeError, ("gain must be a number",)),
    (lambda: nn.Linear(1, 2), {}, ValueError, ("row of equal weights, whose σ is 0", "eps=1e-5")),
    (lambda: cwn.weight_standardization(nn.Linear(3, 2)), {}, ValueError, ("parametrized already", "remove that")),
    (lambda: nn.LazyLinear(2), {}, ValueError, ("uninitialized",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("build", "options", "error", "parts"), STANDARDIZATIONS, ids=lambda v: re.sub(r"\W+", " ", str(v))[:20]
)
def test_standardization_refuses_what_has_no_spread(build, options, error, parts) -> None:
    module = build()
    before = sorted(dict(module.named_parameters())), type(module)
    with refused(error, *parts):
        cwn.weight_standardization(module, **options)
    assert (sorted(dict(module.named_parameters())), type(module)) == before


def test_errors_leave_tensors_alone() -> None:
    """`project_` checks first and writes last."""
    weight: Tensor = torch.randn(4, 1)
    before = weight.clone()
    with refused(ValueError, "fan-in 1"):
        cwn.project_(weight)
    assert torch.equal(weight, before) and weight._version == 0
