"""From batch norm to scale and bias (section 4.1.1: "replacing all BN layers with scale and bias layers")."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin

from cwn_lite.checks import check_module, check_nonnegative, check_positive
from cwn_lite.layers import ScaleBias, noise_schedule, set_noise
from cwn_lite.projection import C_HE, project_
from cwn_lite.report import LayerReport, Report
from cwn_lite.rows import LINEAR_MAPS, fan_in, layout
from cwn_lite.selection import Selection, select

_OTHER_NORMS = (nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.modules.instancenorm._InstanceNorm)


def replace_batchnorm(
    model: nn.Module,
    *,
    noise_std: float = 0.0,
    schedule: str = "constant",
    per_sample: bool = False,
    c: float = C_HE,
    centralize: bool = True,
    spherize: bool = True,
    exclude: Sequence[str | nn.Module] = (),
) -> nn.Module:
    """Replace every BatchNorm1d/2d/3d by :class:`ScaleBias` and project the weights, for training from scratch.

    The scale and bias keep the values of ``γ`` and ``β``: a residual branch whose last ``γ`` starts at 0 still does.
    Running statistics are discarded, so a trained model does not keep its function.

    In a residual network without normalization the last ``γ`` of each branch should start at 0 or small, else the
    stream doubles its second moment at each block. torchvision's ResNets do this with ``zero_init_residual=True``.

    Args:
        model: changed in place.
        noise_std: noise level ``σ`` (Eq. 7), at least 0.
        schedule: its course over depth (Eq. 8), ``"constant"`` or ``"linear"``.
        per_sample: draw the noise for each sample.
        c: squared row norm; this and the next three as for :func:`cwn_lite.constrain`: pass the same to both.
        centralize: impose zero mean.
        spherize: impose the norm. With neither of the two, weights stay as they are.
        exclude: layers to leave free.

    Returns:
        ``model``, or a ``ScaleBias`` if ``model`` is a batch norm itself. Its new attribute ``report`` says what
        happened to each layer and why.

    Raises:
        TypeError, ValueError: as :func:`cwn_lite.constrain` and :func:`cwn_lite.noise_schedule`; no batch norm is
            found. Nothing is changed when an error is raised.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 10))
        >>> print(replace_batchnorm(net, noise_std=0.2).report)
        0  Conv2d       constrained  fan-in 27
        1  BatchNorm2d  replaced     ScaleBias, noise_std 0.2
        3  Linear       free         the last Linear, taken for the classifier

    Reference: Ikami, Irie, Shibata, WACV 2021, Eq. 6-8 and section 4.1.1.
    """
    check_module("model", model)
    check_nonnegative("noise_std", noise_std)
    check_positive("c", c)
    noise_schedule(0, noise_std, schedule)
    norms = {name: m for name, m in model.named_modules() if isinstance(m, _BatchNorm)}
    replaced = {id(m): _scale_bias(m, per_sample) for name, m in norms.items() if _is_stock(name, m)}
    if not replaced:
        raise ValueError(f"model has no batch norm to replace: {type(model).__name__}")
    has_weights = any(isinstance(m, LINEAR_MAPS) for m in model.modules())
    selection = select(model, exclude) if has_weights else Selection({}, {})

    if not (centralize or spherize):
        free = dict.fromkeys(selection.modules, "neither constraint is asked for")
        selection = Selection({}, selection.skipped | free)

    original = dict(model.named_modules())
    swap_modules(model, replaced)
    model = replaced.get(id(model), model)
    set_noise(model, noise_std, schedule)
    for module in selection.modules.values():
        # A Module's attributes are typed as tensors or modules; the selection holds layers with a weight.
        project_(module.weight, c, centralize=centralize, spherize=spherize, **layout(module))  # type: ignore[arg-type]
    lines = [_line(name, module, selection, replaced) for name, module in original.items()]
    # A Module is typed to hold tensors and modules only; a plain attribute is fine.
    model.report = Report(tuple(line for line in lines if line))  # type: ignore[assignment]
    return model


def swap_modules(model: nn.Module, swaps: Mapping[int, nn.Module]) -> None:
    """Put ``swaps[id(child)]`` in the place of each such child, under every name that it has."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if id(child) in swaps:
                setattr(parent, name, swaps[id(child)])


def _is_stock(name: str, norm: nn.Module) -> bool:
    """Whether ``norm`` computes batch norm and nothing else; a subclass may hide an activation in its forward."""
    if isinstance(norm, LazyModuleMixin):
        raise ValueError(f"{name} is an uninitialized lazy batch norm; run one forward pass first")
    return type(norm).forward in (_BatchNorm.forward, nn.SyncBatchNorm.forward)


def _scale_bias(norm: _BatchNorm, per_sample: bool) -> ScaleBias:
    like = next((t for t in (norm.weight, norm.running_mean) if t is not None), torch.empty(0))
    layer = ScaleBias(norm.num_features, per_sample=per_sample, device=like.device, dtype=like.dtype)
    # The very parameters: an optimizer or a requires_grad flag that knows them still does.
    if norm.weight is not None:
        layer.weight = norm.weight
    if norm.bias is not None:
        layer.bias = norm.bias
    return layer.train(norm.training)


def _line(name: str, module: nn.Module, selection: Selection, replaced: dict[int, ScaleBias]) -> LayerReport | None:
    kind = type(module).__name__
    key = f"{name}.weight" if name else "weight"
    if id(module) in replaced:
        detail = f"ScaleBias, noise_std {replaced[id(module)].noise_std:g}"
        trained = getattr(module, "num_batches_tracked", None)
        if trained is not None and int(trained) > 0:
            detail += f"; running statistics of {int(trained)} batches discarded"
        return LayerReport(name, kind, "replaced", detail)
    if isinstance(module, _BatchNorm):
        return LayerReport(name, kind, "kept", "a subclass with a forward of its own; replace it by hand")
    if isinstance(module, _OTHER_NORMS):
        return LayerReport(name, kind, "kept", "not a batch norm")
    if key in selection.modules:
        return LayerReport(name, kind, "constrained", f"fan-in {fan_in(module)}")
    if isinstance(module, LINEAR_MAPS):
        return LayerReport(name, kind, "free", selection.skipped[key])
    skipped = {own: selection.skipped.get(f"{name}.{own}" if name else own) for own in module._parameters}
    reasons = [f"{own}: {reason}" for own, reason in skipped.items() if reason]
    return LayerReport(name, kind, "free", "; ".join(reasons)) if reasons else None
