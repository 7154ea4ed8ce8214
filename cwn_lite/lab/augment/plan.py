"""Order, crops and mirror images of one epoch, drawn per image and applied per batch on the device."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..seeding import generator
from .policy import Policy, PolicyPlan, apply_policy

PADDING = 4
"""Pixels of zeros around an image from which crops are cut, and so the farthest that an image moves."""


@dataclass(frozen=True)
class EpochPlan:
    """What is done to which image in one epoch: a pure function of (seed, epoch), so a resume needs no state.

    Attributes:
        order: (n,) indices of the images, a permutation.
        shift: (n, 2) row and column of each crop in the padded image, 0 to 8, or ``None`` for no augmentation.
        flip: (n,) whether each crop is mirrored.
        operations: what a policy does to each image before the crop, or ``None``.
        hole: (n, 2) row and column of the centre of Cutout's square as parts of the side, or ``None``.
    """

    order: Tensor
    shift: Tensor | None = None
    flip: Tensor | None = None
    operations: PolicyPlan | None = None
    hole: Tensor | None = None

    @classmethod
    def draw(
        cls, seed: int, epoch: int, n: int, *, reach: int | None, policy: Policy | None = None, holes: bool = False
    ) -> EpochPlan:
        """Draw the plan of one epoch over ``n`` images on the CPU: the same on every device.

        Args:
            seed: of the run.
            epoch: number of the epoch; each has draws of its own.
            n: number of images.
            reach: draw crops that move an image by up to so many pixels, at most 4, and mirrors; ``None``: neither.
            policy: draw one of its sub-policies for each image.
            holes: draw places for Cutout.
        """
        plan = cls(torch.randperm(n, generator=generator(seed, "order", epoch)))
        if reach is not None:
            draws = generator(seed, "augment", epoch)
            shift = torch.randint(PADDING - reach, PADDING + reach + 1, (n, 2), generator=draws)
            plan = replace(plan, shift=shift, flip=torch.rand(n, generator=draws) < 0.5)
        if policy is not None:
            plan = replace(plan, operations=PolicyPlan.draw(generator(seed, "policy", epoch), n, policy))
        if holes:
            plan = replace(plan, hole=torch.rand(n, 2, generator=generator(seed, "cutout", epoch)))
        return plan

    def to(self, device: torch.device) -> EpochPlan:
        """Return the plan on a device."""
        parts: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: part.to(device) for name, part in parts.items() if part is not None})

    def batch(self, images: Tensor, step: int, size: int, part: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Return the images of one step and their indices.

        Args:
            images: (n, C, H, W) uint8, the whole training set.
            step: number of the step in this epoch.
            size: images per step.
            part: which of these images.
        """
        start, stop, _ = part.indices(size)
        where = slice(step * size + start, step * size + stop)
        index = self.order[where]
        chosen = images[index]
        if self.operations is not None:
            chosen = apply_policy(chosen, self.operations[where])
        if self.shift is not None and self.flip is not None:
            chosen = crop_flip(chosen, self.shift[where], self.flip[where])
        return chosen, index

    def holes(self, step: int, size: int, part: slice = slice(None)) -> Tensor | None:
        """Return the centres of Cutout's squares for the images that :meth:`batch` returns, ``(B, 2)`` in [0, 1)."""
        start, stop, _ = part.indices(size)
        return None if self.hole is None else self.hole[step * size + start : step * size + stop]


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


def cutout(x: Tensor, hole: Tensor, side: int) -> Tensor:
    """Return normalized images with a square of zeros, the mean colour, in each; the border cuts squares off.

    Args:
        x: (B, C, H, W), normalized.
        hole: (B, 2) row and column of the centre as parts of height and width, in [0, 1).
        side: of the square, in pixels; an even one reaches one pixel farther up and left.

    Example:
        >>> cutout(torch.ones(1, 1, 3, 3), torch.tensor([[0.0, 0.5]]), 2).squeeze().tolist()
        [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]

    Reference: DeVries and Taylor, Improved regularization of CNNs with Cutout, 2017.
    """
    height, width = x.shape[-2:]
    # No tensor made of numbers: on a GPU that copy would wait for all that is under way.
    first = [(hole[:, axis] * n).floor().long() - side // 2 for axis, n in ((0, height), (1, width))]
    rows, columns = (torch.arange(n, device=x.device) - f[:, None] for f, n in zip(first, (height, width), strict=True))
    inside = ((rows >= 0) & (rows < side))[:, :, None] & ((columns >= 0) & (columns < side))[:, None, :]
    return x.masked_fill(inside[:, None], 0.0)
