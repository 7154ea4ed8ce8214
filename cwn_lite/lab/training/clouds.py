"""Point clouds to train and test on, whole on the device: the batches of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from ..augment.cloud_ops import draw_noise, draw_subset, draw_turn, jitter, take, turn
from ..data.clouds import Clouds
from ..errors import LabError
from ..recipes.parts import Points
from ..seeding import generator
from .world import World

TEST_BATCH = 32  # a graph of near points takes as much memory as a batch of training


class CloudTask:
    """Batches of point clouds, turned and jittered; see :class:`cwn_lite.lab.training.task.Task`.

    Args:
        wish: how many points, and what is done to them.
        batch: clouds per step.
        seed: of the order of the clouds and of what is done to each.
        data: the data set that the recipe names.
        device: where the clouds are kept, and the batches made.
        world: the processes that share the run.

    Raises:
        LabError: the recipe wants more points or clouds than there are.
    """

    by_class, top5 = True, False

    def __init__(
        self, wish: Points, batch: int, seed: int, data: Clouds, device: torch.device, *, world: World | None = None
    ) -> None:
        there = data.train_points.shape[1]
        if wish.points > there:
            raise LabError(f"{data.name} has {there} points per cloud, the recipe wants {wish.points}")
        data = _held_out(data, wish.validation)
        self._wish, self._batch, self._seed, self._device = wish, batch, seed, device
        self._world = World() if world is None else world
        self._points, self._labels = data.train_points.to(device), data.train_labels.to(device)
        self._test = data.test_points[:, : wish.points].to(device), data.test_labels.to(device)
        self.train_count, self.test_count = len(data.train_labels), len(data.test_labels)
        self.classes, self.record = len(data.class_names), data.record
        self.start(0)

    def start(self, epoch: int) -> None:
        """Draw the order of an epoch and how far each cloud is turned."""
        self._epoch = epoch
        self.order = torch.randperm(self.train_count, generator=generator(self._seed, "order", epoch))
        self._turns = draw_turn(self.train_count, generator(self._seed, "augment", epoch))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the clouds (B, points, 3) of a step and their labels."""
        first = step * self._batch
        whole = self.order[first : first + self._batch]
        part = self._world.part(len(whole))
        # What is random is drawn for the whole step, so that processes that share it see what one would.
        draws = generator(self._seed, "points", self._epoch, step)
        index = whole[part].to(self._device)
        there, kept = self._points.shape[1], self._wish.points
        points = self._points[index]
        if kept < there:
            points = take(points, draw_subset(len(whole), there, kept, draws)[part].to(self._device))
        if self._wish.augment == "turn-jitter":
            noise = draw_noise(len(whole), kept, draws)[part].to(self._device)
            points = jitter(turn(points, self._turns[first : first + self._batch][part].to(self._device)), noise)
        return points, self._labels[index]

    def first(self, size: int) -> tuple[Tensor, Tensor]:
        """Return training clouds as they are, and their labels."""
        part = self._world.part(size)
        return self._points[part, : self._wish.points], self._labels[part]

    def test(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the test set in batches."""
        for points, labels in zip(*(tensor.split(TEST_BATCH) for tensor in self._test), strict=True):
            part = self._world.part(len(labels))
            yield points[part], labels[part]

    def close(self) -> None:
        """Nothing works ahead."""


def _held_out(data: Clouds, validation: int) -> Clouds:
    """Return the data with clouds of the training set in the test set's place, the last of a fixed random order."""
    n = len(data.train_labels)
    if not validation:
        return data
    if validation >= n:
        raise LabError(f"{data.name} has {n} training clouds, the recipe wants {validation} to validate")
    order = torch.randperm(n, generator=generator(0, "subset"))
    train, held = order[:-validation], order[-validation:]
    return dataclasses.replace(
        data,
        train_points=data.train_points[train],
        train_labels=data.train_labels[train],
        test_points=data.train_points[held],
        test_labels=data.train_labels[held],
    )
