"""One change at a time: constraints, noise, decay, small choices (Tables 3-4, Figure 2), residual scale, batch size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from cwn_lite import C_CENTERED

from .recipe import Recipe
from .settings import BASELINE, CNN, CNN_QUARTER, DIGITS, OURS_CNN, OURS_RESNET, OURS_WRN, WRN_28_10, linear_rule

CONSTRAINTS: dict[str, dict[str, Any]] = {
    "neither": {"centralize": False, "spherize": False},
    "centralize": {"spherize": False},
    "spherize": {"centralize": False},
    "both": {},
}
"""The rows of Table 3."""


class Base(NamedTuple):
    """What the ablations start from, and the noise levels that suit it.

    Attributes:
        name: between ``ablate-`` and the change.
        end: last part of the name.
        fields: of the recipe, method ours.
        noise: fields of the noisy column of Table 3.
        constant: levels of constant noise.
        linear: levels of linear noise.
        choices: whether the small choices are tried, too.
        decays: levels of weight decay besides that of the fields, for the rows of Table 3 without noise.
    """

    name: str
    end: str
    fields: dict[str, Any]
    noise: dict[str, Any]
    constant: tuple[float, ...]
    linear: tuple[float, ...]
    choices: bool = True
    decays: tuple[float, ...] = ()


# The paper ablates WideResNet-28-10 alone; gamma as in its Table 1 recipe here.
_WRN: dict[str, Any] = {**WRN_28_10, **OURS_WRN, "residual_gamma": 12**-0.5, "epochs": 200}
_PAPER_NOISE: dict[str, Any] = {"sigma": 1.0, "schedule": "linear"}
_LEVELS = (0.1, 0.2, 0.3, 0.4), (0.2, 0.4, 0.6, 0.8, 1.0)
# Batch statistics of N samples have a relative error of about 1 / sqrt(2 N) in their standard deviation.
BATCH_NOISE = 1 / math.sqrt(2 * 128)
# Off, and so strong that in these short trainings it would shrink a row without a gradient to a small part.
_DECAYS = (0.0, 0.02)
BASES = (
    Base(
        "digits", "", {**DIGITS, **OURS_CNN, "depth": 6}, {"sigma": 0.2}, (0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.4, 0.6),
        decays=_DECAYS,
    ),
    # A fifth of the images: it leaves time for many cells, and something to overfit.
    Base(
        "cnn16", "-n10000-e6", {**CNN_QUARTER, **OURS_CNN, "train_images": 10_000, "epochs": 6}, {"sigma": 0.1},
        (0.05, 0.1, 0.2), (0.1, 0.2), decays=_DECAYS,
    ),
    Base("cnn", "-e30", {**CNN, **OURS_CNN, "epochs": 30}, {"sigma": 0.1}, (BATCH_NOISE, *_LEVELS[0]), _LEVELS[1]),
    Base("wrn28x10", "-e200", _WRN, _PAPER_NOISE, *_LEVELS, choices=False, decays=(0.0,)),
    Base(
        "wrn28x10-c100", "-e200", {**_WRN, "data": "cifar100"}, _PAPER_NOISE, *_LEVELS, choices=False, decays=(0.0,)
    ),
)  # fmt: skip


def constraints_and_noise() -> Iterator[Recipe]:
    """Yield Tables 3 and 4 and the small choices for each base."""
    for base in BASES:
        for what, changes in _cells(base):
            name = f"ablate-{base.name}-{what}{base.end}"
            yield Recipe.of(name=name, method="ours", **{**base.fields, **changes})


def _cells(base: Base) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, changes in CONSTRAINTS.items():
        yield f"{name}-s0", changes
        yield f"{name}-{_level(base.noise)}", {**changes, **base.noise}
    for kind, levels in (("constant", base.constant), ("linear", base.linear)):
        for sigma in levels:
            noise = {"sigma": sigma, "schedule": kind}
            yield f"both-{_level(noise)}", noise
    if base.choices:
        yield "c2.93-s0", {"c": C_CENTERED}
        yield "centred-classifier-s0", {"classifier": "centred"}
        yield f"both-{_level(base.noise)}-per-sample", {**base.noise, "noise_per_sample": True}


def _level(noise: dict[str, Any]) -> str:
    linear = "linear-" if noise.get("schedule") == "linear" else ""
    return f"{linear}s{noise['sigma']:g}"


def decays() -> Iterator[Recipe]:
    """Yield the rows of Table 3 without noise at other weight decays, which rows feel only off the sphere."""
    for base in BASES:
        for decay, (what, changes) in product(base.decays, CONSTRAINTS.items()):
            name = decay_cell(base, what, decay)
            yield Recipe.of(name=name, method="ours", **{**base.fields, **changes, "weight_decay": decay})


def decay_cell(base: Base, what: str, decay: float) -> str:
    """Return the name of a row of Table 3 at a weight decay; the base's own has no mark."""
    mark = "" if decay == base.fields["weight_decay"] else f"-wd{decay:g}"
    return f"ablate-{base.name}-{what}-s0{mark}{base.end}"


def residuals() -> Iterator[Recipe]:
    """Yield ways to start a residual network of 32 layers without normalization; batch norm at γ = 1 beside them.

    The paper does not print any. ``nf`` needs no γ, so it serves scaled Weight Standardization as well.
    """
    blocks = 15
    starts: dict[str, dict[str, Any]] = {
        "gamma0": {"residual_gamma": 0.0},
        "gamma-small": {"residual_gamma": blocks**-0.5},
        "gamma1": {"residual_gamma": 1.0},
        "gamma1-warmup": {"residual_gamma": 1.0, "warmup_epochs": 2},
        "nf": {"residual_gamma": 1.0, "residual": "nf"},
    }
    resnet: dict[str, Any] = {"net": "resnet", "depth": 32, "decay_scale_bias": False}
    for name, end, common in (
        ("digits", "", {**resnet, **DIGITS}),
        ("cifar", "-e30", {**resnet, "width": 16, "epochs": 30}),
    ):
        for start, changes in starts.items():
            yield Recipe.of(
                name=f"residual-{name}-ours-{start}{end}", method="ours", **{**common, **OURS_RESNET, **changes}
            )
        baseline = {**common, **BASELINE, "decay_scale_bias": False}
        yield Recipe.of(name=f"residual-{name}-bn-gamma1{end}", method="bn", **{**baseline, **starts["gamma1"]})
        for start in ("gamma1", "nf"):  # Weight Standardization has no gamma: this is the plain sum, and nf
            changes = {"method": "ws", "ws_gain": math.sqrt(2), "residual": starts[start].get("residual", "sum")}
            way = "sum" if start == "gamma1" else start
            yield Recipe.of(name=f"residual-{name}-ws-scaled-{way}{end}", **{**baseline, **changes})


def batches() -> Iterator[Recipe]:
    """Yield batch sizes of Table 2 on small networks, under the linear rule and in the same number of epochs.

    On digits the usual batch is 64, with the learning rate of 128 images in the full recipes; ours has no noise.
    """
    digits: dict[str, Any] = {**DIGITS, "depth": 6}
    images: dict[str, Any] = {**CNN_QUARTER, "train_images": 10_000, "epochs": 6}
    for name, end, common, usual in (("digits", "", digits, 64), ("cnn16", "-n10000-e6", images, 128)):
        for batch, method in product((4, 16, usual), ("ours", "bn", "gn")):
            settings = linear_rule(
                OURS_CNN if method == "ours" else {**BASELINE, "decay_scale_bias": False}, batch, usual
            )
            yield Recipe.of(name=f"batch-{name}-{method}-b{batch}{end}", method=method, **{**common, **settings})
