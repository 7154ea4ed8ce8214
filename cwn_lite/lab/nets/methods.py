"""The ways to train one network: what each puts after a convolution and around the optimizer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

import cwn_lite as cwn
from cwn_lite.settings import Centralize

from ..data.dataset import SHAPES
from ..data.kinds import classes
from ..measure import trained_weight
from ..recipes import Recipe, nets, parts
from ..seeding import generator
from ..vision import import_torchvision
from .dgcnn import DGCNN
from .networks import CNN, Block, Norm, ResNet, WideBlock, WideResNet, initialize
from .reparameterize import RowGain, centered_weight_norm, weight_norm

Layer = nn.Conv1d | nn.Conv2d | nn.Linear


def _standardize(layer: Layer, method: parts.Method) -> Layer:
    assert isinstance(method, parts.Standardization)
    return cwn.weight_standardization(layer, gain=method.ws_gain)


# Method -> what it puts between the trained tensor and the convolution.
REPARAMETERIZE: dict[str, Callable[[Layer, parts.Method], Layer]] = {
    **dict.fromkeys(("ws", "ws+bn", "ws+gn"), _standardize),
    "wn": lambda layer, _: weight_norm(layer),
    "cwn": lambda layer, _: centered_weight_norm(layer),
}


# Networks that nobody built for this lab: scales start as the library starts them, not as a recipe says.
AS_SHIPPED = nets.MobileNetV2 | nets.Torchvision


class Built(NamedTuple):
    """A model ready to train; ``constraint`` is ``None`` for every method but ours."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    constraint: cwn.Constraint | None


def build(
    recipe: Recipe,
    seed: int = 0,
    device: torch.device | str = "cpu",
    split: Callable[[nn.Module], None] | None = None,
) -> Built:
    """Build model, optimizer and constraint of a recipe.

    ========= ======================= ====================== ===========================
    method    after each layer        weights                optimizer
    ========= ======================= ====================== ===========================
    ours      scale and bias, noise   themselves             SGD, then the projection
    bn        BatchNorm               themselves             SGD
    gn        GroupNorm               themselves             SGD
    ws        nothing (conv bias)     standardized           SGD
    ws+bn     BatchNorm               standardized           SGD
    ws+gn     GroupNorm               standardized           SGD
    plain     nothing (conv bias)     themselves             SGD
    wn        nothing (conv bias)     normalized, times g    SGD
    cwn       nothing (conv bias)     standardized, times g  SGD
    ========= ======================= ====================== ===========================

    With ``steps="angular"`` the optimizer is :class:`cwn_lite.AngularMuon` for all methods: the trained tensors of the
    layers turn. The classifier is never standardized, and constrained only where the recipe says so. All methods
    draw the same initial weights from a seed; ours projects them.

    Args:
        recipe: what to build.
        seed: of the initial weights.
        device: where to.
        split: leaves each process its part of the parameters, before the optimizer sees them.

    Example:
        >>> from cwn_lite.lab.recipes import get
        >>> model, optimizer, constraint = build(get("digits-ours"))
        >>> constraint.violation() < 1e-5
        True
    """
    model, method = _network(recipe), recipe.method
    initialize(model, generator(seed, "init"))
    if isinstance(method, parts.CWO):
        _start_branches(model, recipe)
        cwn.replace_batchnorm(
            model,
            noise_std=method.sigma,
            schedule=method.schedule,
            per_sample=method.noise_per_sample,
            c=method.c,
            centralize=_centralize(method),
            spherize=method.spherize,
        )
        if isinstance(recipe.net, AS_SHIPPED):
            _start_scales(model, gates=method.gates)
            for free in _left_free(model, recipe.training):  # the scale behind counts on this norm
                cwn.project_(free.weight, method.c, centralize=False)
    else:
        for layer in normalized_layers(model) if method.kind in REPARAMETERIZE else ():
            REPARAMETERIZE[method.kind](layer, method)
        _start_branches(model, recipe)
    with torch.no_grad():
        for layer in normalized_layers(model):
            trained_weight(layer).mul_(recipe.training.init_scale)
    # On the device before the optimizer sees the parameters; channels-last is the faster layout on both, but
    # FSDP2 refuses it. (torch's overloads of `to` do not know that a module takes a memory format.)
    layout = torch.channels_last if split is None else torch.contiguous_format
    model = model.to(device, memory_format=layout)  # type: ignore[call-overload]
    if split is not None:
        split(model)
    optimizer = _optimizer(model, recipe, torch.device(device))
    constraint = _constrain(model, optimizer, recipe)
    return Built(cwn.fuse(model) if isinstance(method, parts.CWO) else model, optimizer, constraint)


def _optimizer(model: nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.Optimizer:
    steps, method = recipe.training, recipe.method
    if not isinstance(steps, parts.Angular):
        # One kernel for all parameters on a GPU; on a CPU torch's default, with which the recorded runs were made.
        fused = True if device.type == "cuda" else None
        return torch.optim.SGD(_groups(model, steps), lr=steps.lr, momentum=steps.momentum, fused=fused)
    options: dict[str, Any] = {
        "lr": steps.lr,
        "momentum": steps.momentum,
        "coherence_decay": steps.coherence_decay,
        "coherence_decay_every": steps.coherence_decay_every,
        "orthogonalize_every": steps.orthogonalize_every,
    }
    if isinstance(recipe.net, AS_SHIPPED):  # grouped convolutions have groups of parameters of their own
        centred = _centralize(method) if isinstance(method, parts.CWO) else False
        groups = cwn.angular_groups(
            model,
            steps.lr,
            rest=steps.rest,
            weight_decay=steps.weight_decay,
            centralize=centred,
            exclude=_left_free(model, steps),
        )
        depthwise = {id(layer.weight) for layer in _depthwise(model)}
        for group in groups:
            alone = id(group["params"][0]) in depthwise
            group["rate"] = steps.rest if not group["turn"] else steps.depthwise if alone else 1.0
        return cwn.AngularMuon(groups, **options)
    turning = [trained_weight(layer) for layer in normalized_layers(model)]
    turns = {id(weight) for weight in turning}
    groups = _decayed_and_free(model, steps.weight_decay)
    for group in groups:
        group["params"] = [p for p in group["params"] if id(p) not in turns]
        group |= {"turn": False, "rate": steps.rest}
    centred = isinstance(method, parts.CWO) and method.centralize
    groups.insert(0, {"params": turning, "turn": True, "centralize": centred, "weight_decay": 0.0})
    return cwn.AngularMuon(groups, **options)


def _constrain(model: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe) -> cwn.Constraint | None:
    method = recipe.method
    if not isinstance(method, parts.CWO):
        return None
    if method.classifier != "free":
        as_others = {"centralize": method.centralize, "spherize": method.spherize}
        only_centred = {"centralize": True, "spherize": False}
        constraint = as_others if method.classifier == "constrained" else only_centred
        project = partial(cwn.project_, classifier(model).weight, method.c, **constraint)
        project()

        def after_step(*_: object) -> None:
            project()

        optimizer.register_step_post_hook(after_step)
    if not (method.centralize or method.spherize):
        return None
    with warnings.catch_warnings():
        # How branches start is the recipe's own choice, also where it is a bad one.
        warnings.filterwarnings("ignore", message="without normalization")
        return cwn.constrain(
            optimizer,
            model,
            c=method.c,
            centralize=_centralize(method),
            spherize=method.spherize,
            exclude=_left_free(model, recipe.training),
        )


def _depthwise(model: nn.Module) -> list[nn.Conv2d]:
    convs = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    return [conv for conv in convs if conv.groups > 1 and conv.weight.shape[1] == 1]


def _left_free(model: nn.Module, steps: parts.Training) -> list[nn.Conv2d]:
    """Return the layers that a recipe leaves to AdamW although they could be constrained."""
    return _depthwise(model) if isinstance(steps, parts.Angular) and steps.depthwise == 0 else []


def _centralize(method: parts.CWO) -> Centralize:
    return "mixing" if method.mixing else method.centralize


def group_norm(groups: int, channels: int) -> nn.GroupNorm:
    """Return GroupNorm with ``groups`` groups, or with the largest number below it that divides the channels.

    Example:
        >>> group_norm(16, 64).num_groups, group_norm(16, 8).num_groups
        (16, 8)
    """
    return nn.GroupNorm(max(g for g in range(1, groups + 1) if channels % g == 0), channels)


def normalized_layers(model: nn.Module) -> list[Layer]:
    """Return the layers that a method acts on: convolutions and linear layers, but for the classifier.

    Args:
        model: its last ``nn.Linear`` is the classifier.
    """
    last = classifier(model)
    return [module for module in model.modules() if isinstance(module, Layer) and module is not last]


def classifier(model: nn.Module) -> nn.Linear:
    """Return the last linear layer, which in all our networks gives the logits."""
    return [module for module in model.modules() if isinstance(module, nn.Linear)][-1]


@torch.no_grad()
def _start_scales(model: nn.Module, *, gates: bool) -> None:
    """Start scales as the library does; without ``gates`` half as large where it makes up for one, as it once did."""
    names = cwn.scale_branches(model)
    reasons = {line.name: line.reason for line in cwn.report(model) if line.action == "started"}
    for name in names if not gates else ():
        if "a gate halves" in reasons[name]:
            model.get_parameter(f"{name}.weight").div_(2)


def _start_branches(model: nn.Module, recipe: Recipe) -> None:
    """Set the scale that ends each residual branch, where the method has one: a layer's, or the row gain's."""
    if isinstance(recipe.net, nets.CNN | nets.DGCNN | AS_SHIPPED):
        return
    gamma = recipe.net.residual_gamma
    for block in model.modules():
        if type(block).__name__ in ("BasicBlock", "Bottleneck"):
            _start_torchvision_branch(block, gamma)
        if not isinstance(block, Block | WideBlock):
            continue
        last = block.branch[-1]
        scales = [module.g for module in last.modules() if isinstance(module, RowGain)]
        for name, lengths in last.named_parameters():
            if name == "parametrizations.weight.original0":  # weight normalization trains the length of each row
                lengths.data.mul_(gamma)
        # A WideBlock's branch ends with a convolution; the scale before the ReLU before it does the same.
        norm = block.branch[1 if isinstance(block, WideBlock) else -1]
        if not isinstance(norm, nn.Conv2d | nn.ReLU):
            assert isinstance(norm.weight, nn.Parameter)
            scales = [norm.weight]
        for scale in scales:
            nn.init.constant_(scale, gamma)


@torch.no_grad()
def _start_torchvision_branch(block: nn.Module, gamma: float) -> None:
    """Set the scale that ends the branch: a norm's, else a row gain's or length's, else that of the first weights."""
    end = 3 if type(block).__name__ == "Bottleneck" else 2
    norm, conv = getattr(block, f"bn{end}"), getattr(block, f"conv{end}")
    trained = dict(conv.named_parameters())
    gains = [p for name, p in trained.items() if name.endswith(".g")]
    if isinstance(getattr(norm, "weight", None), nn.Parameter):
        nn.init.constant_(norm.weight, gamma)
    elif gains:
        nn.init.constant_(gains[0], gamma)
    else:  # rows that are standardized and have no gain keep their length
        for name in {"parametrizations.weight.original0", "weight"} & trained.keys():
            trained[name].mul_(gamma)


def _network(recipe: Recipe) -> nn.Module:
    norm: Norm | None
    if recipe.method.kind in ("ours", "bn", "ws+bn"):
        norm = nn.BatchNorm2d
    elif isinstance(recipe.method, parts.GroupNorm):
        norm = partial(group_norm, recipe.method.groups)
    else:
        norm = None
    net, labels = recipe.net, classes(recipe.data.kind)
    if isinstance(net, nets.DGCNN):
        return DGCNN(net.width, k=net.k, classes=labels, dropout=net.dropout, norm=norm)
    if isinstance(net, nets.ImageNetResNet):
        return _torchvision(f"resnet{net.depth}", labels, norm)
    if isinstance(net, nets.MobileNetV2):
        return _torchvision("mobilenet_v2", labels, norm)
    if isinstance(net, nets.Torchvision):
        return _as_shipped(net.architecture, labels)
    networks: dict[str, Callable[..., nn.Module]] = {"cnn": CNN, "resnet": ResNet, "wrn": WideResNet}
    channels = SHAPES[recipe.data.kind].channels
    network = partial(networks[net.kind], in_channels=channels, classes=labels, norm=norm)
    if isinstance(net, nets.ResNet) and net.residual == "nf":
        network = partial(network, alpha=net.residual_alpha)
    if isinstance(net, nets.CNN):
        network = partial(network, dropout=net.stage_dropout)
    return network(net.depth, net.width)


def _torchvision(name: str, classes: int, norm: Norm | None) -> nn.Module:
    """Return torchvision's network; without a norm its convolutions get the biases that they lack."""
    make = getattr(import_torchvision().models, name)
    model: nn.Module = make(num_classes=classes, norm_layer=norm or (lambda channels: nn.Identity()))
    for layer in model.modules():
        if norm is None and isinstance(layer, nn.Conv2d):
            layer.bias = nn.Parameter(torch.zeros(layer.out_channels))
    return model


def _as_shipped(name: str, classes: int) -> nn.Module:
    """Return torchvision's network with batch norms that average as PyTorch's do."""
    model: nn.Module = import_torchvision().models.get_model(name, weights=None, num_classes=classes)
    usual = nn.BatchNorm2d(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum, module.eps = usual.momentum, usual.eps
    return model


def _groups(model: nn.Module, steps: parts.Training) -> list[dict[str, Any]]:
    if isinstance(steps, parts.SGD) and steps.decay_scale_bias:
        return [{"params": list(model.parameters()), "weight_decay": steps.weight_decay}]
    return _decayed_and_free(model, steps.weight_decay)


def _decayed_and_free(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    decayed, free = cwn.param_groups(model, weight_decay)
    # The trained length of a row is its scale, wherever the parametrization keeps it.
    gains = [p for name, p in model.named_parameters() if name.endswith((".g", ".original0"))]
    named = {id(p) for p in gains}
    decayed["params"] = [p for p in decayed["params"] if id(p) not in named]
    free["params"] = [p for p in free["params"] if id(p) not in named] + gains
    return [decayed, free]
