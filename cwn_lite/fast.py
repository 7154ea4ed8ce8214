"""The projection in place, in as few passes over memory and calls of torch as a device allows.

The pure function guards against every kind of row, and each guard is a pass over the weight. A weight that took one
step from the constraint set needs none of them. On a CPU a block of rows that fits the cache is measured, centred and
rescaled while it is warm: 8 bytes of memory traffic per value. The two measures, mean and norm, tell whether a block
needs the guards after all, before anything is written. Many small weights are projected together, so that torch is
called once per fan-in. A GPU has a kernel of its own, see ``kernel.py``, which keeps all guards.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from cwn_lite.checks import check_bool, check_positive, check_real_dense, check_square, check_writable
from cwn_lite.projection import C_HE, check_fan_in, nearest
from cwn_lite.rows import dense_rows, layout, local_part, row_view

# Values in a block: eight megabytes in float32, which the cache that all cores share holds. In smaller blocks the
# calls of torch cost more than the memory does.
BLOCK = 1 << 21
# Rows outside these bounds go to the reference: squares near overflow or underflow, or a mean that is most of the row.
_LARGEST, _SMALLEST, _LEAST_LEFT = 1e15, 1e-15, 0.5


# Projects (k, n) rows in place, given c, centralize and spherize.
Project = Callable[[Tensor, float, bool, bool], None]

# Larger weights keep a device busy alone; copying them together would cost more than the calls that it saves.
SMALL = {"cpu": 1 << 16}
SMALL_ELSEWHERE = 1 << 18
# Values copied at a time: what is allocated does not grow with the model.
LARGEST_CHUNK = BLOCK


@torch.no_grad()
def project_(
    weight: Tensor,
    c: float = C_HE,
    *,
    centralize: bool = True,
    spherize: bool = True,
    transposed: bool = False,
    groups: int = 1,
) -> Tensor:
    """Project a layer's weight onto the constraint set, in place (Eq. 9).

    A row is all that feeds one output. It is everything behind axis 0 for a Linear or a convolution, grouped and
    depthwise included. A transposed convolution stores ``(in, out / groups, *kernel)``; there a row runs over the
    inputs of its group and the kernel.

    Args:
        weight: the parameter, ``(out, in / groups, *kernel)``, in any memory format.
        c: squared norm of each row, positive.
        centralize: impose ``1ᵀw = 0``.
        spherize: impose ``‖w‖² = c``.
        transposed: the weight is that of a ``ConvTranspose1d/2d/3d``.
        groups: the layer's ``groups``; matters for transposed weights only.

    Returns:
        ``weight`` itself.

    Raises:
        TypeError, ValueError: as :func:`project_rows`; and if ``weight`` has fewer than two axes, cannot be written
            (expanded, or made in inference mode), or ``groups`` does not divide it. Nothing is changed then.

    Example:
        >>> conv = torch.nn.Conv2d(3, 8, 3)
        >>> _ = project_(conv.weight)
        >>> bool((conv.weight.flatten(1).square().sum(1) - 2).abs().max() < 1e-5)
        True
    """
    c = check_positive("c", c)
    check_bool("centralize", centralize), check_bool("spherize", spherize), check_bool("transposed", transposed)
    check_real_dense("weight", weight)
    if spherize:
        check_square("c", c, weight.dtype)
    local = local_part(weight, transposed=transposed)
    check_writable("weight", local)
    view, dims = row_view(local, transposed=transposed, groups=groups)
    check_fan_in(math.prod([view.shape[d] for d in dims]), centralize)
    rows = None if transposed else dense_rows(local)
    if rows is None:
        view.copy_(nearest(view, dims, c, centralize, spherize))
    else:
        project_dense_(rows, c, centralize, spherize)
    return weight


@torch.no_grad()
def project_modules_(
    modules: Iterable[nn.Module], c: float, *, centralize: bool, spherize: bool, compiled: Project | None = None
) -> None:
    """Project the weights of layers onto the constraint set, in place; the result is that of ``project_`` on each.

    Args:
        modules: Linear layers and convolutions.
        c: squared norm of each row.
        centralize: impose zero mean.
        spherize: impose the norm.
        compiled: projects dense rows, where :func:`can_compile` says so.
    """
    buckets: dict[tuple[object, ...], list[Tensor]] = defaultdict(list)
    for module in _left_by_kernel(list(modules), c, centralize, spherize):
        weight = module.weight
        assert isinstance(weight, Tensor)
        # A DTensor holds a part of its rows, and a transposed weight keeps a row in pieces.
        by_rows = not (hasattr(weight, "placements") or layout(module)["transposed"])
        rows = dense_rows(weight) if by_rows else None
        if rows is None:
            project_(weight, c, centralize=centralize, spherize=spherize, **layout(module))
        elif rows.numel() <= SMALL.get(rows.device.type, SMALL_ELSEWHERE):
            buckets[rows.shape[1], rows.dtype, rows.device].append(rows)
        else:
            project = compiled if compiled and can_compile(rows) else project_dense_
            project(rows, c, centralize, spherize)
    for same in buckets.values():
        for chunk in _chunks(same):
            project_together_(chunk, c, centralize=centralize, spherize=spherize, compiled=compiled)


def _left_by_kernel(modules: Sequence[nn.Module], c: float, centralize: bool, spherize: bool) -> Sequence[nn.Module]:
    """Let the kernel for GPUs project what it can, and return the other layers.

    Where torch compiles a step it sees nothing of that kernel, so the step is made of torch's operations then.
    """
    if torch.compiler.is_compiling() or not any(module.weight.is_cuda for module in modules) or not _has_triton():
        return modules
    from cwn_lite.kernel import project_what_fits_  # here, since it loads Triton

    return project_what_fits_(modules, c, centralize=centralize, spherize=spherize)


@torch.no_grad()
def project_together_(
    weights: list[Tensor], c: float, *, centralize: bool, spherize: bool, compiled: Project | None = None
) -> None:
    """Project the rows of weights of one fan-in, dtype and device in one go, in place.

    Args:
        weights: each ``(out, n)``, dense.
        c: squared norm of each row.
        centralize: impose zero mean.
        spherize: impose the norm.
        compiled: projects dense rows, where :func:`can_compile` says so.

    Example:
        >>> two = [torch.randn(8, 27), torch.randn(4, 27)]
        >>> project_together_(two, 2.0, centralize=True, spherize=True)
        >>> all(bool((w.square().sum(1) - 2).abs().max() < 1e-5) for w in two)
        True
    """
    rows = torch.cat(weights)
    project = compiled if compiled and can_compile(rows) else project_dense_
    project(rows, c, centralize, spherize)
    torch._foreach_copy_(weights, list(rows.split([len(weight) for weight in weights])))


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


def can_compile(rows: Tensor) -> bool:
    """Return whether the compiled projection is used: not on a CPU.

    Blocks are as fast there, and torch's compiler for CPUs fails on rows that are read and written in place
    (github.com/pytorch/pytorch/issues/196570).
    """
    return rows.device.type != "cpu"


def _chunks(weights: list[Tensor]) -> Iterator[list[Tensor]]:
    chunk: list[Tensor] = []
    room = LARGEST_CHUNK
    for weight in weights:
        if chunk and weight.numel() > room:
            yield chunk
            chunk, room = [], LARGEST_CHUNK
        chunk.append(weight)
        room -= weight.numel()
    yield chunk


def project_dense_(rows: Tensor, c: float, centralize: bool, spherize: bool) -> None:
    """Project ``(k, n)`` rows in place, unchecked, in blocks where that is fast."""
    if not (centralize and spherize and are_fast(rows)):
        reproject_(rows, c, centralize, spherize)
        return
    height = max(1, BLOCK // rows.shape[1])
    for block in rows.split(height) if len(rows) > height else (rows,):
        if not project_block_(block, c):
            reproject_(block, c, centralize, spherize)


def reproject_(rows: Tensor, c: float, centralize: bool, spherize: bool) -> None:
    """Project ``(k, n)`` rows in place by the reference; what :meth:`cwn_lite.Constraint.compile` compiles."""
    rows.copy_(nearest(rows, (1,), c, centralize, spherize))


def are_fast(weight: Tensor) -> bool:
    """Return whether :func:`project_block_` takes such a weight: here it may ask for values, and loses no digits."""
    return weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.float64)


def project_block_(rows: Tensor, c: float) -> bool:
    """Project rows onto both constraints in place if they are ordinary ones; return whether they were.

    Args:
        rows: ``(k, n)``, dense, on a CPU.
        c: squared norm of each row, positive.
    """
    if not len(rows):
        return True
    n = rows.shape[1]
    mean = rows.mean(1, keepdim=True)
    norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    # ‖Pw‖² = ‖w‖² − n mean², and little is lost in the difference where the mean is small.
    square = norm * norm
    centred = torch.addcmul(square, mean, mean, value=-n)
    least, largest = (float(bound) for bound in norm.aminmax())
    # NaN fails every comparison.
    if not (least > _SMALLEST and largest < _LARGEST and float((centred / square).min()) > _LEAST_LEFT):
        return False
    rows.sub_(mean).mul_(centred.rsqrt_().mul_(math.sqrt(c)))
    return True
