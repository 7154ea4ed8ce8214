"""What a trainer asks of data, whatever its kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor


class Task(Protocol):
    """Training and test data of one run on its device; all that is random is a function of seed and epoch.

    Attributes:
        train_count: samples of an epoch.
        test_count: samples of the test set.
        classes: number of classes.
        by_class: whether a test also reports the mean over classes of their errors.
        record: what a result says about the data.
    """

    train_count: int
    test_count: int
    classes: int
    by_class: bool
    record: dict[str, str | int]

    def start(self, epoch: int) -> None:
        """Draw what is random in an epoch."""

    def batch(self, step: int, part: slice) -> tuple[Tensor, Tensor]:
        """Return the inputs of a step of the epoch and their labels, of them one process's part."""

    def first(self, part: slice) -> tuple[Tensor, Tensor]:
        """Return training samples that nothing was done to, for a rehearsal."""

    def test(self, rank: int = 0, processes: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the test set in batches; of several processes each takes its own."""
