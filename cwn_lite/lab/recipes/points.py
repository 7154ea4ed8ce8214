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


def table_5() -> Iterator[Recipe]:
    """Yield all methods with SGD, ours and the norms with steps by an angle, on both data sets."""
    for name, fields in (("points", SMALL), ("modelnet40", _MODELNET)):
        for method in METHODS_OF_TABLE_5:
            # A quarter of the width gets a quarter of the groups: as many channels in each as in the paper's network.
            own = _PAPER if method == "ours" else {"groups": 4} if name == "points" and method.endswith("gn") else {}
            yield Recipe.of(name=f"{name}-{method}", method=method, **fields, **_SGD, **own)
        yield Recipe.of(name=f"{name}-ours-nonoise", method="ours", **fields, **{**_SGD, **_PAPER, "sigma": 0.0})
        steps = {**fields, **ANGULAR, "batch": _SGD["batch"]}
        yield Recipe.of(name=f"{name}-ours-angular", method="ours", c=leaky_relu_c(SLOPE), **steps)
        for rival in ("bn", "gn"):  # is it the steps, or what they keep to?
            own = {"groups": 4} if (name, rival) == ("points", "gn") else {}
            yield Recipe.of(name=f"{name}-{rival}-angular", method=rival, coherence_decay=0.0, **steps, **own)
