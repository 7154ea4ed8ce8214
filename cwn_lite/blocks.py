"""The projection in one pass over memory, for rows that lie densely on a CPU.

The reference in :mod:`cwn_lite.projection` guards against every kind of row, and each guard is a pass over the weight.
A weight that took one step from the constraint set needs none of them. Here a block of rows that fits the cache is
measured, centred and rescaled while it is warm: 8 bytes of memory traffic per value. The two measures, mean and norm,
tell whether a block needs the guards after all, before anything is written.
"""

import math

import torch
from torch import Tensor

# Values in a block: eight megabytes in float32, which the cache that all cores share holds. In smaller blocks the
# calls of torch cost more than the memory does.
BLOCK = 1 << 21
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
# Rows outside these bounds go to the reference: squares near overflow or underflow, or a mean that is most of the row.
_LARGEST, _SMALLEST, _LEAST_LEFT = 1e15, 1e-15, 0.5


def dense_rows(weight: Tensor) -> Tensor | None:
    """Return ``(out, n)`` rows that share memory with a weight, ``None`` if there are none.

    The order of the values in a row is that of memory, which is another one in channels-last.

    Args:
        weight: ``(out, in / groups, *kernel)``.

    Example:
        >>> conv = torch.nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
        >>> tuple(dense_rows(conv.weight).shape)
        (8, 27)
    """
    n = math.prod(weight.shape[1:])
    dense = weight.is_contiguous() or (
        weight.ndim in _CHANNELS_LAST and weight.is_contiguous(memory_format=_CHANNELS_LAST[weight.ndim])
    )
    if not (dense and weight.stride(0) == n):
        return None
    return weight.as_strided((weight.shape[0], n), (n, 1))


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
