"""Numbers of every kind are taken, and what only looks like a number, a count or a switch is refused by name."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from refusals import net, refused
from torch import nn

import cwn_lite as cwn
from cwn_lite import rows

Call = Callable[[Any], Any]
W = torch.tensor([[1.0, -2.0, 4.0], [0.5, 0.0, 3.0]])


def constrained(c: Any) -> torch.Tensor:
    model = net()
    cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model, c=c)
    weight: torch.Tensor = model[0].weight
    return weight


NUMBERS: dict[str, tuple[str, Call]] = {  # every parameter that is a number -> its name and a call
    "project_rows": ("c", lambda v: cwn.project_rows(W, v)),
    "project_": ("c", lambda v: cwn.project_(W.clone(), v)),
    "projected_step c": ("c", lambda v: cwn.projected_step(W, W, 0.1, v)),
    "projected_step lr": ("lr", lambda v: cwn.projected_step(W, W.square(), v)),
    "constrain": ("c", constrained),
    "ScaleBias": ("noise_std", lambda v: cwn.ScaleBias(3, noise_std=v).noise_std),
    "noise_schedule": ("noise_std", lambda v: cwn.noise_schedule(3, v, "linear")),
    "set_noise": ("noise_std", lambda v: cwn.set_noise(cwn.ScaleBias(3), v).noise_std),
    "gain": ("gain", lambda v: cwn.weight_standardization(nn.Linear(3, 2), gain=v).parametrizations.weight[0].gain),
    "eps": ("eps", lambda v: cwn.weight_standardization(nn.Linear(3, 2), eps=v).parametrizations.weight[0].eps),
    "param_groups": ("weight_decay", lambda v: cwn.param_groups(net(), v)[0]["weight_decay"]),
}
numbers = pytest.mark.parametrize(("name", "call"), NUMBERS.values(), ids=NUMBERS)


@numbers
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64, np.longdouble, int, Fraction], ids=repr)
def test_a_number_of_any_kind_is_one(name: str, call: Call, kind: Callable[[int], Any]) -> None:
    """The result is that of the float, in value and in type."""
    torch.manual_seed(0)
    expected = call(2.0)
    torch.manual_seed(0)
    actual = call(kind(2))
    assert type(actual) is type(expected)
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    items = actual if isinstance(actual, list) else [actual]
    assert all(type(item) in (float, torch.Tensor, nn.Parameter) for item in items)


@numbers
def test_what_is_no_number_is_refused(name: str, call: Call) -> None:
    for value in (True, np.True_, "2", 2j, [2.0]):
        with refused(TypeError, f"{name} must be a number, got {type(value).__name__}"):
            call(value)
    for value in (torch.tensor(2.0), torch.tensor(2)):
        with refused(TypeError, f"{name} must be a number, got Tensor", "call .item()"):
            call(value)
    with refused(TypeError, f"{name} must be a number, got Tensor of shape (2, 3)"):
        call(torch.ones(2, 3))


BEYOND = {
    "10**400": 10**400,
    "-10**400": -(10**400),
    "10**6000, which Python does not print": 10**6000,
    "a fraction": Fraction(10**400),
    "infinite": math.inf,
    "nan": np.float32("nan"),
}


@numbers
@pytest.mark.parametrize("value", BEYOND.values(), ids=BEYOND)
def test_numbers_beyond_floats_are_not_finite(name: str, call: Call, value: Any) -> None:
    with refused(ValueError, f"{name} must be finite, got "):
        call(value)


NO_SWITCH = ("no", "False", 1, 0, 1.0, [], np.True_, torch.tensor(True))
SWITCHES: dict[str, tuple[str, Call]] = {
    "rows centralize": ("centralize", lambda v: cwn.project_rows(W, centralize=v)),
    "rows spherize": ("spherize", lambda v: cwn.project_rows(W, spherize=v)),
    "centralize": ("centralize", lambda v: cwn.project_(W, centralize=v)),
    "spherize": ("spherize", lambda v: cwn.project_(W, spherize=v)),
    "transposed": ("transposed", lambda v: cwn.project_(W, transposed=v)),
    "row_view": ("transposed", lambda v: rows.row_view(W, transposed=v)),
    "register_linear_map": ("transposed", lambda v: cwn.register_linear_map(nn.Bilinear, transposed=v)),
    "per_sample": ("per_sample", lambda v: cwn.ScaleBias(3, per_sample=v)),
    "per_sample later": ("per_sample", lambda v: setattr(cwn.ScaleBias(3), "per_sample", v)),
    "replace_batchnorm": ("per_sample", lambda v: cwn.replace_batchnorm(net(), per_sample=v)),
}


@pytest.mark.parametrize(("name", "call"), SWITCHES.values(), ids=SWITCHES)
def test_a_switch_is_true_or_false(name: str, call: Call) -> None:
    before = W.clone()
    for value in (*NO_SWITCH, None):
        shown = type(value).__name__ if isinstance(value, torch.Tensor) else f"{type(value).__name__} {value!r}"
        with refused(TypeError, f"{name} must be True or False, got {shown}"):
            call(value)
    assert torch.equal(W, before) and not rows.is_linear_map(nn.Bilinear(2, 2, 2))


COUNTS: dict[str, tuple[str, int, Call]] = {  # name, the least, a call
    "ScaleBias": ("num_features", 1, lambda v: cwn.ScaleBias(v).num_features),
    "noise_schedule": ("depth", 0, lambda v: cwn.noise_schedule(v, 0.5)),
    "row_view": ("groups", 1, lambda v: rows.row_view(W, transposed=True, groups=v)),
    "project_": ("groups", 1, lambda v: cwn.project_(W.clone(), transposed=True, groups=v)),
    "project_, not transposed": ("groups", 1, lambda v: cwn.project_(W.clone(), groups=v)),
    "ndims": ("each of ndims", 2, lambda v: cwn.ScaleBias(3, ndims=(4, v)).ndims),
}
counts = pytest.mark.parametrize(("name", "least", "call"), COUNTS.values(), ids=COUNTS)


@counts
def test_a_count_is_an_integer(name: str, least: int, call: Call) -> None:
    for value in ("2", 2.0, 2.5, None, True, np.float32(2), np.True_, (2,)):
        with refused(TypeError, f"{name} must be an integer, got {type(value).__name__} {value!r}"):
            call(value)
    with refused(TypeError, f"{name} must be an integer, got Tensor", "call .item()"):
        call(torch.tensor(2))
    for value in (least - 1, -5):
        with refused(ValueError, f"{name} must ", f", got {value}"):
            call(value)
    least = max(least, 1)
    torch.testing.assert_close(call(np.int64(least)), call(least), rtol=0, atol=0)


def test_counts_are_kept_as_integers() -> None:
    layer = cwn.ScaleBias(np.int64(3), ndims=[np.int32(4), 5])
    assert type(layer.num_features) is int and layer.ndims == (4, 5) and {type(n) for n in layer.ndims} == {int}


def test_ndims_holds_one_or_more_integers() -> None:
    for value in (4, "45", b"45", 4.0):
        with refused(TypeError, f"ndims must be a sequence of integers such as (4,), got {type(value).__name__}"):
            cwn.ScaleBias(3, ndims=value)
    with refused(ValueError, "ndims is empty", "None is any number of axes"):
        cwn.ScaleBias(3, ndims=())
    for value in (0, 1):
        with refused(ValueError, f"each of ndims must be at least 2, got {value}"):
            cwn.ScaleBias(3, ndims=(value,))
    with refused(TypeError, "each of ndims must be an integer, got str '4'"):
        cwn.ScaleBias(3, ndims=("4",))
    assert cwn.ScaleBias(3, ndims=range(2, 4)).ndims == (2, 3)


@pytest.mark.parametrize(
    ("dtype", "c", "least", "most"),
    [
        (torch.float32, 1e-300, "1.17549e-38", "3.40282e+38"),
        (torch.float32, 1e80, "1.17549e-38", "3.40282e+38"),
        (torch.float32, 1e-39, "1.17549e-38", "3.40282e+38"),
        (torch.float16, 1e12, "6.10352e-05", "65504"),
        (torch.float16, 1e-6, "6.10352e-05", "65504"),
        (torch.bfloat16, 1e39, "1.17549e-38", "3.38953e+38"),
        (torch.float64, 1e-310, "2.22507e-308", "1.79769e+308"),
    ],
)
def test_a_square_that_the_dtype_cannot_hold(dtype: torch.dtype, c: float, least: str, most: str) -> None:
    weight = W.to(dtype, copy=True)
    for project in (cwn.project_rows, cwn.project_):
        with refused(ValueError, f"c must lie between {least} and {most}", f"{dtype}, got {c}"):
            project(weight, c)
        assert torch.equal(weight, W.to(dtype))
    assert cwn.project_rows(weight, c, spherize=False).isfinite().all(), "not asked, not used"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("end", ["tiny", "max"])
def test_the_ends_of_the_range_are_reached(dtype: torch.dtype, end: str) -> None:
    c = getattr(torch.finfo(dtype), end)
    for project in (cwn.project_rows, cwn.project_):
        squares = (project(W.to(dtype, copy=True), c).double() / math.sqrt(c)).square().sum(1)
        torch.testing.assert_close(squares, torch.ones_like(squares), rtol=4 * torch.finfo(dtype).eps + 1e-6, atol=0)


def test_a_noise_level_is_checked_whenever_it_is_set() -> None:
    layer = cwn.ScaleBias(3, noise_std=0.5)
    for value, error, words in (
        (-1, ValueError, "must not be negative, got -1"),
        (math.nan, ValueError, "must be finite, got nan"),
        ("x", TypeError, "must be a number, got str 'x'"),
        (None, TypeError, "must be a number, got NoneType None"),
    ):
        with refused(error, f"noise_std {words}"):
            layer.noise_std = value
        assert layer.noise_std == 0.5
    layer.noise_std = np.float32(0.25)
    assert layer.noise_std == 0.25 and type(layer.noise_std) is float
    fused = cwn.fuse(nn.Sequential(nn.Conv2d(2, 3, 3), cwn.ScaleBias(3)))
    with refused(ValueError, "noise_std must not be negative, got -1"):
        fused[1].noise_std = -1


def test_a_checked_level_travels() -> None:
    layer = cwn.ScaleBias(3, noise_std=0.5, per_sample=True)
    for twin in (copy.deepcopy(layer), copy.copy(layer), pickle.loads(pickle.dumps(layer))):
        assert twin.noise_std == 0.5 and twin.per_sample is True and vars(twin)["noise_std"] == 0.5
        with refused(ValueError, "noise_std must not be negative, got -1"):
            twin.noise_std = -1
    assert list(layer.state_dict()) == ["weight", "bias"]


def test_noise_needs_a_layer_that_makes_it() -> None:
    for model in (net(), nn.ReLU()):
        with refused(ValueError, "model has no ScaleBias", "replace_batchnorm"):
            cwn.set_noise(model, 0.3)
