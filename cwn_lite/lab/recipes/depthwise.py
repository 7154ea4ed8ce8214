"""A network of depthwise convolutions as torchvision builds it: the mean of their rows, and how steps begin."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from .angular import BN, OURS
from .recipe import Recipe
from .settings import BASELINE

_MOBILENET: dict[str, Any] = {"net": "mobilenetv2", "data": "imagenette64", "epochs": 5}


def depthwise() -> Iterator[Recipe]:
    """Yield the recommended recipe with and without the mean of depthwise rows, and batch norm, at two rates.

    At the larger one the recommended recipe and batch norm also with rates that rise from zero over the first epoch.
    """
    methods = {"ours": {**OURS, "mixing": True}, "centred": OURS, "bn": BN}
    for rate, (name, own) in product(("", "-lr0.005"), methods.items()):
        lr = {"lr": float(rate.removeprefix("-lr"))} if rate else {}
        yield Recipe.of(name=f"mobilenetv2-{name}-angular{rate}", **_MOBILENET, **{**own, **lr})
        if not rate and name != "centred":
            yield Recipe.of(name=f"mobilenetv2-{name}-angular-warmup", **_MOBILENET, **{**own, "warmup_epochs": 1})
    yield Recipe.of(name="mobilenetv2-bn", **_MOBILENET, method="bn", **BASELINE)


def search() -> Iterator[Recipe]:
    """Yield what depthwise rows might want instead of the angle of all others, judged on held-out images.

    A third of it, three times it, or AdamW without a constraint; the angle rises over the first epoch. Ours also with
    smaller steps of the scales.
    """
    networks: dict[str, dict[str, Any]] = {
        "mobilenetv2": _MOBILENET,
        "efficientnet_b0": {**_MOBILENET, "net": "torchvision", "architecture": "efficientnet_b0"},
    }
    for (network, fields), (name, own) in product(networks.items(), (("ours", {**OURS, "mixing": True}), ("bn", BN))):
        held_out = {**fields, **own, "validation": 1000, "warmup_epochs": 1}
        for depthwise in (1.0, 0.3, 3.0, 0.0):
            yield Recipe.of(name=f"search-{network}-{name}-depthwise{depthwise:g}", **held_out, depthwise=depthwise)
        if name == "ours":
            yield Recipe.of(name=f"search-{network}-{name}-rest0.07", **held_out, rest=0.07)
        if name == "ours" and network == "efficientnet_b0":
            yield Recipe.of(name=f"search-{network}-{name}-gates", **held_out, gates=True)
