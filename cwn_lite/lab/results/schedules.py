"""Noise that grows with depth beside constant noise (Section 3.3, Table 4), as pairs of recorded runs."""

from __future__ import annotations

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


def at_their_best() -> dict[str, Pair]:
    """Return setting -> runs of linear and of constant noise, each in its best form and level on held-out images.

    Example:
        >>> list(at_their_best())[0]
        '300 digits, 60 epochs, SGD'
    """
    found: dict[str, Pair] = {}
    for (base, steps), chosen in noise.CHOSEN.items():
        best = {name.partition("-")[0]: name for name in (chosen["noise"], noise.OTHER_SCHEDULE[base, steps])}
        linear, constant = (of_recipe(get(f"noise-{base}-{steps}-{best[kind]}")) for kind in ("linear", "constant"))
        found[f"{BASES[base]}, {STEPS[steps]}"] = linear, constant
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
