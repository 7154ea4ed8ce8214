"""Noise beside none, and noise that grows with depth beside constant noise, as pairs of recorded runs."""

from __future__ import annotations

import statistics

from ..recipes import get, noise, slopes
from .store import Result, of_recipe

STEPS = {"sgd": "SGD", "angular": "steps by an angle"}
"""Kind of steps -> in words."""

BASES = {
    "digits": "300 digits, 60 epochs",
    "cnn16": "9-layer CNN at a quarter of its width, CIFAR-10, JPEG quality 75, 2,000 images, 40 epochs",
}
"""Base of `noise.BASES` -> network, data and length, in words."""

Pair = tuple[list[Result], list[Result]]


def overfits(base: str, steps: str) -> bool:
    """Return whether half of the runs without a regularizer end with a training error under a third of the test error.

    Args:
        base: a key of ``BASES``.
        steps: a key of ``STEPS``.
    """
    runs = [run.final for run in of_recipe(get(f"noise-{base}-{steps}-none")) if run.final]
    train, test = (statistics.median(final[key] for final in runs) for key in ("train_error", "test_error"))
    return train < test / 3


def against_none() -> dict[str, Pair]:
    """Return setting -> runs of the noise that held-out images chose and of none, where training overfits.

    Example:
        >>> list(against_none())[0]
        '300 digits, 60 epochs, SGD (`constant-sample-s0.4`)'
    """
    found: dict[str, Pair] = {}
    for (base, steps), chosen in noise.CHOSEN.items():
        if overfits(base, steps):
            loud, none = (of_recipe(get(f"noise-{base}-{steps}-{name}")) for name in (chosen["noise"], "none"))
            found[f"{BASES[base]}, {STEPS[steps]} (`{chosen['noise']}`)"] = loud, none
    return found


def at_their_best() -> dict[str, Pair]:
    """Return setting -> runs of linear and of constant noise, each in its best form and level on held-out images.

    Where training overfits.

    Example:
        >>> list(at_their_best())[0]
        '300 digits, 60 epochs, SGD (`linear-sample-s0.7` and `constant-sample-s0.4`)'
    """
    found: dict[str, Pair] = {}
    for (base, steps), chosen in noise.CHOSEN.items():
        if overfits(base, steps):
            best = sorted((chosen["noise"], noise.OTHER_SCHEDULE[base, steps]), reverse=True)  # linear first
            linear, constant = (of_recipe(get(f"noise-{base}-{steps}-{name}")) for name in best)
            names = " and ".join(f"`{name}`" for name in best)
            found[f"{BASES[base]}, {STEPS[steps]} ({names})"] = linear, constant
    return found


def at_equal_strength() -> dict[str, Pair]:
    """Return setting -> runs of linear and of constant noise of one strength in a residual network.

    Example:
        >>> list(at_equal_strength())[0]
        'ResNet-32, 300 digits, 60 epochs, SGD, strength 0.1'
    """
    found: dict[str, Pair] = {}
    for steps, words in STEPS.items():
        for strength in slopes.STRENGTHS:
            linear, constant = (
                of_recipe(get(f"noise-resnet32-{steps}-{kind}-rms{strength:g}")) for kind in ("linear", "constant")
            )
            found[f"ResNet-32, {BASES['digits']}, {words}, strength {strength:g}"] = linear, constant
    return found
