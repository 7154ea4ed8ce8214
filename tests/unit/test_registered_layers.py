"""Layers of classes that torch does not know are constrained once somebody says how they store their weight."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from refusals import refused
from torch import Tensor, nn
from torch.nn import functional as F

import cwn_lite as cwn
from cwn_lite.rows import _REGISTERED, is_linear_map
from cwn_lite.selection import select


class Own(nn.Module):
    """A linear map that stores `(out, in)`, or `(in, out)`."""

    def __init__(self, n: int, m: int, *, transposed: bool = False) -> None:
        super().__init__()
        self.transposed = transposed
        self.weight = nn.Parameter(torch.randn((n, m) if transposed else (m, n)))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight if self.transposed else F.linear(x, self.weight)


class Transposed(Own):
    def __init__(self, n: int, m: int) -> None:
        super().__init__(n, m, transposed=True)


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    before = dict(_REGISTERED)
    yield
    _REGISTERED.clear()
    _REGISTERED.update(before)


def model_of(kind: type[nn.Module]) -> nn.Module:
    return nn.Sequential(kind(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_a_class_of_the_users_own() -> None:
    model = model_of(Own)
    assert select(model).codes["0.weight"] == "unknown_layer" and not is_linear_map(model[0])
    cwn.register_linear_map(Own)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    constraint = cwn.constrain(optimizer, cwn.replace_batchnorm(model))
    assert constraint.names == ("0.weight", "3.weight")
    model(torch.randn(8, 5)).sum().backward()
    optimizer.step()
    torch.testing.assert_close(model[0].weight.square().sum(1), torch.full((4,), 2.0))
    for changed in (cwn.fold(model.eval()), cwn.fuse(model)):
        first, second = (line for line in cwn.report(changed) if line.kind == "ScaleBias")
        assert first.action == "kept" and second.action in ("fused", "folded")


def test_a_weight_that_is_stored_transposed_has_its_rows_in_columns() -> None:
    cwn.register_linear_map(Transposed, transposed=True)
    model = model_of(Transposed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert cwn.constrain(optimizer, model).violation() < 1e-6
    torch.testing.assert_close(model[0].weight.square().sum(0), torch.full((4,), 2.0))
    torch.testing.assert_close(model[0].weight.sum(0), torch.zeros(4), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("path", "transposed"),
    [("torch_geometric.nn.dense.linear.Linear", False), ("transformers.pytorch_utils.Conv1D", True)],
)
def test_known_classes_of_other_packages_need_no_word(path: str, transposed: bool) -> None:
    module, _, name = path.rpartition(".")
    kind = type(name, (Transposed if transposed else Own,), {"__module__": module})
    model = model_of(kind)
    cwn.replace_batchnorm(model)
    assert cwn.report(model).names("constrained") == ("0", "3")
    torch.testing.assert_close(model[0].weight.square().sum(0 if transposed else 1), torch.full((4,), 2.0))


def test_an_object_is_no_class() -> None:
    for wrong in (Own(3, 3), "Own", int):
        with refused(TypeError, "kind must be a class of modules", "pass the class"):
            cwn.register_linear_map(wrong)


def test_a_registered_head_is_a_classifier() -> None:
    cwn.register_linear_map(Own)
    assert select(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), Own(4, 2))).codes == {"2.weight": "classifier"}
