"""Folding for inference: the scale and bias disappear into the layer before them."""

from typing import Any

import torch
from torch import Tensor, nn

from cwn_lite.checks import ModuleT, check_module
from cwn_lite.feeds import Feeds
from cwn_lite.fuse import unfuse
from cwn_lite.fused import FusedMap, bond
from cwn_lite.layers import ScaleBias
from cwn_lite.report import move_records, record
from cwn_lite.rows import TRANSPOSED
from cwn_lite.stand_in import duplicate
from cwn_lite.surgery import swap_modules
from cwn_lite.trial import refuse_different


def fold(model: ModuleT, *, example_inputs: Any = None) -> ModuleT:
    """Return a copy of ``model`` in which each scale and bias that follows a linear map is part of that map.

    ``γ (Wx + b) + β = (γW) x + (γb + β)``: the copy has plain layers with bias and no normalization left there. If
    all scales are folded, it can be pickled and loaded where this library is not installed.

    Which layer follows which is read from the traced forward pass, so a pair is folded only if the linear map feeds
    that scale alone, without a hook between. Parts that cannot be traced, because their control flow depends on data,
    are searched piece by piece; each piece is taken to be called as a whole. A scale that follows no linear map, as in
    pre-activation networks, stays. A Linear in front of a scale is taken to have outputs ``(N, C)``: with further
    axes, the two act on different ones.

    Args:
        model: in eval mode; never modified.
        example_inputs: arguments for one forward pass, as a tuple, or one tensor. Where given, the copy is compared
            with the model on them, and pairs that would change an output, or a tensor that the model keeps, stay.

    Returns:
        The copy, each part in its mode. :func:`cwn_lite.report` says for each scale whether it was folded, and why not.

    Raises:
        TypeError: ``model`` is not a module.
        ValueError: ``model`` or a scale in it is in training mode, where the noise cannot be folded; a layer is fused
            with a scale outside of ``model``; the model cannot be copied; it does not run on ``example_inputs``, or
            gives no finite number on them.

    Example:
        >>> from cwn_lite import report
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), ScaleBias(8), nn.ReLU()).eval()
        >>> x = torch.randn(2, 3, 5, 5)
        >>> deployed = fold(net, example_inputs=x)
        >>> print(report(deployed))
        1  ScaleBias  folded  into 0
        >>> torch.allclose(deployed(x), net(x), atol=1e-6), deployed[0].bias is not None
        (True, True)
    """
    check_module("model", model)
    training = [name or "model" for name, m in model.named_modules() if m.training and isinstance(m, ScaleBias)]
    if training or model.training:
        raise ValueError(f"model is in training mode ({(training or ['model'])[0]}); call model.eval() before folding")
    inside = set(model.modules())
    for name, module in model.named_modules():
        if isinstance(module, FusedMap) and bond(module).scale not in inside:
            raise ValueError(
                f"{name or 'model'} is fused with a scale outside of this part: fold the whole, or unfuse it"
            )
    feeds = Feeds(model, verified=example_inputs is not None)
    sources = {name: feeds.source(name) for name, m in feeds.modules.items() if isinstance(m, ScaleBias)}
    folded = unfuse(_copy(model))
    if example_inputs is not None:
        sources = refuse_different(folded, sources, absorb, example_inputs, modes=(False,))
    for name, source in sources.items():
        scale = folded.get_submodule(name)
        action, detail = ("folded", f"into {source.name}") if source.name else ("kept", source.reason)
        record(scale, "fold", "ScaleBias", action, detail, source.code)
        if source.name:
            absorb(folded, source.name, name)
    return folded


def absorb(model: nn.Module, layer: str, scale: str) -> None:
    """Make a scale part of the linear map before it, and put an identity in its place, in ``model``.

    Args:
        model: holds both; changed in place.
        layer: name of the linear map.
        scale: name of the :class:`ScaleBias`.
    """
    old = model.get_submodule(scale)
    assert isinstance(old, ScaleBias)
    _absorb(model.get_submodule(layer), old)
    new = nn.Identity().train(old.training)
    vars(new)["num_features"] = old.num_features  # for a forward that asks
    move_records(old, new)
    swap_modules(model, {id(old): new})


def _copy(model: ModuleT) -> ModuleT:
    try:
        copied: ModuleT = duplicate(model)
    except Exception as error:  # whatever a user's object may raise
        raise ValueError(f"model cannot be copied, so it cannot be folded: {type(error).__name__}: {error}") from error
    return copied


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
