"""Images to train and test on, whole on the device: the batches of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ..augment import policy
from ..augment.plan import EpochPlan, cutout
from ..data import Dataset, select
from ..data.dataset import SHAPES
from ..errors import LabError
from ..recipes.parts import Images
from .world import World

REACH = {"crop4-flip": 4, "crop2-flip": 2, "none": None}
"""Augmentation -> by how many pixels a crop may move an image."""

TEST_BATCH = 500


class ImageTask:
    """Batches of images, augmented on the device; see :class:`cwn_lite.lab.training.task.Task`.

    Args:
        wish: which images of the set, and what is done to them.
        batch: images per step.
        seed: of the order of the images and of what is done to each.
        data: the data set that the recipe names.
        device: where the images are kept, and the batches made.
        world: the processes that share the run.
        policies: the file of Fast AutoAugment's policies, for a recipe that wants them.

    Raises:
        LabError: the policies are not in the file, or a channel has the same value in all training images.
    """

    by_class = top5 = False

    def __init__(
        self,
        wish: Images,
        batch: int,
        seed: int,
        data: Dataset,
        device: torch.device,
        *,
        world: World | None = None,
        policies: Path | None = None,
    ) -> None:
        data = select(data, wish)
        if not data.std.all():
            raise LabError(f"{data.name}: a channel is the same all over the training images, which teach nothing then")
        self._wish, self._batch, self._seed, self._device = wish, batch, seed, device
        self._world = World() if world is None else world
        self._policy = policy.load(wish.policy, policies)
        self._images, self._labels = data.train_images.to(device), data.train_labels.to(device)
        self._test = data.test_images.to(device), data.test_labels.to(device)
        self._mean, self._std = (part.to(device).view(1, -1, 1, 1) for part in (data.mean, data.std))
        self.train_count, self.test_count = len(data.train_labels), len(data.test_labels)
        self.classes, self.record = SHAPES[wish.kind].classes, data.record
        self.plan: EpochPlan
        self.start(0)

    def start(self, epoch: int) -> None:
        """Draw the order of an epoch and what is done to each image."""
        self.plan = EpochPlan.draw(
            self._seed,
            epoch,
            self.train_count,
            reach=REACH[self._wish.augment],
            policy=self._policy,
            holes=self._wish.cutout > 0,
        ).to(self._device)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the normalized images (B, C, H, W) of a step and their labels."""
        size = min(self._batch, self.train_count - step * self._batch)
        part = self._world.part(size)
        images, index = self.plan.batch(self._images, step, self._batch, part)
        x, hole = self.normalize(images), self.plan.holes(step, self._batch, part)
        return (x if hole is None else cutout(x, hole, self._wish.cutout)), self._labels[index]

    def first(self, size: int) -> tuple[Tensor, Tensor]:
        """Return training images as they are, and their labels."""
        part = self._world.part(size)
        return self.normalize(self._images[part]), self._labels[part]

    def test(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the test set in batches."""
        for images, labels in zip(*(part.split(TEST_BATCH) for part in self._test), strict=True):
            part = self._world.part(len(labels))
            yield self.normalize(images[part]), labels[part]

    def close(self) -> None:
        """Nothing works ahead."""

    def normalize(self, images: Tensor) -> Tensor:
        """Return images with the training set's mean and deviation per channel taken out, in channels-last order."""
        x = (images.to(torch.get_default_dtype()) - self._mean) / self._std
        return x.contiguous(memory_format=torch.channels_last)
