"""The projection of many weights in a few kernels on a GPU, written in Triton.

What plain PyTorch does in some twenty passes over a weight, and in as many calls for each fan-in, is one pass here: a
row is read once, kept in registers, and written once. One launch serves all rows of about one length, whatever the
weight that they belong to, since each row brings its own address. Which launches a set of weights needs is worked out
when they first move together: from then on the host has to see that they lie where they lay, and to launch.
"""

import warnings
from collections import defaultdict
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

from cwn_lite.rows import dense_rows, is_transposed

_DTYPES = {torch.float32: tl.float32, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}
# Longer rows do not fit into the registers of one block of threads.
LONGEST = 1 << 15


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
        square = tl.sum(v * v, 0)  # NaN if the row has one, which the largest and the smallest value pass over
        v = tl.where((spread == 0) & (square == square), tl.where(inside, fixed, 0.0), v)
        v = v * tl.sqrt_rn(tl.div_rn(c, tl.sum(v * v, 0)))
    else:
        v = v * ((254 - field) << 23).to(tl.float32, bitcast=True)
    tl.store(start + at, v.to(DTYPE), mask=inside)


class Place(NamedTuple):
    """Where a weight lies and how: two weights of one place have the same rows.

    Attributes:
        apart: its rows are not to be had from the rest, since it is transposed or sharded, or it may not be written.
    """

    address: int
    device: torch.device
    dtype: torch.dtype
    shape: torch.Size
    strides: tuple[int, ...]
    apart: bool


class Launch(NamedTuple):
    """Rows to be projected by one launch.

    Attributes:
        table: ``(rows, 2)``, address and length of each row.
        dtype: of the weights.
        width: the least power of two that no row is longer than.
    """

    table: Tensor
    dtype: torch.dtype
    width: int


def project_what_fits_(
    modules: Sequence[nn.Module], c: float, *, centralize: bool, spherize: bool
) -> Sequence[nn.Module]:
    """Project weights of layers in place, unchecked, and return the layers that are left.

    Left are weights elsewhere than on a GPU that Triton makes code for, in other dtypes than float32, float16 and
    bfloat16, sharded ones, those made in inference mode, and those without dense rows of up to ``LONGEST`` numbers.

    Args:
        modules: Linear layers and convolutions.
        c: squared norm of each row.
        centralize: impose zero mean.
        spherize: impose the norm.
    """
    places, weights = [], []
    for module in modules:
        w: Tensor = module.weight  # type: ignore[assignment]  # as torch's modules say
        apart = is_transposed(type(module)) or hasattr(w, "placements") or w.is_inference()
        places.append(Place(0 if apart else w.data_ptr(), w.device, w.dtype, w.shape, w.stride(), apart))
        weights.append(w)
    launches, left = plan(tuple(places))
    for launch in launches:
        _keep(launch.table)
        _start(launch, c, centralize, spherize)
    for i in set(range(len(weights))).difference(left):  # what autograd sees of a change that torch did not make
        torch.autograd.graph.increment_version(weights[i])
    return [modules[i] for i in left]


def _start(launch: Launch, c: float, centralize: bool, spherize: bool) -> None:
    table, dtype, width = launch
    warps = min(32, max(1, width // 1024))  # 32 values for each thread, and no more threads than a block may have
    with torch.cuda.device_of(table):
        _project_row[(len(table),)](table, c, _DTYPES[dtype], width, centralize, spherize, num_warps=warps)


# A captured graph reads its tables at each replay, at the address where they lay.
_captured: set[Tensor] = set()


def _keep(table: Tensor) -> None:
    """Keep a table for as long as a launch may read it."""
    if not table.is_cuda:
        return
    if torch.cuda.is_current_stream_capturing():
        _captured.add(table)
    else:  # a table that the cache forgets is freed once this stream is done with it
        table.record_stream(torch.cuda.current_stream(table.device))


@lru_cache(maxsize=256)
def plan(places: tuple[Place, ...]) -> tuple[list[Launch], list[int]]:
    """Return the launches that project the weights of these places, and the indices of those that are left."""
    rows: dict[tuple[torch.device, torch.dtype, int], list[Tensor]] = defaultdict(list)
    left = []
    for i, place in enumerate(places):
        # Stands for the weight: what has no values has its layout all the same.
        dense = dense_rows(torch.empty_strided(place.shape, place.strides, dtype=place.dtype, device="meta"))
        n = 0 if place.apart or dense is None or not dense.numel() else dense.shape[1]
        if not (0 < n <= LONGEST and takes(place.device, place.dtype)):
            left.append(i)
            continue
        lines = _lines(place.address, place.shape[0], n, place.dtype)
        rows[place.device, place.dtype, triton.next_power_of_2(n)].append(lines)
    return [Launch(torch.cat(own).to(device), dtype, width) for (device, dtype, width), own in rows.items()], left


def _lines(address: int, rows: int, n: int, dtype: torch.dtype) -> Tensor:
    starts = address + torch.arange(rows, device="cpu") * (n * dtype.itemsize)
    return torch.stack([starts, torch.full_like(starts, n)], 1)


def takes(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether the kernel is for a device and a dtype: GPUs of NVIDIA, if Triton can make code for them."""
    return dtype in _DTYPES and device.type == "cuda" and torch.version.hip is None and can_launch(device, dtype)


@cache
def can_launch(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether the kernel runs on a device, and warn if not: Triton wants a C compiler, and no old GPU."""
    row = torch.tensor([[1.0, 3.0]], device=device, dtype=dtype)
    try:
        _start(Launch(_lines(row.data_ptr(), 1, 2, dtype).to(device), dtype, 2), 2.0, True, True)
        works = bool((row == torch.tensor([-1.0, 1.0], device=device)).all())
    except Exception as error:  # whatever Triton, a compiler or a driver has to say
        problem = f"{type(error).__name__}: {error}"
    else:
        problem = "" if works else "it computes something else"
    if problem:
        warnings.warn(
            f"weights on {device} are projected by PyTorch's operations, which takes longer, since the kernel for "
            f"{dtype} does not run there ({problem})",
            stacklevel=2,
        )
    return not problem
