"""Many small weights projected together: a GPU then launches a kernel per fan-in, and Python calls torch as rarely."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from cwn_lite import blocks
from cwn_lite.projection import project_, project_dense_
from cwn_lite.rows import layout

# Projects (k, n) rows in place, given c, centralize and spherize.
Project = Callable[[Tensor, float, bool, bool], None]

# Larger weights keep a device busy alone; copying them together would cost more than the calls that it saves.
SMALL = {"cpu": 1 << 16}
SMALL_ELSEWHERE = 1 << 18
# Values copied at a time: what is allocated does not grow with the model.
LARGEST_CHUNK = blocks.BLOCK


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
    for module in modules:
        weight = module.weight
        assert isinstance(weight, Tensor)
        # A DTensor holds a part of its rows, and a transposed weight keeps a row in pieces.
        by_rows = not (hasattr(weight, "placements") or layout(module)["transposed"])
        rows = blocks.dense_rows(weight) if by_rows else None
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
