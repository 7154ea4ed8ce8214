"""Table 5: point clouds and DGCNN, on ModelNet40 as in the paper and small on the embedded shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cwn_lite.gain import leaky_relu_c

from .angular import ANGULAR, RATES
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


# Steps -> rates that all methods are given with them; SGD's last rate stays a hundredth of the first.
TRIED: dict[str, tuple[float, ...]] = {"sgd": (0.01, 0.03, 0.1, 0.3), "angular": RATES}
VALIDATION = 300  # clouds of the generated ones' 1,200 for training
# Steps -> method -> the rate with the smallest error on held-out clouds among those `tried`; a test holds it.
CHOSEN: dict[str, dict[str, float]] = {"sgd": {}, "angular": {}}


def tried(steps: str, method: str) -> dict[float, str]:
    """Return rate -> name of the recipe that tried it on held-out clouds.

    Args:
        steps: ``sgd`` or ``angular``.
        method: one of ``METHODS_OF_TABLE_5``; ours is without noise.

    Example:
        >>> tried("sgd", "gn")[0.03]
        'points-search-sgd-gn-lr0.03'
    """
    return {lr: f"points-search-{steps}-{method}-lr{lr:g}" for lr in TRIED[steps]}


def at_chosen_rate(steps: str, method: str) -> str:
    """Return the name of the recipe that has a method at its chosen rate, on all clouds; arguments as of `tried`."""
    return f"points-chosen-{steps}-{method}"


def table_5() -> Iterator[Recipe]:
    """Yield all methods at one rate with SGD, ours and the norms with steps by an angle, on both data sets."""
    for name, fields in (("points", SMALL), ("modelnet40", _MODELNET)):
        for method in METHODS_OF_TABLE_5:
            yield Recipe.of(name=f"{name}-{method}", **fields, **_with_sgd(name, method))
        yield Recipe.of(name=f"{name}-ours-nonoise", **fields, **{**_with_sgd(name, "ours"), "sigma": 0.0})
        for method in ("ours", "bn", "gn"):  # is it the steps, or what they keep to?
            yield Recipe.of(name=f"{name}-{method}-angular", **fields, **_angular(name, method))


def search() -> Iterator[Recipe]:
    """Yield each method at each rate on the generated shapes, judged on held-out clouds, then at the best one."""
    for steps, settings, methods in (
        ("sgd", _with_sgd, METHODS_OF_TABLE_5),
        ("angular", _angular, ("ours", "bn", "gn")),
    ):
        for method in methods:
            own = {**SMALL, **settings("points", method), **({"sigma": 0.0} if method == "ours" else {})}
            rates = tried(steps, method)
            for lr, name in rates.items():
                yield Recipe.of(name=name, **{**_at(own, lr), "validation": VALIDATION})
            if method in CHOSEN[steps]:
                yield Recipe.of(name=at_chosen_rate(steps, method), **_at(own, CHOSEN[steps][method]))


def _at(settings: dict[str, Any], lr: float) -> dict[str, Any]:
    last = {"final_lr": lr / 100} if "final_lr" in settings else {}
    return {**settings, **last, "lr": lr}


def _with_sgd(name: str, method: str) -> dict[str, Any]:
    return {**_SGD, "method": method, **(_PAPER if method == "ours" else _groups(name, method))}


def _angular(name: str, method: str) -> dict[str, Any]:
    own = {"c": leaky_relu_c(SLOPE)} if method == "ours" else {"coherence_decay": 0.0, **_groups(name, method)}
    return {**ANGULAR, "batch": _SGD["batch"], "method": method, **own}


def _groups(name: str, method: str) -> dict[str, Any]:
    """A quarter of the width gets a quarter of the groups: as many channels in each as in the paper's network."""
    return {"groups": 4} if name == "points" and method.endswith("gn") else {}
