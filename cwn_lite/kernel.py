"""The projection of many weights in a few kernels on a GPU, written in Triton.

What plain PyTorch does in some twenty passes over a weight, and in as many calls for each fan-in, is one pass here: a
row is read once, kept in registers, and written once. One launch serves all rows of about one length, whatever the
weight that they belong to, since each row brings its own address.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import cache, lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

_DTYPES = {torch.float32: tl.float32, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}
# Longer rows do not fit into the registers of one block of threads.
LONGEST = 1 << 16

# Address, number of rows, length and dtype of a weight.
Place = tuple[int, int, int, torch.dtype]


@triton.jit
def _project_row(table, c, DTYPE: tl.constexpr, WIDTH: tl.constexpr, CENTRALIZE: tl.constexpr, SPHERIZE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Project the row that a line of the table names; the arithmetic is that of :func:`cwn_lite.projection.nearest`."""
    line = table + 2 * tl.program_id(0)
    start = tl.load(line).to(tl.pointer_type(DTYPE))
    n = tl.load(line + 1).to(tl.int32)
    at = tl.arange(0, WIDTH)
    inside = at < n
    v = tl.load(start + at, mask=inside, other=0.0).to(tl.float32)
    high = tl.max(tl.where(inside, v, float("-inf")), 0)
    low = tl.min(tl.where(inside, v, float("inf")), 0)
    # Times a power of two that brings the largest value near 1: made of the bits of its exponent, so that it is exact.
    exponent = (tl.maximum(high, -low).to(tl.int32, bitcast=True) >> 23) & 255
    field = tl.minimum(tl.maximum(254 - exponent, 1), 253)
    v = v * (field << 23).to(tl.float32, bitcast=True)
    if CENTRALIZE:
        v = tl.where(inside, v - tl.div_rn(tl.sum(v, 0), n.to(tl.float32)), 0.0)
        v = tl.where(inside, v - tl.div_rn(tl.sum(v, 0), n.to(tl.float32)), 0.0)
    if SPHERIZE:
        spread = high - low if CENTRALIZE else tl.abs(high) + tl.abs(low)
        fixed = (2 * at - tl.maximum(n - 1, 1)).to(tl.float32)
        v = tl.where(spread == 0, tl.where(inside, fixed, 0.0), v)
        v = v * tl.sqrt_rn(tl.div_rn(c, tl.sum(v * v, 0)))
    else:
        v = v * ((254 - field) << 23).to(tl.float32, bitcast=True)
    tl.store(start + at, v.to(DTYPE), mask=inside)


def fits(rows: Tensor) -> bool:
    """Return whether :func:`project_by_kernel_` takes such rows.

    Args:
        rows: ``(k, n)``, dense.
    """
    return rows.is_cuda and rows.dtype in _DTYPES and 0 < rows.shape[1] <= LONGEST and _runs_on(rows.device)


@cache
def _runs_on(device: torch.device) -> bool:
    """Whether Triton makes code for this GPU; it does from Volta on."""
    return torch.cuda.get_device_capability(device) >= (7, 0)


def project_by_kernel_(weights: Iterable[Tensor], c: float, centralize: bool, spherize: bool) -> None:
    """Project the rows of weights in place, unchecked.

    Args:
        weights: each ``(k, n)``, dense, such that :func:`fits` says so.
        c: squared norm of each row.
        centralize: impose zero mean.
        spherize: impose the norm.
    """
    if not (centralize or spherize):
        return
    alike: dict[tuple[torch.device, torch.dtype, int], list[Tensor]] = defaultdict(list)
    for weight in weights:
        alike[weight.device, weight.dtype, triton.next_power_of_2(weight.shape[1])].append(weight)
    for (device, dtype, width), same in alike.items():
        table = _table(tuple((w.data_ptr(), *w.shape, dtype) for w in same), device)
        if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            _captured.add(table)
        with torch.cuda.device_of(table):
            _project_row[(len(table),)](
                table, c, _DTYPES[dtype], width, centralize, spherize, num_warps=min(32, max(1, width // 256))
            )
        for weight in same:  # what autograd sees of a change that torch did not make
            torch.autograd.graph.increment_version(weight)


# A captured graph reads its tables at each replay, at the address where they lay.
_captured: set[Tensor] = set()


@lru_cache(maxsize=256)
def _table(places: tuple[Place, ...], device: torch.device) -> Tensor:
    """Return ``(rows, 2)``: address and length of each row. Made once, since weights rarely move."""
    lines = []
    for address, rows, n, dtype in places:
        starts = address + torch.arange(rows, device="cpu") * (n * dtype.itemsize)
        lines.append(torch.stack([starts, torch.full_like(starts, n)], 1))
    return torch.cat(lines).to(device)
