"""What a trainer asks of data, whatever its kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor


class Task(Protocol):
    """Training and test data of one run on its device; all that is random is a function of seed and epoch.

    Where processes share the run, each has a task of its own, which gives that process's part of everything.

    Attributes:
        train_count: samples of an epoch, of all processes.
        test_count: samples of the test set, of all processes.
        classes: number of classes.
        by_class: whether a test also reports the mean over classes of their errors.
        top5: whether it reports how often a class is not among the first five guesses.
        record: what a result says about the data.
    """

    train_count: int
    test_count: int
    classes: int
    by_class: bool
    top5: bool
    record: dict[str, str | int]

    def start(self, epoch: int) -> None:
        """Draw what is random in an epoch."""

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the inputs of a step of the epoch and their labels."""

    def first(self, size: int) -> tuple[Tensor, Tensor]:
        """Return as many training samples as a step of that size has, with nothing done to them, for a rehearsal."""

    def test(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the test set in batches, as many in each process; the last one of a process may be empty."""

    def close(self) -> None:
        """Let go what works ahead of the run, which has ended or stops."""
