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


# Rates of SGD that each searched method is given; the last rate of a run is a hundredth of its first.
SEARCHED = ("ours", "bn", "gn", "ws+gn")
TRIED = (0.003, 0.01, 0.03, 0.1, 0.3)
VALIDATION = 300  # clouds of the generated ones' 1,200 for training
# The best of them on held-out clouds, of one seed.
CHOSEN = {"ours": 0.03, "gn": 0.01, "ws+gn": 0.01}


def tried(method: str) -> dict[float, str]:
    """Return rate of SGD -> name of the recipe that tried it on held-out clouds; ours is without noise.

    Example:
        >>> tried("gn")[0.03]
        'points-search-gn-lr0.03'
    """
    return {lr: f"points-search-{method}-lr{lr:g}" for lr in TRIED}


def at_chosen_rate(method: str) -> str:
    """Return the name of the recipe that trains a searched method at its best rate, on all clouds.

    Example:
        >>> at_chosen_rate("gn")
        'points-chosen-gn'
    """
    return f"points-chosen-{method}"


def table_5() -> Iterator[Recipe]:
    """Yield all methods at one rate with SGD, ours and the norms with steps by an angle, on both data sets."""
    for name, fields in (("points", SMALL), ("modelnet40", _MODELNET)):
        for method in METHODS_OF_TABLE_5:
            yield Recipe.of(name=f"{name}-{method}", **fields, **_with_sgd(name, method))
        yield Recipe.of(name=f"{name}-ours-nonoise", **fields, **{**_with_sgd(name, "ours"), "sigma": 0.0})
        for method in ("ours", "bn", "gn"):  # is it the steps, or what they keep to?
            yield Recipe.of(name=f"{name}-{method}-angular", **fields, **_angular(name, method))


def search() -> Iterator[Recipe]:
    """Yield each searched method at each rate, judged on held-out clouds, then at its best one on all clouds."""
    for method in SEARCHED:
        for lr, name in tried(method).items():
            yield Recipe.of(name=name, **_at_rate(method, lr), validation=VALIDATION)
    for method, lr in CHOSEN.items():
        yield Recipe.of(name=at_chosen_rate(method), **_at_rate(method, lr))


def _at_rate(method: str, lr: float) -> dict[str, Any]:
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
