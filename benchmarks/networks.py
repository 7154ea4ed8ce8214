"""The networks that are timed, each in every method."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import cwn_lite as cwn
from cwn_lite.lab import Recipe
from cwn_lite.lab.nets.methods import REPARAMETERIZE, group_norm
from cwn_lite.lab.nets.methods import build as build_lab
from cwn_lite.lab.recipes.settings import CNN, CNN_QUARTER, RESNET_20, RESNET_110, WRN_28_10
from cwn_lite.lab.vision import import_torchvision

CIFAR: dict[str, dict[str, Any]] = {
    "cnn": CNN,
    "cnn16": CNN_QUARTER,
    "resnet20": RESNET_20,
    "resnet110": RESNET_110,
    "wrn28x10": WRN_28_10,
}
NETWORKS = (*CIFAR, "resnet50")
NORMALIZATIONS = ("plain", "ours", "ours, not fused", "bn", "gn", "ws", "ws+gn", "wn")
# Without normalization a deep network at its initial weights explodes within a few steps, and arithmetic on infinities
# has a speed of its own. At rate 0 every operation of a step runs, and weights stay where they are.
LR = 0.0


def build(
    network: str,
    method: str,
    device: torch.device,
    *,
    sigma: float = 0.0,
    width: int | None = None,
    compiled: bool = False,
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return a network and its optimizer, ours with the constraint attached.

    Args:
        network: one of ``NETWORKS``.
        method: one of ``NORMALIZATIONS``.
        device: where to.
        sigma: noise level of ours.
        width: of the first layers of a CIFAR network; its own without.
        compiled: let torch compile the projection where :meth:`cwn_lite.Constraint.compile` can.
    """
    ours = method.startswith("ours")
    lab_method = "ours" if ours else method
    if network == "resnet50":
        model, optimizer, constraint = _resnet50(lab_method, sigma, device)
    else:
        # Branches at a start that is neither zero nor as strong as the stream: no factor of a product is special.
        branches = {} if CIFAR[network]["net"] == "cnn" else {"residual_gamma": 0.2}
        settings = {**CIFAR[network], **branches, **({} if width is None else {"width": width})}
        noise = {"sigma": sigma} if ours else {}
        recipe = Recipe.of(name="benchmark", method=lab_method, **noise, **settings)
        model, optimizer, constraint = build_lab(recipe, 0, device)
    if compiled and constraint:
        constraint.compile()
    for group in optimizer.param_groups:
        group["lr"], group["fused"] = LR, True
    return (cwn.unfuse(model) if method == "ours, not fused" else model), optimizer


def images(network: str, batch: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return random images in channels-last, 224 x 224 for ResNet-50 and 32 x 32 for the others, and labels."""
    side = 224 if network == "resnet50" else 32
    x = torch.randn(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    return x, torch.randint(10, (batch,), device=device)


def _resnet50(
    method: str, sigma: float, device: torch.device
) -> tuple[nn.Module, torch.optim.Optimizer, cwn.Constraint | None]:
    batch, group = nn.BatchNorm2d, partial(group_norm, 16)
    norms: dict[str, Callable[[int], nn.Module]] = {"ours": batch, "bn": batch, "gn": group, "ws+gn": group}
    norm = norms.get(method, nn.Identity)
    model: nn.Module = import_torchvision().models.resnet50(norm_layer=norm)
    for layer in [module for module in model.modules() if isinstance(module, nn.Conv2d)]:
        if norm is nn.Identity:
            layer.bias = nn.Parameter(torch.zeros(layer.out_channels))
        if method in REPARAMETERIZE:
            REPARAMETERIZE[method](layer, Recipe.of(name="benchmark", method=method).method)
    if method == "ours":
        cwn.replace_batchnorm(model, noise_std=sigma)
        cwn.scale_branches(model)
    # torch's overloads of `to` do not know that a module takes a memory format.
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(cwn.param_groups(model, 1e-4), lr=LR, momentum=0.9)
    if method != "ours":
        return model, optimizer, None
    constraint = cwn.constrain(optimizer, model)
    return cwn.fuse(model), optimizer, constraint


def one_step(
    forward: Callable[[Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
) -> Callable[[], None]:
    """Return a training step on one batch, bfloat16 autocast on CUDA.

    Args:
        forward: the network, or what wraps or compiles it.
        optimizer: of its parameters.
        x: images.
        y: labels.
    """

    def once() -> None:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
            loss = F.cross_entropy(forward(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return once
