"""Table 6: ResNet-50 on ImageNet as in the paper, and ResNet-18 on ten of its classes at 64 pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .angular import BN, OURS, RIVALS
from .recipe import Recipe

METHODS_OF_TABLE_6 = ("ours", "plain", "bn", "gn", "ws+gn", "ws+bn")

# Section 4.3.1: batch, rate and its drops. Not printed: the decay (He et al.'s), where it ends (ten epochs after the
# last drop), the noise (none), the groups (Wu and He's).
_IMAGENET: dict[str, Any] = {
    "data": "imagenet",
    "net": "imagenet-resnet",
    "depth": 50,
    "batch": 256,
    "epochs": 100,
}
_STAIRS: dict[str, Any] = {"lr": 0.1, "drop_every": 30, "weight_decay": 1e-4}
# What two cores can train: the rate goes with the batch, and a cosine, since stairs want more than a few epochs.
_IMAGENETTE: dict[str, Any] = {
    "data": "imagenette",
    "side": 64,
    "net": "imagenet-resnet",
    "depth": 18,
    "batch": 64,
    "epochs": 3,
}
_COSINE: dict[str, Any] = {"lr": 0.025, "weight_decay": 1e-4}
_BLOCKS = {18: 8, 50: 16}


def table_6() -> Iterator[Recipe]:
    """Yield all methods with SGD, ours and the norms with steps by an angle, on both data sets."""
    for name, fields, steps in (
        ("imagenette-resnet18", _IMAGENETTE, _COSINE),
        ("imagenet-resnet50", _IMAGENET, _STAIRS),
    ):
        for method in METHODS_OF_TABLE_6:
            own: dict[str, Any] = {"groups": 32} if method.endswith("gn") else {}
            if method == "ours":
                own = {"decay_scale_bias": False}
            yield Recipe.of(name=f"{name}-{method}", method=method, **fields, **steps, **own)
        start = {"residual_gamma": _BLOCKS[fields["depth"]] ** -0.5}
        yield Recipe.of(name=f"{name}-ours-angular", **fields, **OURS, **start)
        yield Recipe.of(name=f"{name}-bn-angular", **fields, **BN, **start)
        yield Recipe.of(name=f"{name}-gn-angular", **fields, **RIVALS["gn"], **start, groups=32)
