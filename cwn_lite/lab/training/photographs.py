"""Photographs to train and test on, decoded by workers while the network computes: the batches of a run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..augment import crops
from ..data import Photographs, picture
from ..data.photographs import held_out
from ..errors import LabError
from ..recipes import parts
from ..seeding import derive, generator
from .world import World, told

TEST_BATCH = 256
# Per channel of all ImageNet's training images, in [0, 1], as everybody takes them.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# A photograph of the test set, or (epoch, number) of one to train on.
Key = tuple[int | None, int]
# Images (B, 3, side, side) uint8 and labels, or why there are none.
Batch = tuple[Tensor, Tensor] | str


class PhotographTask:
    """Batches of photographs; see :class:`cwn_lite.lab.training.task.Task`.

    The order of an epoch and the crop of each image are functions of seed, epoch and image: neither the number of
    workers nor that of processes, nor an interruption, changes what a step sees. (torch's DistributedSampler pads the
    last batch instead, and cannot begin in the middle of an epoch.)

    Args:
        wish: what of each photograph the network sees.
        batch: photographs per step.
        seed: of the order of the photographs and of what is done to each.
        data: the files.
        device: where the batches go.
        world: the processes that share the run.
        workers: processes that decode; 0 decodes in this one, ``None`` is as many as :func:`usual_workers` says.

    Raises:
        LabError: the recipe holds out all photographs; later, a file that is no picture, by its name.
    """

    by_class = False

    def __init__(
        self,
        wish: parts.Photographs,
        batch: int,
        seed: int,
        data: Photographs,
        device: torch.device,
        *,
        world: World | None = None,
        workers: int | None = None,
    ) -> None:
        data = held_out(data, wish)
        self._wish, self._batch, self._seed, self._device, self._data = wish, batch, seed, device, data
        self._world = World() if world is None else world
        self._workers = usual_workers() if workers is None else workers
        self._mean, self._std = (torch.tensor(v, device=device).view(1, 3, 1, 1) * 255 for v in (MEAN, STD))
        self.train_count, self.test_count = len(data.train_labels), len(data.test_labels)
        self.classes, self.record = len(np.unique(data.train_labels)), data.record
        self.top5 = self.classes > 10
        self._epoch = 0
        self._stream: Iterator[Batch] = iter(())
        self._ahead = (-1, -1)  # epoch and step of what the stream gives next

    def start(self, epoch: int) -> None:
        """Go on with an epoch; a stream that comes from the one before gives its first batch next."""
        self._epoch = epoch

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the normalized photographs (B, 3, side, side) of a step and their labels."""
        if self._ahead != (self._epoch, step):
            self._stream = self._load(self._order(self._epoch, step), self._wish.augment != "none")
        steps = -(-self.train_count // self._batch)
        self._ahead = (self._epoch, step + 1) if step + 1 < steps else (self._epoch + 1, 0)
        return self._ready(next(self._stream))

    def first(self, size: int) -> tuple[Tensor, Tensor]:
        """Return the middles of training photographs, and their labels."""
        part = range(size)[self._world.part(size)]
        return self._ready(_Files(self._data, self._wish.side, self._seed, False).__getitems__([(0, i) for i in part]))

    def test(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the test set in batches."""
        whole = (range(self.test_count)[k : k + TEST_BATCH] for k in range(0, self.test_count, TEST_BATCH))
        keys: list[list[Key]] = [[(None, i) for i in batch[self._world.part(len(batch))]] for batch in whole]
        for batch in self._load(keys, False):
            yield self._ready(batch)

    def close(self) -> None:
        """End the workers. Left to the garbage collector, torch waits for each of them for five seconds.

        The collector ends the threads that would tell them, before it ends the stream.
        """
        self._stream, self._ahead = iter(()), (-1, -1)

    def _order(self, epoch: int, step: int) -> Iterator[list[Key]]:
        """Yield for each step, from this one on and without an end, what this process trains on."""
        while True:
            order = torch.randperm(self.train_count, generator=generator(self._seed, "order", epoch))
            for batch in order.split(self._batch)[step:]:
                yield [(epoch, i) for i in batch[self._world.part(len(batch))].tolist()]
            epoch, step = epoch + 1, 0

    def _load(self, keys: Iterable[list[Key]], augment: bool) -> Iterator[Batch]:
        """Return what workers make of batches of keys, in order, some batches ahead."""
        files = _Files(self._data, self._wish.side, self._seed, augment)
        return iter(
            DataLoader(
                files,
                batch_sampler=_Keys(keys),
                num_workers=self._workers,
                collate_fn=_as_it_is,
                pin_memory=self._device.type == "cuda",
                worker_init_fn=_leave_signals,
                generator=torch.Generator(),  # or each start would draw from the one that the noise comes from
            )
        )

    def _ready(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if isinstance(batch, str):
            raise LabError(batch)
        images, labels = (part.to(self._device, non_blocking=True) for part in batch)
        x = (images.to(torch.get_default_dtype()) - self._mean) / self._std
        return x.contiguous(memory_format=torch.channels_last), labels


class _Keys:
    """Batches of keys, to be gone through once."""

    def __init__(self, keys: Iterable[list[Key]]) -> None:
        self._keys = keys

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self._keys)


class _Files(Dataset[Any]):
    """What a worker holds: names and labels of files, and what is to be done to their pictures."""

    def __init__(self, data: Photographs, side: int, seed: int, augment: bool) -> None:
        self._data, self._side, self._seed, self._augment = data, side, seed, augment

    def __getitems__(self, keys: list[Key]) -> Batch:
        """Return the batch, or in words why a file is none: an error would arrive with the worker's traceback."""
        try:
            images = [self._square(epoch, index) for epoch, index in keys]
        except (LabError, OSError) as error:
            return str(error)
        labels = [int(self._label(epoch)[index]) for epoch, index in keys]
        stacked = torch.stack(images) if images else torch.empty(0, 3, self._side, self._side, dtype=torch.uint8)
        return stacked, torch.tensor(labels, dtype=torch.int64)

    def _label(self, epoch: int | None) -> NDArray[np.int64]:
        return self._data.test_labels if epoch is None else self._data.train_labels

    def _square(self, epoch: int | None, index: int) -> Tensor:
        files = self._data.test_files if epoch is None else self._data.train_files
        pixels = picture.photograph(self._data.root / os.fsdecode(bytes(files[index])))
        if epoch is None or not self._augment:
            return crops.middle(pixels, self._side)
        return crops.random_part(pixels, self._side, derive(self._seed, "augment", epoch, index))


def usual_workers() -> int:
    """Return how many processes decode: the CPUs of this machine over the runs that torchrun started on it, at most 8.

    Example:
        >>> 1 <= usual_workers() <= 8
        True
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, cpus // told("LOCAL_WORLD_SIZE", 1, 1, 10**6)))


def _as_it_is(batch: Any) -> Any:
    return batch


def _leave_signals(worker: int) -> None:
    """Let the run decide what Ctrl-C means, and end at once when it says so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
