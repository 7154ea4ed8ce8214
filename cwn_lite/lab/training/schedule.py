"""The learning rate of each step."""

from __future__ import annotations

import math

from ..recipes.parts import Training


def learning_rate(training: Training, step: int, steps_per_epoch: int) -> float:
    """Return a cosine from ``training.lr`` to ``training.final_lr``, after a linear warm-up where there is one.

    Args:
        training: its ``lr``, ``final_lr``, ``epochs`` and ``warmup_epochs``.
        step: number of the step, from 0.
        steps_per_epoch: steps of one epoch.

    Example:
        >>> from cwn_lite.lab.recipes.parts import SGD
        >>> training = SGD(epochs=3, warmup_epochs=1)
        >>> [round(learning_rate(training, step, 2), 3) for step in range(6)]
        [0.05, 0.1, 0.1, 0.085, 0.05, 0.015]

    Reference: Loshchilov and Hutter, SGDR, ICLR 2017; Ikami et al., WACV 2021, section 4.1.1.
    """
    warmup, total = training.warmup_epochs * steps_per_epoch, training.epochs * steps_per_epoch
    if step < warmup:
        return training.lr * (step + 1) / warmup
    fall = (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
    return training.final_lr + (training.lr - training.final_lr) * fall
