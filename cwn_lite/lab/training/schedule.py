"""The learning rate of each step."""

from __future__ import annotations

import math

import torch

from ..recipes.parts import Training


def learning_rate(training: Training, step: int, steps_per_epoch: int) -> float:
    """Return a cosine from ``training.lr`` to ``training.final_lr``, or stairs, after a linear warm-up if there is one.

    Args:
        training: its ``lr``, ``final_lr``, ``drop_every``, ``epochs`` and ``warmup_epochs``.
        step: number of the step, from 0.
        steps_per_epoch: steps of one epoch.

    Example:
        >>> from cwn_lite.lab.recipes.parts import SGD
        >>> training = SGD(epochs=3, warmup_epochs=1)
        >>> [round(learning_rate(training, step, 2), 3) for step in range(6)]
        [0.05, 0.1, 0.1, 0.085, 0.05, 0.015]
        >>> [round(learning_rate(SGD(epochs=3, drop_every=1), step, 2), 4) for step in range(6)]
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]

    Reference: Loshchilov and Hutter, SGDR, ICLR 2017; Ikami et al., WACV 2021, sections 4.1.1 and 4.3.1.
    """
    warmup, total = training.warmup_epochs * steps_per_epoch, training.epochs * steps_per_epoch
    if step < warmup:
        return training.lr * (step + 1) / warmup
    if training.drop_every is not None:
        return training.lr * 0.1 ** (step // (training.drop_every * steps_per_epoch))
    fall = (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
    return training.final_lr + (training.lr - training.final_lr) * fall


def set_rates(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give each group of parameters its learning rate: ``lr``, times the group's ``rate`` where it has one.

    Args:
        optimizer: of a built recipe.
        lr: the rate of the recipe at this step.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(1))
        >>> optimizer = torch.optim.SGD([{"params": [weight], "rate": 0.2}], lr=1.0)
        >>> set_rates(optimizer, 0.5)
        >>> optimizer.param_groups[0]["lr"]
        0.1
    """
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("rate", 1.0)
