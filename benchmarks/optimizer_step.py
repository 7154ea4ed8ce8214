"""The projection beside the optimizer step that it follows: `python -m benchmarks.optimizer_step`.

Fused SGD with momentum reads weight, gradient and momentum and writes weight and momentum, 20 bytes per parameter in
float32. A projection that reads and writes each weight once adds 8: the least ratio is 28 / 20.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

import cwn_lite as cwn
from benchmarks import timing
from benchmarks.networks import NETWORKS, build

REFERENCE = "SGD"
STEPS = (
    REFERENCE,
    "SGD and projection",
    "SGD and four passes",
    "copy of the parameters",
    "geoopt RiemannianSGD",
)


def candidates(network: str, device: torch.device, steps: Sequence[str] = STEPS) -> dict[str, timing.Candidate]:
    """Return the steps to time: SGD, and those asked for; geoopt's only where it is installed."""
    makers: dict[str, Callable[[nn.Module], Callable[[], object]]] = {
        REFERENCE: lambda model: _sgd(model).step,
        "SGD and projection": _constrained,
        "SGD and four passes": _by_hand,
        "copy of the parameters": _copy,
        "geoopt RiemannianSGD": _riemannian,
    }
    missing = set() if importlib.util.find_spec("geoopt") else {"geoopt RiemannianSGD"}
    for name in missing & set(steps):
        print(f"{name}: left out, geoopt is not installed (pip install geoopt)")

    def maker(name: str) -> timing.Candidate:
        return lambda: makers[name](_model(network, device))

    return {name: maker(name) for name in dict.fromkeys([REFERENCE, *steps]) if name not in missing}


def _model(network: str, device: torch.device) -> nn.Module:
    model, _ = build(network, "plain", device)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    return model


def _sgd(model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=True)


def _constrained(model: nn.Module) -> Callable[[], object]:
    optimizer = _sgd(model)
    cwn.constrain(optimizer, model)
    return optimizer.step


def _by_hand(model: nn.Module) -> Callable[[], object]:
    optimizer = _sgd(model)
    optimizer.register_step_post_hook(lambda *_: _in_four_passes(model))
    return optimizer.step


def _copy(model: nn.Module) -> Callable[[], object]:
    source = [parameter.detach() for parameter in model.parameters()]
    target = [torch.empty_like(parameter) for parameter in source]
    return lambda: torch._foreach_copy_(target, source)


@torch.no_grad()
def _in_four_passes(model: nn.Module) -> None:
    """Project as one would write it down: mean, subtract, norm, scale; 24 bytes per parameter."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            rows = tuple(range(1, module.weight.ndim))
            module.weight.sub_(module.weight.mean(rows, keepdim=True))
            module.weight.mul_(2**0.5 / torch.linalg.vector_norm(module.weight, dim=rows, keepdim=True))


def _riemannian(model: nn.Module) -> Callable[[], object]:
    """Return geoopt's step on the same set: rows orthogonal to 1 on a sphere, the other parameters free."""
    import geoopt

    parameters: list[nn.Parameter] = []
    for parameter in model.parameters():
        rows = parameter.detach().flatten(1).contiguous() if parameter.ndim == 4 else parameter.detach()
        if parameter.ndim == 4:
            normal = torch.ones(rows.shape[1], 1, device=rows.device)
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
    parser = timing.parser(__doc__, rounds=12)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["resnet20", "cnn", "resnet110", "wrn28x10"])
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    given = parser.parse_args()
    makers = partial(candidates, steps=given.steps)
    timing.measure("optimizer_step", given, given.networks, makers, REFERENCE)


if __name__ == "__main__":
    main()
