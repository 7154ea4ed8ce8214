"""The projection in blocks: equal to the reference, and the guards are asked wherever they are needed."""

import math

import pytest
import torch
from oracle import nearest_rows
from torch import nn

from cwn_lite import fast
from cwn_lite.fast import project_
from cwn_lite.projection import nearest

SHAPES = [(7, 27), (64, 3, 3, 3), (33, 16, 3, 3), (5, 4, 3), (6, 2, 3, 3, 3), (1, 2)]


def reference(weight: torch.Tensor, c: float) -> torch.Tensor:
    return nearest(weight, tuple(range(1, weight.ndim)), c, True, True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("block", [1, 100, 1 << 19])
def test_blocks_equal_the_reference(
    shape: tuple[int, ...], dtype: torch.dtype, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "BLOCK", block)
    torch.manual_seed(0)
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for memory_format in {torch.contiguous_format, formats.get(len(shape), torch.contiguous_format)}:
        weight = torch.randn(shape, dtype=dtype).to(memory_format=memory_format) + 0.3
        expected = reference(weight, 3.0)
        strides = weight.stride()
        assert fast.dense_rows(weight) is not None
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
    assert not fast.project_block_(rows, 2.0)
    assert torch.equal(rows, before) or before.isnan().any()
    torch.testing.assert_close(project_(rows), reference(before, 2.0), rtol=0, atol=0, equal_nan=True)


OFFSETS = [0.0, 0.1, 0.5, 1.0, -1.0, 2.0, 5.0, 30.0, -1e3, 1e4, -1e6]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("n", [2, 3, 4, 9, 27, 64, 257, 576, 4608])
def test_a_common_offset_costs_no_digits(n: int, dtype: torch.dtype) -> None:
    """Where the mean is most of a row, ``‖w‖² − n mean²`` has few digits left: such rows are not for the fast path."""
    tried = []
    for offset in OFFSETS:
        rows = (torch.randn(5, n, dtype=torch.float64) + offset).to(dtype)
        rows = rows[(rows != rows[:, :1]).any(1)]  # a narrow dtype may leave no difference
        tried.append(rows)
    for rows in [*tried, torch.cat(tried)]:  # a block of one kind, and one of all
        # A shift of a whole row changes nothing, and this one is exact where the offset is large.
        shifted = rows.double() - rows[:, :1].double()
        expected = torch.from_numpy(nearest_rows(shifted.numpy(), 3.0)) if len(rows) else shifted
        error = (project_(rows, 3.0).double() - expected).abs()
        assert error.numel() == 0 or error.max() < 4 * torch.finfo(dtype).eps * math.sqrt(3)
    assert len(tried[0]) == 5


def test_ordinary_rows_do_not_pay_for_the_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(fast, "nearest", lambda *arguments: calls.append(1))
    project_(nn.Conv2d(16, 32, 3).weight)
    assert calls == []


def test_what_has_no_dense_rows_is_left_to_the_reference() -> None:
    whole = torch.randn(8, 12)
    for weight in (whole[:, ::2], whole.t()):
        assert fast.dense_rows(weight) is None
    for weight in (torch.randn(4, 6, dtype=torch.bfloat16), torch.randn(4, 6, device="meta")):
        assert not fast.are_fast(weight)
    part = whole[:, ::2]
    expected = reference(part, 2.0)
    rest = whole[:, 1::2].clone()
    assert torch.equal(project_(part), expected) and torch.equal(whole[:, 1::2], rest)
