"""How a network does on a test set."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .task import Task
from .world import World

TOP = 5


class Evaluation(NamedTuple):
    """Mean loss of the test set and errors in per cent.

    Attributes:
        loss: mean cross entropy.
        error: share of samples whose class is not the first guess.
        class_error: the mean over classes of their errors.
        top5_error: share of samples whose class is not among the first five guesses.
    """

    loss: float
    error: float
    class_error: float
    top5_error: float


@torch.no_grad()
def evaluate(forward: Callable[[Tensor], Tensor], task: Task, world: World, device: torch.device) -> Evaluation:
    """Return how a network does on the test set; all processes of a world must ask, and are told the same.

    Args:
        forward: maps a batch of inputs to logits (B, classes), float32.
        task: its test set.
        world: the processes that share the test set.
        device: of the logits.
    """
    loss = torch.zeros((), dtype=torch.float64, device=device)
    counts = torch.zeros(3, task.classes, dtype=torch.float64, device=device)  # of a class; wrong; not in the first 5
    for x, target in task.test():
        if not len(target) and not world.sharded:  # parts of parameters are gathered by all or by none
            continue
        logits = forward(x)
        loss += F.cross_entropy(logits, target, reduction="sum").double()
        guesses = logits.topk(min(TOP, task.classes), dim=1).indices == target[:, None]
        wrong = (logits.argmax(1) != target).double()
        counts.index_add_(1, target, torch.stack([torch.ones_like(wrong), wrong, (~guesses.any(1)).double()]))
    there, wrong, far = world.total(counts)
    n = task.test_count
    by_class = (wrong / there)[there > 0].mean()
    mean_loss = float(world.total(loss)) / n
    return Evaluation(mean_loss, 100 * float(wrong.sum()) / n, 100 * float(by_class), 100 * float(far.sum()) / n)
