"""Order, crops and mirror images of one epoch, drawn per image and applied per batch on the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .seeding import generator

PADDING = 4


@dataclass(frozen=True)
class EpochPlan:
    """What is done to which image in one epoch: a pure function of (seed, epoch), so a resume needs no state.

    Attributes:
        order: (n,) indices of the images, a permutation.
        shift: (n, 2) row and column of each crop in the padded image, 0 to 8, or ``None`` for no augmentation.
        flip: (n,) whether each crop is mirrored.
    """

    order: Tensor
    shift: Tensor | None
    flip: Tensor | None

    @classmethod
    def draw(cls, seed: int, epoch: int, n: int, *, augment: bool) -> EpochPlan:
        """Draw the plan of one epoch over ``n`` images on the CPU: the same on every device."""
        order = torch.randperm(n, generator=generator(seed, "order", epoch))
        if not augment:
            return cls(order, None, None)
        draws = generator(seed, "augment", epoch)
        shift = torch.randint(0, 2 * PADDING + 1, (n, 2), generator=draws)
        flip = torch.rand(n, generator=draws) < 0.5
        return cls(order, shift, flip)

    def to(self, device: torch.device) -> EpochPlan:
        """Return the plan on a device."""
        parts = (self.order, self.shift, self.flip)
        order, shift, flip = (None if part is None else part.to(device) for part in parts)
        assert order is not None
        return EpochPlan(order, shift, flip)

    def batch(self, images: Tensor, step: int, size: int) -> tuple[Tensor, Tensor]:
        """Return the images of one step and their indices.

        Args:
            images: (n, C, H, W) uint8, the whole training set.
            step: number of the step in this epoch.
            size: images per step.
        """
        where = slice(step * size, (step + 1) * size)
        index = self.order[where]
        chosen = images[index]
        if self.shift is not None and self.flip is not None:
            chosen = crop_flip(chosen, self.shift[where], self.flip[where])
        return chosen, index


def crop_flip(images: Tensor, shift: Tensor, flip: Tensor) -> Tensor:
    """Crop each image at its own place out of a frame of zeros, mirror those that are marked.

    Args:
        images: (B, C, H, W), any dtype.
        shift: (B, 2) row and column of the crop in the image padded by 4; (4, 4) leaves it in place.
        flip: (B,) bool.

    Returns:
        (B, C, H, W) in channels-last memory format.

    Example:
        >>> image = torch.arange(4).view(1, 1, 2, 2)
        >>> crop_flip(image, torch.tensor([[4, 4]]), torch.tensor([True])).flatten().tolist()
        [1, 0, 3, 2]
    """
    height, width = images.shape[-2:]
    padded = F.pad(images, (PADDING,) * 4).permute(0, 2, 3, 1)
    rows = torch.arange(height, device=images.device) + shift[:, :1]
    columns = torch.arange(width, device=images.device).expand(len(images), width)
    columns = torch.where(flip[:, None], width - 1 - columns, columns) + shift[:, 1:]
    batch = torch.arange(len(images), device=images.device)
    return padded[batch[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
