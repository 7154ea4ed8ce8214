"""What is done to training clouds: turned about the y axis, jittered, stretched and shifted, thinned out.

What is random is drawn on the CPU and passed in, so that it is the same on every device; the operations are products,
sums and look-ups of single numbers, each rounded on its own.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

JITTER, CLIP = 0.01, 0.05
STRETCH, SHIFT = (2 / 3, 3 / 2), 0.2


def draw_turn(clouds: int, generator: torch.Generator) -> Tensor:
    """Return cosine and sine (clouds, 2) of an angle per cloud, uniform over the circle, for :func:`turn`."""
    angle = 2 * math.pi * torch.rand(clouds, generator=generator)
    return torch.stack([angle.cos(), angle.sin()], 1)


def turn(points: Tensor, cosine_sine: Tensor) -> Tensor:
    """Turn clouds about the y axis, which points up in ModelNet40's HDF5 release and in all our clouds.

    Args:
        points: (N, points, 3).
        cosine_sine: (N, 2), from :func:`draw_turn`.

    Returns:
        (N, points, 3): (x, y, z) becomes (c x + s z, y, c z - s x).

    Example:
        >>> turn(torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[0.0, 1.0]])).tolist()
        [[[3.0, 2.0, -1.0]]]
    """
    x, y, z = points.unbind(2)
    cosine, sine = cosine_sine[:, :1], cosine_sine[:, 1:]
    return torch.stack([cosine * x + sine * z, y, cosine * z - sine * x], 2)


def draw_noise(clouds: int, points: int, generator: torch.Generator) -> Tensor:
    """Return standard normal noise (clouds, points, 3) for :func:`jitter`."""
    return torch.randn(clouds, points, 3, generator=generator)


def jitter(points: Tensor, noise: Tensor, std: float = JITTER, clip: float = CLIP) -> Tensor:
    """Move each point by clipped normal noise.

    The defaults are PointNet's, which the paper follows by way of DGCNN. (DGCNN's release clips at 0.02, and never
    calls it.)

    Args:
        points: (N, points, 3).
        noise: (N, points, 3), from :func:`draw_noise`.
        std: standard deviation of each coordinate before it is clipped.
        clip: largest change of a coordinate.

    Returns:
        (N, points, 3).

    Example:
        >>> jitter(torch.zeros(1, 1, 3), torch.tensor([[[1.0, 9.0, -9.0]]])).tolist()
        [[[0.009..., 0.05..., -0.05...]]]
    """
    return points + (std * noise).clamp(-clip, clip)


def draw_stretch(clouds: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return factors in [2/3, 3/2) and shifts in [-0.2, 0.2), (clouds, 3) each, as DGCNN's release draws them."""
    low, high = STRETCH
    factor = low + (high - low) * torch.rand(clouds, 3, generator=generator)
    return factor, SHIFT * (2 * torch.rand(clouds, 3, generator=generator) - 1)


def stretch(points: Tensor, factor: Tensor, shift: Tensor) -> Tensor:
    """Stretch clouds along the axes, then shift them: the only augmentation in DGCNN's release.

    Args:
        points: (N, points, 3).
        factor: (N, 3), from :func:`draw_stretch`.
        shift: (N, 3), from :func:`draw_stretch`.

    Returns:
        (N, points, 3).

    Example:
        >>> stretch(torch.ones(1, 1, 3), torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.0, 0.0, 1.0]])).tolist()
        [[[1.0, 2.0, 4.0]]]
    """
    return points * factor[:, None] + shift[:, None]


def draw_subset(clouds: int, points: int, kept: int, generator: torch.Generator) -> Tensor:
    """Return which points are kept, (clouds, kept) int64: for each cloud others, in random order, none twice.

    Args:
        clouds: number of clouds.
        points: number of points per cloud.
        kept: number of points to keep, at most as many as there are.
        generator: on the CPU.

    Raises:
        ValueError: more points than there are, or none.
    """
    if not 1 <= kept <= points:
        raise ValueError(f"kept={kept}: {points} points per cloud; keep 1 to {points}")
    # Equal numbers among 2^24 leave their points in the order of the sort, which is stable: the same everywhere.
    return torch.rand(clouds, points, generator=generator).argsort(dim=1, stable=True)[:, :kept]


def take(points: Tensor, index: Tensor) -> Tensor:
    """Return the points of each cloud that an index names.

    Args:
        points: (N, points, 3).
        index: (N, kept) int64, from :func:`draw_subset`.

    Returns:
        (N, kept, 3).

    Example:
        >>> take(torch.arange(6.0).view(1, 2, 3), torch.tensor([[1]])).tolist()
        [[[3.0, 4.0, 5.0]]]
    """
    return points.gather(1, index[:, :, None].expand(-1, -1, 3))
