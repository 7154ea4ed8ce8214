"""The projection beside the optimizer step that it follows: `python -m benchmarks.optimizer_step`.

Fused SGD with momentum reads weight, gradient and momentum and writes weight and momentum, 20 bytes per parameter in
float32. A projection that reads and writes each weight once adds 8: the least ratio is 28 / 20.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

import cwn_lite as cwn
from benchmarks import timing
from benchmarks.training_step import NETWORKS
from cwn_lite.lab.methods import build
from cwn_lite.lab.recipe import Recipe

REFERENCE = "SGD"


def candidates(network: str, device: torch.device) -> dict[str, Callable[[], object]]:
    """Return the steps to time: SGD, with the projection, a device copy, and geoopt's where it is installed."""
    found: dict[str, Callable[[], object]] = {}
    for name in (REFERENCE, "SGD and projection"):
        model = _model(network, device)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=True)
        if name != REFERENCE:
            cwn.constrain(optimizer, model)
        found[name] = optimizer.step
    source = [p.detach() for p in _model(network, device).parameters()]
    target = [torch.empty_like(p) for p in source]
    found["copy of the parameters"] = lambda: torch._foreach_copy_(target, source)
    try:
        found["geoopt RiemannianSGD"] = _riemannian(network, device)
    except ImportError:
        print("geoopt is not installed: left out (pip install geoopt)")
    return found


def _model(network: str, device: torch.device) -> nn.Module:
    model = build(Recipe(name="b", method="plain", **NETWORKS[network]), 0, device).model
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    return model


def _riemannian(network: str, device: torch.device) -> Callable[[], object]:
    """Return geoopt's step on the same set: rows orthogonal to 1 on a sphere, the other parameters free."""
    import geoopt

    parameters: list[nn.Parameter] = []
    for parameter in _model(network, device).parameters():
        rows = parameter.detach().flatten(1).contiguous() if parameter.ndim == 4 else parameter.detach()
        if parameter.ndim == 4:
            normal = torch.ones(rows.shape[1], 1, device=device)
            sphere = geoopt.Scaled(geoopt.Sphere(complement=normal), 2**0.5)
            constrained = geoopt.ManifoldParameter(cwn.project_rows(rows), manifold=sphere)
        else:
            constrained = nn.Parameter(rows.clone())
        constrained.grad = torch.randn_like(constrained)
        parameters.append(constrained)
    step: Callable[[], object] = geoopt.optim.RiemannianSGD(parameters, lr=1e-3, momentum=0.9, stabilize=None).step
    return step


def main() -> None:
    """Time the steps and print, and with ``--out`` write, what came out."""
    given = timing.parser(__doc__, NETWORKS, ["cnn", "resnet110", "wrn28x10"], rounds=12).parse_args()
    timing.measure("optimizer_step", given, candidates, REFERENCE)


if __name__ == "__main__":
    main()
