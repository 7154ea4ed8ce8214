"""Folding for inference: the scale and bias disappear into the layer before them."""

import copy

import torch
from torch import Tensor, nn

from cwn_lite.checks import check_module
from cwn_lite.feeds import Feeds
from cwn_lite.fuse import unfuse
from cwn_lite.layers import ScaleBias
from cwn_lite.report import LayerReport, Report
from cwn_lite.rows import TRANSPOSED
from cwn_lite.surgery import swap_modules


def fold(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` in which each scale and bias that follows a linear map is part of that map.

    ``γ (Wx + b) + β = (γW) x + (γb + β)``: the copy has plain layers with bias and no normalization left there.

    Which layer follows which is read from the traced forward pass, so a pair is folded only if the linear map feeds
    that scale alone. Parts that cannot be traced, because their control flow depends on data, are searched piece by
    piece; each piece is taken to be called as a whole. A scale that follows no linear map, as in pre-activation
    networks, stays. A Linear in front of a scale is taken to have outputs ``(N, C)``: with further axes, the two act
    on different ones.

    Args:
        model: in eval mode; never modified.

    Returns:
        The copy, in eval mode. Its attribute ``report`` says for each scale whether it was folded, and why not.

    Raises:
        ValueError: a part of ``model`` is in training mode, where the noise cannot be folded.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), ScaleBias(8), nn.ReLU()).eval()
        >>> deployed = fold(net)
        >>> print(deployed.report)
        1  ScaleBias  folded  into 0
        >>> x = torch.randn(2, 3, 5, 5)
        >>> torch.allclose(deployed(x), net(x), atol=1e-6), deployed[0].bias is not None
        (True, True)
    """
    check_module("model", model)
    training = [name or "model" for name, m in model.named_modules() if m.training and isinstance(m, ScaleBias)]
    if training or model.training:
        raise ValueError(f"model is in training mode ({(training or ['model'])[0]}); call model.eval() before folding")
    model = unfuse(copy.deepcopy(model))
    modules = dict(model.named_modules())
    feeds = Feeds(model)
    lines, folded = [], {}
    for name, scale in modules.items():
        if not isinstance(scale, ScaleBias):
            continue
        source, reason = feeds.source(name, modules)
        if source:
            _absorb(modules[source], scale)
            folded[id(scale)] = nn.Identity()
        lines.append(
            LayerReport(name, "ScaleBias", "folded" if source else "kept", f"into {source}" if source else reason)
        )
    swap_modules(model, folded)
    # A Module is typed to hold tensors and modules only; a plain attribute is fine.
    model.report = Report(tuple(lines))  # type: ignore[assignment]
    return model


@torch.no_grad()
def _absorb(layer: nn.Module, scale: ScaleBias) -> None:
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor) and not isinstance(bias, nn.Module)
    dtype = torch.promote_types(weight.dtype, torch.float32)
    gamma, beta = scale.weight.to(dtype), scale.bias.to(dtype)
    if isinstance(layer, TRANSPOSED):
        shape = (layer.groups, 1, -1) + (1,) * (weight.ndim - 2)
        folded = (weight.to(dtype).unflatten(0, (layer.groups, -1)) * gamma.reshape(shape)).flatten(0, 1)
    else:
        folded = weight.to(dtype) * gamma.reshape(-1, *[1] * (weight.ndim - 1))
    shifted = beta if bias is None else bias.to(dtype) * gamma + beta
    # New parameters, not new values: another layer may hold the same ones.
    layer.weight = nn.Parameter(folded.to(weight.dtype), requires_grad=weight.requires_grad)
    layer.bias = nn.Parameter(shifted.to(weight.dtype), requires_grad=weight.requires_grad)
