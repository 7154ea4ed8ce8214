"""Table 5: point clouds and DGCNN, on ModelNet40 as in the paper and small on the embedded shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cwn_lite.gain import leaky_relu_c

from .angular import ANGULAR
from .recipe import Recipe

SLOPE = 0.2  # of DGCNN's LeakyReLU
METHODS_OF_TABLE_5 = ("ours", "bn", "gn", "ws+gn", "ws+bn", "plain")

# DGCNN's paper, whose setting the paper takes: SGD from 0.1 to 0.001, decay of all parameters. The paper's own noise.
_SGD: dict[str, Any] = {"lr": 0.1, "final_lr": 0.001, "weight_decay": 1e-4, "batch": 32}
_PAPER: dict[str, Any] = {"sigma": 0.4, "decay_scale_bias": False}
_MODELNET: dict[str, Any] = {"data": "modelnet40", "net": "dgcnn", "epochs": 250}
# A quarter of the paper's width and points, half its neighbours: minutes on two CPU cores, too few for dropout.
SMALL: dict[str, Any] = {
    "data": "shapes",
    "points": 256,
    "net": "dgcnn",
    "width": 16,
    "k": 10,
    "dropout": 0.0,
    "epochs": 12,
}


# What a search on held-out clouds gave its rate: methods with SGD (ours without noise), and with steps by an angle.
SEARCHED = ("ours", "bn", "gn", "ws+gn", "ours-angular", "bn-angular", "gn-angular")
SGD_RATES = (0.003, 0.01, 0.03, 0.1, 0.3)  # the last rate of a run is a hundredth of its first
ANGLES = (0.015, 0.045, 0.1)
VALIDATION = 300  # clouds of the generated ones' 1,200 for training
# The best of them, of one seed; a test holds it.
CHOSEN = {
    "ours": 0.03,
    "bn": 0.1,
    "gn": 0.01,
    "ws+gn": 0.01,
    "ours-angular": 0.045,
    "bn-angular": 0.045,
    "gn-angular": 0.045,
}


def tried(arm: str) -> dict[float, str]:
    """Return rate -> name of the recipe that tried it on held-out clouds.

    Args:
        arm: one of ``SEARCHED``.

    Example:
        >>> tried("gn")[0.03]
        'points-search-gn-lr0.03'
    """
    return {lr: f"points-search-{arm}-lr{lr:g}" for lr in (ANGLES if arm.endswith("-angular") else SGD_RATES)}


def at_chosen_rate(arm: str) -> str:
    """Return the name of the recipe that trains one of ``SEARCHED`` on all clouds, at its best rate.

    Example:
        >>> at_chosen_rate("gn")
        'points-chosen-gn'
    """
    usual = ANGULAR["lr"] if arm.endswith("-angular") else _SGD["lr"]
    return f"points-chosen-{arm}" if CHOSEN[arm] != usual else _of_table_5(arm)


def table_5() -> Iterator[Recipe]:
    """Yield all methods at one rate with SGD, ours and the norms with steps by an angle, on both data sets."""
    for name, fields in (("points", SMALL), ("modelnet40", _MODELNET)):
        for method in METHODS_OF_TABLE_5:
            yield Recipe.of(name=f"{name}-{method}", **fields, **_with_sgd(name, method))
        yield Recipe.of(name=f"{name}-ours-nonoise", **fields, **{**_with_sgd(name, "ours"), "sigma": 0.0})
        for method in ("ours", "bn", "gn"):  # is it the steps, or what they keep to?
            yield Recipe.of(name=f"{name}-{method}-angular", **fields, **_angular(name, method))


def search() -> Iterator[Recipe]:
    """Yield what is searched at each rate, judged on held-out clouds, then at its best one on all clouds."""
    for arm in SEARCHED:
        for lr, name in tried(arm).items():
            yield Recipe.of(name=name, **_at_rate(arm, lr), validation=VALIDATION)
    for arm, lr in CHOSEN.items():
        if at_chosen_rate(arm) != _of_table_5(arm):
            yield Recipe.of(name=at_chosen_rate(arm), **_at_rate(arm, lr))


def _of_table_5(arm: str) -> str:
    return "points-ours-nonoise" if arm == "ours" else f"points-{arm}"


def _at_rate(arm: str, lr: float) -> dict[str, Any]:
    method = arm.removesuffix("-angular")
    if method != arm:
        return {**SMALL, **_angular("points", method), "lr": lr}
    quiet = {"sigma": 0.0} if method == "ours" else {}
    return {**SMALL, **_with_sgd("points", method), **quiet, "lr": lr, "final_lr": lr / 100}


def _with_sgd(name: str, method: str) -> dict[str, Any]:
    return {**_SGD, "method": method, **(_PAPER if method == "ours" else _groups(name, method))}


def _angular(name: str, method: str) -> dict[str, Any]:
    own = {"c": leaky_relu_c(SLOPE)} if method == "ours" else {"coherence_decay": 0.0, **_groups(name, method)}
    return {**ANGULAR, "batch": _SGD["batch"], "method": method, **own}


def _groups(name: str, method: str) -> dict[str, Any]:
    """A quarter of the width gets a quarter of the groups: as many channels in each as in the paper's network."""
    return {"groups": 4} if name == "points" and method.endswith("gn") else {}
