"""Noise that grows with depth beside noise of the same strength at every depth, in a residual network (Section 3.3)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

from cwn_lite import C_CENTERED, noise_schedule

from .angular import OURS
from .noise import FEW_DIGITS
from .recipe import Recipe
from .settings import OURS_RESNET

# On so few digits that it overfits; branches start at one over the root of their number.
RESNET_32: dict[str, Any] = {**FEW_DIGITS, "net": "resnet", "depth": 32, "residual_gamma": 15**-0.5}
SCALES = 31
"""Scale layers of that network: behind the first convolution, and two in each of 15 blocks."""
# The rate of SGD is the one that held-out images gave this network on all digits (`versus`); the angle is the
# recommended one, of which held-out images preferred three times as much there.
STEPS: dict[str, dict[str, Any]] = {
    "sgd": {**OURS_RESNET, "method": "ours", "c": C_CENTERED, "lr": 0.1},
    "angular": OURS,
}
STRENGTHS = (0.1, 0.2, 0.4)
"""Root mean square of the noise over the scale layers."""


def level(strength: float, schedule: str) -> float:
    """Return the noise level σ at which a schedule has this strength in ResNet-32.

    Example:
        >>> level(0.2, "constant"), round(level(0.2, "linear"), 3)
        (0.2, 0.338)
    """
    unit = noise_schedule(SCALES, 1.0, schedule)
    return strength / math.sqrt(sum(s * s for s in unit) / SCALES)


def slopes() -> Iterator[Recipe]:
    """Yield with each kind of steps no noise, and both schedules at each strength, drawn once per step as printed."""
    for steps, own in STEPS.items():
        yield Recipe.of(name=f"noise-resnet32-{steps}-none", **{**RESNET_32, **own})
        for strength, schedule in product(STRENGTHS, ("constant", "linear")):
            noise = {"sigma": level(strength, schedule), "schedule": schedule}
            name = f"noise-resnet32-{steps}-{schedule}-rms{strength:g}"
            yield Recipe.of(name=name, **{**RESNET_32, **own, **noise})
