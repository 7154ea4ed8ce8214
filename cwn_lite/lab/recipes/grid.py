"""The recipes that ask when reparameterized weights explode: learning rate, decay, first norm, depth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

from .recipe import Recipe

# Half decades, so that a step of the first norm and one of the learning rate meet on lines of equal lr / norm².
INIT_SCALES = (0.1, 10**-0.5, 1.0, 10**0.5, 10.0)
LEARNING_RATES = (0.01, 0.1, 1.0)
DECAYS = (0.0, 5e-3)
DEPTHS = (6, 12)

VARIANTS: dict[str, dict[str, Any]] = {
    "ours": {"method": "ours"},
    "ws-scaled": {"method": "ws", "ws_gain": math.sqrt(2)},
    "ws+gn": {"method": "ws+gn"},
    "ws": {"method": "ws"},
    "wn": {"method": "wn"},
    "cwn": {"method": "cwn"},
    "plain": {"method": "plain"},
    "bn": {"method": "bn"},
    "gn": {"method": "gn"},
    "ws+bn": {"method": "ws+bn"},
}
"""Label -> fields. ``ws-scaled`` is Weight Standardization with rows of squared norm 2, those of ours."""


def grid() -> Iterator[Recipe]:
    """Yield the grid on the embedded digits (``grid-``, ``late-``) and its larger samples (``grid16-``, ``grid20-``).

    Weight decay acts on weights alone, in every recipe: scales and biases have none. Methods whose function depends
    on the first norm (``plain``), or which have none to choose (``ours``), come with one ``init_scale``.
    """
    digits: dict[str, Any] = {"data": "digits", "augment": "none", "width": 16, "batch": 64, "epochs": 8}
    for depth, decay, lr in product(DEPTHS, DECAYS, LEARNING_RATES):
        for label in ("ours", "plain"):
            yield _cell("grid", label, lr, decay, 1.0, f"d{depth}", depth=depth, **digits)
        for scale in INIT_SCALES:
            for label in ("ws-scaled", "ws+gn"):
                yield _cell("grid", label, lr, decay, scale, f"d{depth}", depth=depth, **digits)
            if scale in (0.1, 1.0, 10.0):
                for label in ("ws", "wn", "cwn") if depth == DEPTHS[0] else ("ws",):
                    yield _cell("grid", label, lr, decay, scale, f"d{depth}", depth=depth, **digits)
    # Long after the digits are learned: gradients are small then, and decay goes on.
    late: dict[str, Any] = {**digits, "depth": 6, "epochs": 80}
    for decay, label in product(DECAYS, ("ours", "ws-scaled", "ws+gn", "bn")):
        yield _cell("late", label, 0.1, decay, 1.0, "e80", **late)
    cnn: dict[str, Any] = {"net": "cnn", "depth": 9, "width": 16}
    for epochs, label, lr, decay, scale in (
        (8, "ours", 0.1, 5e-4, 1.0),
        (8, "ws-scaled", 0.1, 5e-4, 1.0),
        (4, "ws-scaled", 0.1, 5e-4, 1.0),
        (4, "ws-scaled", 0.1, 5e-4, 0.1),
        (4, "ws-scaled", 1.0, 5e-3, 10.0),
    ):
        yield _cell("grid16", label, lr, decay, scale, f"e{epochs}", epochs=epochs, **cnn)
    resnet: dict[str, Any] = {"net": "resnet", "depth": 20, "width": 16, "epochs": 1}
    # Methods with a scale start with residual branches of scale 0.
    for label in ("ours", "ws-scaled", "cwn", "bn", "ws+gn", "gn", "ws+bn", "wn", "plain", "ws"):
        yield _cell("grid20", label, 0.1, 5e-4, 1.0, "e1", **resnet)


def _cell(family: str, label: str, lr: float, decay: float, scale: float, end: str, **fields: Any) -> Recipe:
    name = f"{family}-{label}-lr{lr:g}-wd{decay:g}-init{scale:.2g}-{end}"
    common: dict[str, Any] = {"lr": lr, "weight_decay": decay, "decay_scale_bias": False, "init_scale": scale}
    return Recipe.of(name=name, **VARIANTS[label], **common, **fields)
