"""The projection in one pass over memory, for rows that lie densely on a CPU.

The reference in :mod:`cwn_lite.projection` guards against every kind of row, and each guard is a pass over the weight.
A weight that took one step from the constraint set needs none of them. Here blocks of rows that fit a cache are
normalized by torch's layer norm, a projection up to the factor ``√(c / n)``, and written back while they are warm: 8
bytes of memory traffic per value. What layer norm returns beside tells whether a block needs the guards after all.
"""

import math

import torch
from torch import Tensor

# Values in a block: two megabytes in float32, read and written while it is in the cache of a core or two.
BLOCK = 1 << 19
# Rows outside these bounds go to the reference: squares near overflow or underflow, or a mean that dwarfs the rest.
_LARGEST_STD, _SMALLEST_STD, _LARGEST_OFFSET = 1e12, 1e-12, 16.0


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
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    dense = weight.is_contiguous() or (
        weight.ndim in formats and weight.is_contiguous(memory_format=formats[weight.ndim])
    )
    if not (dense and weight.stride(0) == n):
        return None
    return weight.as_strided((weight.shape[0], n), (n, 1))


def are_fast(weight: Tensor) -> bool:
    """Return whether torch's layer norm projects such a weight fast and without a loss of digits."""
    return weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.float64)


def project_block_(rows: Tensor, c: float) -> bool:
    """Project rows onto both constraints in place if they are ordinary ones; return whether they were.

    Args:
        rows: ``(k, n)``, dense, on a CPU.
        c: squared norm of each row, positive.
    """
    n = rows.shape[1]
    factor = rows.new_full((n,), math.sqrt(c / n))
    projected, mean, rstd = torch.native_layer_norm(rows, (n,), factor, None, 0.0)
    # NaN and infinity fail every comparison.
    ordinary = (rstd < 1 / _SMALLEST_STD) & (rstd > 1 / _LARGEST_STD) & (mean.abs() * rstd < _LARGEST_OFFSET)
    if not bool(ordinary.all()):
        return False
    rows.copy_(projected)
    return True
