"""Networks as torchvision ships them, all with the same few lines: the recommended recipe beside batch norm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .angular import BN, OURS
from .nets import ARCHITECTURES
from .recipe import Recipe
from .settings import BASELINE

_SHIPPED: dict[str, Any] = {"net": "torchvision", "data": "imagenette64", "epochs": 5}
_GATED = ("efficientnet_b0", "mobilenet_v3_large", "regnet_y_400mf")
"""Those with squeeze and excitation."""


def shipped() -> Iterator[Recipe]:
    """Yield per network ours and batch norm with the same steps, at once or rising, and batch norm with SGD.

    One of those with gates also as it starts where nothing makes up for them.
    """
    for architecture in ARCHITECTURES:
        own = {**OURS, "mixing": True}
        methods = {"ours": {**own, "gates": architecture in _GATED}, "bn": BN}
        if architecture == _GATED[0]:
            methods["halved"] = own
        fields = {**_SHIPPED, "architecture": architecture}
        for name, own in methods.items():
            yield Recipe.of(name=f"shipped-{architecture}-{name}-angular", **fields, **own)
            yield Recipe.of(
                name=f"shipped-{architecture}-{name}-angular-warmup", **fields, **{**own, "warmup_epochs": 1}
            )
        yield Recipe.of(name=f"shipped-{architecture}-bn", **fields, method="bn", **BASELINE)
