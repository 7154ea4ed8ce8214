"""Tensors without rows, values or channels are refused by name before anything is changed."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from refusals import refused
from torch import Tensor, nn

import cwn_lite as cwn


def nested(layout: torch.layout) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors are a prototype, says torch
        return torch.nested.nested_tensor([torch.randn(2, 3), torch.randn(4, 3)], layout=layout)


def inferred(*shape: int) -> Tensor:
    with torch.inference_mode():
        return torch.randn(shape)


NO_DENSE_TENSOR: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "None": (lambda: None, ("must be a tensor, got NoneType",)),
    "array": (lambda: np.ones((2, 3)), ("must be a tensor, got ndarray",)),
    "list": (lambda: [[1.0, 2.0, 3.0]], ("must be a tensor, got list",)),
    "sparse": (lambda: torch.eye(3).to_sparse(), ("is sparse (torch.sparse_coo)", "call .to_dense() first")),
    "csr": (lambda: torch.eye(3).to_sparse_csr(), ("is sparse (torch.sparse_csr)", "call .to_dense() first")),
    "mkldnn": (lambda: torch.eye(3).to_mkldnn(), ("has layout torch._mkldnn", "call .to_dense() first")),
    "nested": (lambda: nested(torch.strided), ("is a nested tensor", "to_padded_tensor")),
    "jagged": (lambda: nested(torch.jagged), ("is a nested tensor", "to_padded_tensor")),
}
TAKES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "project_rows": ("rows", cwn.project_rows),
    "project_": ("weight", cwn.project_),
    "projected_step w": ("w", lambda v: cwn.projected_step(v, torch.randn(3, 3), 0.1)),
    "projected_step grad": ("grad", lambda v: cwn.projected_step(torch.randn(3, 3), v, 0.1)),
    "ScaleBias": ("input", lambda v: cwn.ScaleBias(3)(v)),
}
takes = pytest.mark.parametrize(("name", "call"), TAKES.values(), ids=TAKES)


@takes
@pytest.mark.parametrize(("make", "parts"), NO_DENSE_TENSOR.values(), ids=NO_DENSE_TENSOR)
# To make a sparse tensor is what torch warns of; here it is only refused.
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state:UserWarning")
def test_only_a_dense_tensor_is_one(name: str, call: Callable[[Any], Any], make: Any, parts: tuple[str, ...]) -> None:
    value = make()
    with refused(TypeError, f"{name} {parts[0]}", *parts[1:]):
        call(value)


def test_the_scale_says_that_a_complex_input_is_complex() -> None:
    with refused(TypeError, "input is complex (torch.complex64)", "real"):
        cwn.ScaleBias(3)(torch.randn(2, 3, dtype=torch.cfloat))
    for dtype in (torch.int64, torch.bool, torch.uint8):
        with refused(TypeError, f"input has dtype {dtype}, in which the scale would be rounded", ".float()"):
            cwn.ScaleBias(3)(torch.ones(2, 3, dtype=dtype))


def test_the_parameters_of_a_scale_are_real(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(nn, "Parameter", lambda *_: made.append(None))
    for dtype in (torch.int32, torch.cfloat, torch.bool, "float32", np.float32):
        with refused(TypeError, f"dtype must be a real floating-point dtype, got {dtype}"):
            cwn.ScaleBias(3, dtype=dtype)
    assert not made


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # scripting is deprecated, and still supported here
def test_a_scripted_scale_refuses_too() -> None:
    scripted = torch.jit.script(cwn.ScaleBias(3, noise_std=0.1))
    x = torch.randn(2, 3, 4)
    assert scripted.eval()(x).equal(x)
    for bad, words in (
        (torch.randn(3), "at least 2 axes"),
        (torch.randn(2, 4), "axis 1"),
        (torch.randn(2, 1, 5), "axis 1"),
        (torch.ones(2, 3, dtype=torch.long), "floating-point"),
        (torch.ones(2, 3, dtype=torch.cfloat), "floating-point"),
    ):
        with pytest.raises(torch.jit.Error, match=words):
            scripted(bad)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_checked_scale_compiles_and_exports(noise: float) -> None:
    layer, x = cwn.ScaleBias(3, noise_std=noise, ndims=(4,)), torch.randn(2, 3, 4, 5)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.manual_seed(0)
    expected = layer(x)
    torch.manual_seed(0)
    torch.testing.assert_close(compiled(x), expected)
    layer.noise_std = 0.0
    assert compiled(x).equal(x), "a new level is noticed"
    exported = torch.export.export(layer.eval(), (x,)).module()
    assert exported(x).equal(x)


NARROW = [kind for kind in ("float8_e4m3fn", "float8_e5m2", "float4_e2m1fn_x2") if hasattr(torch, kind)]


@pytest.mark.parametrize("kind", NARROW)
def test_dtypes_that_only_store_are_refused(kind: str) -> None:
    weight = torch.zeros(2, 4, dtype=torch.uint8).view(getattr(torch, kind))
    for name, project in (("rows", cwn.project_rows), ("weight", cwn.project_)):
        with refused(TypeError, f"{name} has dtype torch.{kind}", "wider"):
            project(weight)
    assert not weight.view(torch.uint8).any()


def test_projection_needs_a_weight_of_its_own_that_may_be_written() -> None:
    weight = inferred(3, 4)
    before = weight.clone()
    with refused(ValueError, "weight was made in inference mode", "outside of it"):
        cwn.project_(weight)
    assert torch.equal(weight, before)
    assert cwn.project_rows(weight).isfinite().all(), "which only reads"
    with torch.inference_mode():
        cwn.project_(weight)
    torch.testing.assert_close(weight.square().sum(1), torch.full((3,), 2.0))
    base = torch.randn(1, 8, 3, 3)
    before = base.clone()
    with refused(ValueError, "weight is expanded", "share memory", ".clone()"):
        cwn.project_(base.expand(8, 8, 3, 3))
    assert torch.equal(base, before) and cwn.project_(base.expand(1, 8, 3, 3)) is not base
    with refused(ValueError, "weight is uninitialized", "run one forward pass"):
        cwn.project_(nn.LazyLinear(3).weight)


def test_a_step_takes_tensors_and_numbers() -> None:
    w, g = torch.randn(2, 3), torch.randn(2, 3)
    with refused(TypeError, "w has dtype torch.int64"):
        cwn.projected_step(torch.ones(2, 3, dtype=torch.long), g, 0.1)
    with refused(TypeError, "grad has dtype torch.complex64"):
        cwn.projected_step(w, g.to(torch.cfloat), 0.1)
    for lr in ("0.1", None, g):
        with refused(TypeError, "lr must be a number"):
            cwn.projected_step(w, g, lr)
    assert cwn.projected_step(torch.ones(1, 3), torch.zeros(1, 3), 0.1).isfinite().all()
    assert cwn.projected_step(torch.zeros(1, 3), torch.zeros(1, 3), 0.1).isnan().all(), "Eq. 11 to the letter"


def in_inference_mode() -> nn.Module:
    with torch.inference_mode():
        return nn.Linear(3, 2)


def of(dtype: torch.dtype) -> nn.Module:
    return nn.Linear(3, 2, dtype=dtype)


def sparse() -> nn.Module:
    layer = nn.Linear(3, 3)
    layer.weight = nn.Parameter(torch.eye(3).to_sparse())
    return layer


WITHOUT_VALUES: dict[str, tuple[Callable[[], nn.Module], type[Exception], tuple[str, ...]]] = {
    "meta": (lambda: nn.Linear(3, 2, device="meta"), ValueError, ("on the meta device", "to_empty")),
    "lazy": (lambda: nn.LazyConv2d(2, 3), ValueError, ("uninitialized", "run one forward pass")),
    "inference": (in_inference_mode, ValueError, ("made in inference mode", "outside of it")),
    "complex": (lambda: of(torch.cfloat), TypeError, ("dtype torch.complex64",)),
    "sparse": (sparse, TypeError, ("sparse", ".to_dense()")),
}


@pytest.mark.parametrize("eps", [0.0, 1e-5])
@pytest.mark.parametrize(("build", "error", "parts"), WITHOUT_VALUES.values(), ids=WITHOUT_VALUES)
def test_standardization_needs_values_that_can_be_trained(build: Any, error: Any, parts: Any, eps: float) -> None:
    layer = build()
    before = type(layer), sorted(layer._parameters), id(layer.weight)
    with refused(error, "module.weight ", *parts):
        cwn.weight_standardization(layer, eps=eps)
    assert (type(layer), sorted(layer._parameters), id(layer.weight)) == before


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_checked_projection_still_compiles(dynamic: bool) -> None:
    """In a dtype that needs no look at its values, which is also how weights on other devices are projected."""
    weight = torch.randn(4, 5, dtype=torch.bfloat16)
    expected = cwn.project_(weight.clone())
    compiled = torch.compile(cwn.project_, fullgraph=True, backend="eager", dynamic=dynamic)
    torch.testing.assert_close(compiled(weight), expected)
    rows = torch.compile(cwn.project_rows, fullgraph=True, backend="eager", dynamic=dynamic)
    torch.testing.assert_close(rows(torch.eye(3), 3.0), cwn.project_rows(torch.eye(3), 3.0))


def test_a_standardized_layer_still_compiles() -> None:
    for layer, x in ((nn.Linear(4, 3), torch.randn(2, 4)), (nn.ConvTranspose1d(4, 2, 3), torch.randn(2, 4, 5))):
        cwn.weight_standardization(layer)
        compiled = torch.compile(copy.deepcopy(layer), fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(x), layer(x))
