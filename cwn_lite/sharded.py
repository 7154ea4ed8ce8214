"""Whole matrices out of weights that processes share by rows, and back: what an orthogonalization needs."""

import torch
from torch import Tensor

from cwn_lite.rows import Layout, copy_rows_, local_part, to_rows


def whole(weight: Tensor) -> Tensor:
    """Return ``weight``, gathered from all processes if it is a DTensor.

    Args:
        weight: a tensor or DTensor.
    """
    # Known by what it does, not by its class, whose module differs between torch versions.
    return weight.full_tensor() if hasattr(weight, "placements") else weight  # type: ignore[attr-defined]


def gathered(weight: Tensor, rows: Tensor, stored: Layout) -> Tensor:
    """Return the rows of all processes, ``(rows, n)``.

    Args:
        weight: a DTensor that is shared by rows.
        rows: those that belong to this process.
        stored: how the weight is stored.
    """
    holder = torch.empty_like(weight)
    copy_rows_(local_part(holder, transposed=stored["transposed"]), rows, **stored)
    return to_rows(whole(holder), **stored)


def copy_whole_(weight: Tensor, rows: Tensor, *, transposed: bool, groups: int) -> None:
    """Write all rows of a weight into it, or of a DTensor those that this process keeps.

    Args:
        weight: a tensor or DTensor.
        rows: ``(rows, n)``, of the whole weight.
        transposed: as for :func:`cwn_lite.rows.row_view`.
        groups: likewise.
    """
    placements = getattr(weight, "placements", None)
    if placements is None:
        copy_rows_(weight, rows, transposed=transposed, groups=groups)
        return
    full = torch.empty(weight.shape, dtype=rows.dtype, device=rows.device)
    copy_rows_(full, rows, transposed=transposed, groups=groups)
    mesh = weight.device_mesh  # type: ignore[attr-defined]
    part = local_part(weight, transposed=transposed)
    for dim, placement in enumerate(placements):
        if placement.is_shard():
            chunks = full.chunk(mesh.size(dim), placement.dim)
            rank = mesh.get_local_rank(dim)
            full = chunks[rank] if rank < len(chunks) else full.narrow(placement.dim, 0, 0)
    part.copy_(full)
