"""Fusing for training: the scale acts on the weight of the layer before, and no longer on activations."""

from typing import Any

from cwn_lite.checks import ModuleT, check_module
from cwn_lite.feeds import Feeds, Source
from cwn_lite.fused import FUSED, attach, detach, plain
from cwn_lite.layers import ScaleBias
from cwn_lite.report import forget, record
from cwn_lite.trial import refuse_different


def fuse(model: ModuleT, *, example_inputs: Any = None) -> ModuleT:
    """Let each scale and bias that follows a linear map act through that map's weight and bias, also in training.

    ``(1 + n) γ (Wx + b) + β = ((1 + n) γ W) x + ((1 + n) γ b + β)`` (Eq. 6-7): one product per weight takes the
    place of all passes over activations, so that the cost of a step no longer grows with the batch. Outputs and
    gradients are those of the unfused model, up to rounding; so are noise draws, where scales are called in the order
    of their layers.

    Parameters, their names, optimizers and constraints stay as they are: a checkpoint of the fused model loads into
    the unfused one and back, :func:`cwn_lite.set_noise` goes on working, and :func:`cwn_lite.fold` takes either. Which
    layer follows which is read as in :func:`cwn_lite.fold`, in training and in eval mode. These scales stay as they
    are: one that follows no linear map, as on the stream of a pre-activation network; one whose noise is drawn per
    sample; one of a pair with hooks. A fused Linear takes inputs ``(N, in_features)`` only.

    A layer of a pair that is exchanged or hooked later, by hand, in the model that was fused leaves the other one
    unfused. Layers of a fused model that are used in another one, and parts of it (``model[:1]``), go on as a pair:
    unfuse the whole first. Call it before ``torch.compile`` and before wrapping the model; ``nn.DataParallel`` is
    refused.

    Args:
        model: changed in place. Scales that are fused already are fused anew.
        example_inputs: arguments for one forward pass, as a tuple, or one tensor. Where given, what fusing would do
            is tried on copies in training and in eval mode, and pairs that would change an output, a gradient, or a
            tensor that the model keeps, are left as they are.

    Returns:
        ``model``. :func:`cwn_lite.report` says for each scale whether it was fused, and why not.

    Raises:
        TypeError: ``model`` is not a module.
        ValueError: the model cannot be copied, does not run on ``example_inputs``, or gives no finite number on them.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from cwn_lite import report
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), ScaleBias(8), nn.ReLU())
        >>> x = torch.randn(2, 3, 5, 5)
        >>> expected = net(x)
        >>> print(report(fuse(net, example_inputs=x)))
        1  ScaleBias  fused  into 0
        >>> torch.allclose(net(x), expected, atol=1e-6), sorted(net.state_dict())
        (True, ['0.weight', '1.bias', '1.weight'])

    Reference: Ikami, Irie, Shibata, WACV 2021, Eq. 6-7.
    """
    check_module("model", model)
    feeds = Feeds(model, modes=(None, True, False), verified=example_inputs is not None)
    sources = {name: _source(feeds, name, m) for name, m in feeds.modules.items() if isinstance(m, ScaleBias)}
    if example_inputs is not None:
        sources = refuse_different(model, sources, attach, example_inputs, modes=(True, False))
    unfuse(model)
    for name, source in sources.items():
        if source.name:
            attach(model, source.name, name)
        action, detail = ("fused", f"into {source.name}") if source.name else ("kept", source.reason)
        record(feeds.modules[name], "fuse", "ScaleBias", action, detail, source.code)
    return model


def unfuse(model: ModuleT) -> ModuleT:
    """Undo :func:`fuse`, in place: every scale acts on activations again.

    Args:
        model: changed in place; a model that is not fused stays as it is.

    Returns:
        ``model``.

    Raises:
        TypeError: ``model`` is not a module.

    Example:
        >>> from torch import nn
        >>> net = fuse(nn.Sequential(nn.Conv2d(3, 8, 3), ScaleBias(8)))
        >>> type(net[0]).__name__, type(unfuse(net)[0]).__name__
        ('FusedConv2d', 'Conv2d')
    """
    check_module("model", model)
    for module in model.modules():
        detach(module)
        forget(module, "fuse")  # also why a scale was kept
    return model


def _source(feeds: Feeds, name: str, scale: ScaleBias) -> Source:
    source = feeds.source(name)
    if not source.name:
        return source
    kind = plain(type(feeds.modules[source.name]))
    if kind not in FUSED:
        why = f"{source.name} is a {kind.__name__}, a subclass, which would lose what it adds"
        return Source("", why, "own_forward")
    if scale.per_sample:
        return Source("", "its noise is drawn per sample, and a weight is one for all", "per_sample")
    return source
