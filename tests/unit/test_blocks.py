"""The projection in blocks: equal to the reference, and the guards are asked wherever they are needed."""

import math

import pytest
import torch
from torch import nn

from cwn_lite import blocks, projection
from cwn_lite.projection import _nearest, project_

SHAPES = [(7, 27), (64, 3, 3, 3), (33, 16, 3, 3), (5, 4, 3), (6, 2, 3, 3, 3), (1, 2)]


def reference(weight: torch.Tensor, c: float) -> torch.Tensor:
    return _nearest(weight, tuple(range(1, weight.ndim)), c, True, True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("block", [1, 100, 1 << 19])
def test_blocks_equal_the_reference(
    shape: tuple[int, ...], dtype: torch.dtype, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "BLOCK", block)
    torch.manual_seed(0)
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for memory_format in {torch.contiguous_format, formats.get(len(shape), torch.contiguous_format)}:
        weight = torch.randn(shape, dtype=dtype).to(memory_format=memory_format) + 0.3
        expected = reference(weight, 3.0)
        strides = weight.stride()
        assert blocks.dense_rows(weight) is not None
        assert project_(weight, 3.0) is weight and weight.stride() == strides
        eps = torch.finfo(dtype).eps
        torch.testing.assert_close(weight, expected, rtol=0, atol=10 * eps * math.sqrt(3))
        rows = weight.flatten(1).double()
        assert rows.sum(1).abs().max() < 20 * eps * math.sqrt(rows.shape[1])
        assert (rows.square().sum(1) / 3 - 1).abs().max() < 20 * eps


@pytest.mark.parametrize(
    "row",
    [
        [0.0, 0.0, 0.0, 0.0],
        [2.5, 2.5, 2.5, 2.5],
        [1e25, -1e25, 3e24, 0.0],
        [1e-25, -1e-25, 3e-26, 0.0],
        [1e4, 1e4 + 1, 1e4 - 1, 1e4 + 2],
        [math.nan, 1.0, 2.0, 3.0],
        [math.inf, 1.0, 2.0, 3.0],
    ],
)
def test_rows_that_need_the_guards_get_them(row: list[float]) -> None:
    rows = torch.tensor([[0.3, -0.2, 0.5, 0.9], row])
    before = rows.clone()
    assert not blocks.project_block_(rows, 2.0)
    assert torch.equal(rows, before) or before.isnan().any()
    torch.testing.assert_close(project_(rows), reference(before, 2.0), rtol=0, atol=0, equal_nan=True)


def test_ordinary_rows_do_not_pay_for_the_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(projection, "_nearest", lambda *arguments: calls.append(1))
    project_(nn.Conv2d(16, 32, 3).weight)
    assert calls == []


def test_what_has_no_dense_rows_is_left_to_the_reference() -> None:
    whole = torch.randn(8, 12)
    for weight in (whole[:, ::2], whole.t()):
        assert blocks.dense_rows(weight) is None
    for weight in (torch.randn(4, 6, dtype=torch.bfloat16), torch.randn(4, 6, device="meta")):
        assert not blocks.are_fast(weight)
    part = whole[:, ::2]
    expected = reference(part, 2.0)
    rest = whole[:, 1::2].clone()
    assert torch.equal(project_(part), expected) and torch.equal(whole[:, 1::2], rest)
