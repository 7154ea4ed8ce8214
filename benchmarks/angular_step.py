"""A training step with orthogonalized steps over one with SGD: `python -m benchmarks.angular_step`.

The network is ours in each, batch norm replaced and weights constrained; what differs is the optimizer. torch's Muon
takes matrices only, so it steps a view of each weight, in bfloat16, which a CPU without such arithmetic is slow at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

import cwn_lite as cwn
from benchmarks import timing
from cwn_lite.lab.nets.networks import ResNet
from cwn_lite.lab.recipes.less_often import PULL_EVERY
from cwn_lite.lab.vision import import_torchvision

REFERENCE = "SGD"
# Name of a step -> each how many steps pull, and orthogonalize.
SPARING = {f"AngularMuon, pulling every {every} steps": (every, 1) for every in (PULL_EVERY // 2, PULL_EVERY)}
SPARING |= {f"AngularMuon, orthogonalizing every {every} steps": (PULL_EVERY, every) for every in (2, 4, 8)}
STEPS = (REFERENCE, "AngularMuon", "AngularMuon without the pull", *SPARING, "torch.optim.Muon")
# Network -> side of its images.
NETWORKS = {"resnet20": 32, "resnet18": 64, "resnet50": 224}


def network(name: str) -> nn.Module:
    """Return one of ``NETWORKS``, for ten classes, with its branches at their start."""
    model: nn.Module = ResNet(20) if name == "resnet20" else getattr(import_torchvision().models, name)(num_classes=10)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 0.5)
    model = cwn.replace_batchnorm(model, c=cwn.C_CENTERED)
    cwn.scale_branches(model)
    return cwn.fuse(model)


def step(name: str, how: str, batch: int, device: torch.device, graph: bool = False) -> Callable[[], object]:
    """Return a training step on random images, bfloat16 autocast on CUDA and float32 on a CPU.

    Args:
        name: one of ``NETWORKS``.
        how: one of ``STEPS``.
        batch: images per step.
        device: where to.
        graph: capture the whole step as one CUDA graph, which spares the host the calls of kernels.
    """
    # torch's overloads of `to` do not know that a module takes a memory format.
    model = network(name).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    take = _steps(model, how, device, graph)
    side = NETWORKS[name]
    x = torch.randn(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    y = torch.randint(10, (batch,), device=device)

    def once() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        take()
        model.zero_grad(set_to_none=True)

    return timing.captured(once, device) if graph else once


def _steps(model: nn.Module, how: str, device: torch.device, graph: bool) -> Callable[[], object]:
    # At rate 0 every operation of a step runs, and weights stay where they are: arithmetic on infinities, which
    # random images may lead to, has a speed of its own.
    if how.startswith("AngularMuon"):
        pull = 0.0 if "without" in how else 1.0
        pull_every, every = SPARING.get(how, (1, 1))
        groups = cwn.angular_groups(model, 0.0)
        optimizer: torch.optim.Optimizer = cwn.AngularMuon(
            groups,
            coherence_decay=pull,
            coherence_decay_every=pull_every,
            orthogonalize_every=every,
            capturable=graph and device.type == "cuda",
        )
        cwn.constrain(optimizer, model)
        return optimizer.step
    if how == REFERENCE:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9, fused=True)
        cwn.constrain(optimizer, model)
        return optimizer.step
    weights = [module.weight for module in model.modules() if isinstance(module, nn.Conv2d)]
    held = {id(weight) for weight in weights}
    matrices = [nn.Parameter(weight.detach().flatten(1)) for weight in weights]
    muon = torch.optim.Muon(matrices, lr=0.0)
    rest = torch.optim.SGD([p for p in model.parameters() if id(p) not in held], lr=0.0, momentum=0.9, fused=True)
    constraint = cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.0), model)

    def take() -> None:
        for matrix, weight in zip(matrices, weights, strict=True):
            assert weight.grad is not None
            matrix.grad = weight.grad.flatten(1)
        muon.step()
        rest.step()
        constraint.project()

    return take


def main() -> None:
    """Time the steps and print, and with ``--out`` write, what came out."""
    parser = timing.parser(__doc__, rounds=5)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=["resnet20", "resnet18"])
    usual = [how for how in STEPS if how not in SPARING]
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=usual, metavar="STEP", help=", ".join(STEPS))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--graph", action="store_true", help="capture each whole step as a CUDA graph")
    given = parser.parse_args()
    if given.graph and SPARING.keys() & given.steps:
        parser.error("--graph captures steps that are all alike, and some of these are not")

    def candidates(name: str, device: torch.device) -> dict[str, timing.Candidate]:
        return {
            how: partial(step, name, how, given.batch, device, given.graph)
            for how in dict.fromkeys([REFERENCE, *given.steps])
            if how != "torch.optim.Muon" or hasattr(torch.optim, "Muon")
        }

    period = math.lcm(*(every for how in given.steps for every in SPARING.get(how, (1,))))
    timing.measure("angular_step", given, given.networks, candidates, REFERENCE, period=period)


if __name__ == "__main__":
    main()
