"""The seven ways to train one network: what each puts after a convolution and around the optimizer."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import nn

import cwn_lite as cwn

from .data import SHAPES
from .models import CNN, Norm, ResNet, initialize, set_residual_gamma
from .recipe import Recipe
from .seeding import generator


class Built(NamedTuple):
    """A model ready to train; ``constraint`` is ``None`` for every method but ours."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    constraint: cwn.Constraint | None


def build(recipe: Recipe, seed: int = 0, device: torch.device | str = "cpu") -> Built:
    """Build model, optimizer and constraint of a recipe.

    ========= ======================= ====================== ===========================
    method    after each convolution  weights                optimizer
    ========= ======================= ====================== ===========================
    ours      scale and bias, noise   themselves             SGD, then the projection
    bn        BatchNorm               themselves             SGD
    gn        GroupNorm               themselves             SGD
    ws        nothing (conv bias)     standardized           SGD
    ws+bn     BatchNorm               standardized           SGD
    ws+gn     GroupNorm               standardized           SGD
    plain     nothing (conv bias)     themselves             SGD
    ========= ======================= ====================== ===========================

    The classifier is never constrained nor standardized. All methods draw the same initial weights from a
    seed; ours projects them.

    Args:
        recipe: what to build.
        seed: of the initial weights.
        device: where to.

    Example:
        >>> from cwn_lite.lab.recipes import get
        >>> model, optimizer, constraint = build(get("digits-ours"))
        >>> constraint.violation() < 1e-5
        True
    """
    model = _network(recipe)
    initialize(model, generator(seed, "init"))
    set_residual_gamma(model, recipe.residual_gamma)
    if recipe.method == "ours":
        cwn.replace_batchnorm(
            model,
            noise_std=recipe.sigma,
            schedule=recipe.schedule,
            per_sample=recipe.noise_per_sample,
            c=recipe.c,
            centralize=recipe.centralize,
            spherize=recipe.spherize,
        )
    elif recipe.method.startswith("ws"):
        for layer in [module for module in model.modules() if isinstance(module, nn.Conv2d)]:
            cwn.weight_standardization(layer, gain=recipe.ws_gain)
    # On the device before the optimizer sees the parameters; channels-last is the faster layout on both.
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(_groups(model, recipe), lr=recipe.lr, momentum=recipe.momentum)
    constraint = None
    if recipe.method == "ours":
        constraint = cwn.constrain(optimizer, model, c=recipe.c, centralize=recipe.centralize, spherize=recipe.spherize)
    return Built(model, optimizer, constraint)


def group_norm(groups: int, channels: int) -> nn.GroupNorm:
    """Return GroupNorm with ``groups`` groups, or with the largest number below it that divides the channels.

    Example:
        >>> group_norm(16, 64).num_groups, group_norm(16, 8).num_groups
        (16, 8)
    """
    return nn.GroupNorm(max(g for g in range(1, groups + 1) if channels % g == 0), channels)


def _network(recipe: Recipe) -> nn.Module:
    norm: Norm | None
    if recipe.method in ("ours", "bn", "ws+bn"):
        norm = nn.BatchNorm2d
    elif recipe.method in ("gn", "ws+gn"):
        norm = partial(group_norm, recipe.groups)
    else:
        norm = None
    shape = SHAPES[recipe.data]
    network = ResNet if recipe.net == "resnet" else CNN
    return network(recipe.depth, recipe.width, in_channels=shape.channels, classes=shape.classes, norm=norm)


def _groups(model: nn.Module, recipe: Recipe) -> list[dict[str, object]]:
    if recipe.decay_scale_bias:
        return [{"params": list(model.parameters()), "weight_decay": recipe.weight_decay}]
    return cwn.param_groups(model, recipe.weight_decay)
