"""From batch norm to scale and bias (section 4.1.1: "replacing all BN layers with scale and bias layers")."""

import warnings
from collections import Counter
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from cwn_lite.checks import ModuleT, check_module, check_nonnegative
from cwn_lite.fast import project_
from cwn_lite.layers import ScaleBias, noise_schedule, set_noise
from cwn_lite.norms import detail, replacement
from cwn_lite.report import record
from cwn_lite.rows import is_linear_map, layout
from cwn_lite.selection import Named, Selection, note, select
from cwn_lite.settings import Centralize, Settings, remember, settle
from cwn_lite.weights import check_directions


def replace_batchnorm(
    model: ModuleT,
    *,
    noise_std: float = 0.0,
    schedule: str = "constant",
    per_sample: bool = False,
    c: float | None = None,
    centralize: Centralize | None = None,
    spherize: bool | None = None,
    exclude: Named | None = None,
    include: Named | None = None,
    classifier: Named | None = None,
) -> ModuleT:
    """Replace every BatchNorm1d/2d/3d by :class:`ScaleBias` and project the weights, for training from scratch.

    The scale and bias keep the values of ``γ`` and ``β``: a residual branch whose last ``γ`` starts at 0 still does.
    Running statistics are discarded, so a trained model does not keep its function. Hooks on a batch norm move to the
    scale. A batch norm with an activation inside, such as timm's, becomes a Sequential of scale and activation.

    In a residual network without normalization the last ``γ`` of each branch should start small, else the stream
    doubles its second moment at each block: :func:`cwn_lite.scale_branches` sees to it.

    What is said here of layers and the constraint holds for :func:`cwn_lite.constrain`, too.

    Args:
        model: changed in place.
        noise_std: noise level ``σ`` (Eq. 7), at least 0.
        schedule: its course over depth (Eq. 8), ``"constant"`` or ``"linear"``.
        per_sample: draw the noise for each sample.
        c: squared row norm; ``None`` is the paper's 2. ``C_CENTERED`` is for centred rows behind ReLUs and their
            like, :func:`cwn_lite.leaky_relu_c` for leaky ones. This and the rest are as for :func:`cwn_lite.constrain`.
        centralize: impose zero mean; ``None`` is yes, ``"mixing"`` on rows that mix channels, which spares depthwise
            convolutions.
        spherize: impose the norm; ``None`` is yes. With neither of the two, weights stay as they are.
        exclude: layers to leave free. Batch norms inside are replaced.
        include: layers to constrain although they are taken for classifiers.
        classifier: the layers to be taken for classifiers, instead of those that are found.

    Returns:
        ``model``, or what replaces it if ``model`` is a batch norm itself. :func:`cwn_lite.report` says what happened
        to each layer and why.

    Raises:
        TypeError, ValueError: as :func:`cwn_lite.constrain` and :func:`cwn_lite.noise_schedule`; no batch norm can be
            replaced. Nothing is changed when an error is raised.

    Example:
        >>> from cwn_lite import report
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 10))
        >>> print(report(replace_batchnorm(net, noise_std=0.2)))
        0  Conv2d       constrained  fan-in 27
        1  BatchNorm2d  replaced     ScaleBias, noise_std 0.2
        3  Linear       free         taken for the classifier: it feeds the output and no scale follows

    Reference: Ikami, Irie, Shibata, WACV 2021, Eq. 6-8 and section 4.1.1.
    """
    check_module("model", model)
    if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        raise ValueError(
            f"model is wrapped in {type(model).__name__}, which counts its buffers: replace first, then wrap"
        )
    check_nonnegative("noise_std", noise_std)
    noise_schedule(0, noise_std, schedule)
    settle((), c, centralize, spherize)
    norms = {name: m for name, m in model.named_modules() if isinstance(m, _BatchNorm)}
    like = _neighbours(model)
    news: dict[str, nn.Module | str] = {}
    for name, norm in norms.items():
        outer = next((kept for kept, new in news.items() if isinstance(new, str) and name.startswith(f"{kept}.")), None)
        inside = None if outer is None else f"part of {outer}, which is kept"
        news[name] = inside or replacement(name, norm, like[id(norm)], per_sample=per_sample)
    replaced = {id(norms[name]): new for name, new in news.items() if isinstance(new, nn.Module)}
    kept = {name: new for name, new in news.items() if isinstance(new, str)}
    if not replaced:
        raise ValueError(_nothing_to_replace(model, kept))
    selection, settings = Selection({}, {}), Settings()
    if any(is_linear_map(module) for module in model.modules()):
        selection = select(model, exclude=exclude, include=include, classifier=classifier)
        settings = settle(selection.modules.values(), c, centralize, spherize)
        check_directions(selection.modules, settings)

    details = {name: detail(norms[name], new) for name, new in news.items() if isinstance(new, nn.Module)}
    remember(selection.modules.values(), settings)
    if not (settings.centralize or settings.spherize):
        free = dict.fromkeys(selection.modules, "neither constraint is asked for")
        codes = dict.fromkeys(free, "unconstrained")
        selection = Selection({}, selection.skipped | free, selection.codes | codes)
    for module in selection.modules.values():
        # A Module's attributes are typed as tensors or modules; the selection holds layers with a weight.
        project_(module.weight, settings.c, **settings.constraints(module), **layout(module))  # type: ignore[arg-type]
    note(model, selection, settings)
    _note_others(model, kept)
    swap_modules(model, replaced)
    model = cast(ModuleT, replaced.get(id(model), model))
    set_noise(model, noise_std, schedule)
    for name, words in details.items():
        new = replaced[id(norms[name])]
        scale = next(module for module in new.modules() if isinstance(module, ScaleBias))
        level = f"ScaleBias, noise_std {scale.noise_std:g}{words}"
        record(new, "norm", type(norms[name]).__name__, "replaced", level)
    if kept:
        warnings.warn(f"{_counted(model, kept)} kept; cwn_lite.report(model) says why", stacklevel=2)
    return model


def _neighbours(model: nn.Module) -> dict[int, Tensor]:
    """For each module a parameter on its device: the last one registered before it, or the first of the model."""
    near = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    found: dict[int, Tensor] = {}
    for module in model.modules():
        found[id(module)] = near
        near = next((p for p in module.parameters(recurse=False) if p.is_floating_point()), near)
    return found


def _counted(model: nn.Module, names: Mapping[str, str]) -> str:
    kinds = Counter(type(model.get_submodule(name)).__name__ for name in names)
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"{len(names)} batch norm{'s' * (len(names) > 1)} ({listed}; {', '.join(list(names)[:3])}, …)".replace(
        ", …", ", …" if len(names) > 3 else ""
    )


def _nothing_to_replace(model: nn.Module, kept: dict[str, str]) -> str:
    if kept:
        reasons = "; ".join(sorted(set(kept.values())))
        return f"model has {_counted(model, kept)} and none can be replaced: {reasons}"
    others = Counter(type(module).__name__ for module in model.modules() if _is_other_norm(module))
    found = f"; it has {', '.join(f'{count} {kind}' for kind, count in others.items())}" if others else ""
    return f"model has no batch norm to replace: {type(model).__name__}{found}"


def _is_other_norm(module: nn.Module) -> bool:
    name = type(module).__name__.lower()
    named = ("norm" in name or "abn" in name) and not type(module).__module__.startswith("torch.nn.utils")
    # torch's own count whatever is inside them: timm's have an activation.
    own = isinstance(module, nn.GroupNorm | nn.LayerNorm | _InstanceNorm)
    return not isinstance(module, _BatchNorm) and (own or (named and not any(module.children())))


def _note_others(model: nn.Module, kept: Mapping[str, str]) -> None:
    """Record the norms that stay."""
    for name, module in model.named_modules():
        kind = type(module).__name__
        if name in kept:
            record(module, "norm", kind, "kept", kept[name], "own_forward")
        elif _is_other_norm(module):
            frozen = "frozen" in kind.lower()
            reason = "frozen statistics: a fixed scale and bias, nothing to train" if frozen else "not a batch norm"
            record(module, "norm", kind, "kept", reason, "frozen_norm" if frozen else "other_norm")


def swap_modules(model: nn.Module, swaps: Mapping[int, nn.Module]) -> None:
    """Put ``swaps[id(child)]`` in the place of each such child, under every name that it has."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if id(child) in swaps:
                setattr(parent, name, swaps[id(child)])
