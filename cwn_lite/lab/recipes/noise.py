"""Noise where it can help: runs long enough to overfit, beside dropout and label smoothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from cwn_lite import C_CENTERED

from .angular import OURS
from .recipe import Recipe
from .settings import CNN, CNN_QUARTER, DIGITS, OURS_CNN

# So few images, for so many epochs, that without a regularizer the training error falls far below the test error.
FEW_DIGITS: dict[str, Any] = {**DIGITS, "train_images": 300, "epochs": 60}
BASES: dict[str, dict[str, Any]] = {
    "digits": {**CNN, **FEW_DIGITS},
    "cnn16": {**CNN_QUARTER, "train_images": 2_000, "epochs": 40},
}
VALIDATION = {"digits": 270, "cnn16": 5000}
# CWO with the constant of centred rows, and the recommended recipe.
STEPS: dict[str, dict[str, Any]] = {"sgd": {**OURS_CNN, "method": "ours", "c": C_CENTERED}, "angular": OURS}
LEVELS = (0.1, 0.2, 0.4, 0.7, 1.0)


def regularizers() -> dict[str, dict[str, Any]]:
    """Return name -> fields of every regularizer that is tried: none, noise in each form, and what one would pick.

    Example:
        >>> regularizers()["linear-step-s0.4"]
        {'sigma': 0.4, 'schedule': 'linear'}
    """
    found: dict[str, dict[str, Any]] = {"none": {}}
    for schedule, sigma in product(("constant", "linear"), LEVELS):
        for name, how in (
            ("step", {}),
            ("sample", {"noise_per_sample": True}),
            ("rising", {"noise_rises": True}),
            ("sample-rising", {"noise_per_sample": True, "noise_rises": True}),
        ):
            found[f"{schedule}-{name}-s{sigma:g}"] = {"sigma": sigma, "schedule": schedule, **how}
    found |= {f"dropout{p:g}": {"stage_dropout": p} for p in (0.05, 0.1, 0.2, 0.35, 0.5)}
    return found | {f"smoothing{s:g}": {"label_smoothing": s} for s in (0.05, 0.1, 0.2, 0.35, 0.5)}


def search() -> Iterator[Recipe]:
    """Yield each regularizer on each base with each kind of steps, judged on held-out images."""
    for (base, fields), (steps, own) in product(BASES.items(), STEPS.items()):
        for name, changes in regularizers().items():
            settings = {**fields, "validation": VALIDATION[base], **own, **changes}
            yield Recipe.of(name=f"noise-search-{base}-{steps}-{name}", **settings)


# Base and steps -> kind of regularizer -> the one with the smallest mean error on held-out images; a test holds it.
# Among equals the form that is the paper's comes first.
CHOSEN: dict[tuple[str, str], dict[str, str]] = {
    ("digits", "sgd"): {"noise": "constant-sample-s0.4", "dropout": "dropout0.2", "smoothing": "smoothing0.1"},
    ("digits", "angular"): {"noise": "constant-step-s0.1", "dropout": "dropout0.1", "smoothing": "smoothing0.35"},
    ("cnn16", "sgd"): {
        "noise": "linear-sample-rising-s0.1",
        "dropout": "dropout0.05",
        "smoothing": "smoothing0.1",
    },
    ("cnn16", "angular"): {
        "noise": "linear-sample-rising-s0.4",
        "dropout": "dropout0.1",
        "smoothing": "smoothing0.5",
    },
}

# The same for the schedule that the best noise does not have.
OTHER_SCHEDULE: dict[tuple[str, str], str] = {
    ("digits", "sgd"): "linear-sample-s0.7",
    ("digits", "angular"): "linear-sample-rising-s1",
    ("cnn16", "sgd"): "constant-sample-rising-s0.1",
    ("cnn16", "angular"): "constant-sample-rising-s0.2",
}


def finals() -> Iterator[Recipe]:
    """Yield none, and the best of each base: noise of each schedule, dropout, smoothing; judged on the test set."""
    known = regularizers()
    for (base, steps), chosen in CHOSEN.items():
        for name in ("none", *chosen.values(), OTHER_SCHEDULE[base, steps]):
            yield Recipe.of(name=f"noise-{base}-{steps}-{name}", **{**BASES[base], **STEPS[steps], **known[name]})
