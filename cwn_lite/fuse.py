"""Fusing for training: the scale acts on the weight of the layer before, and no longer on activations."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from cwn_lite.checks import check_module
from cwn_lite.feeds import Feeds
from cwn_lite.layers import ScaleBias
from cwn_lite.report import LayerReport, Report


def fuse(model: nn.Module) -> nn.Module:
    """Let each scale and bias that follows a linear map act through that map's weight and bias, also in training.

    ``(1 + n) γ (Wx + b) + β = ((1 + n) γ W) x + ((1 + n) γ b + β)`` (Eq. 6-7): one product per weight takes the
    place of all passes over activations, so that the cost of a step no longer grows with the batch. Outputs, gradients
    and noise draws are those of the unfused model, up to rounding.

    Parameters, their names, optimizers and constraints stay as they are: a checkpoint of the fused model loads into
    the unfused one and back, :func:`cwn_lite.set_noise` goes on working, and :func:`cwn_lite.fold` takes either. Which
    layer follows which is read as in :func:`cwn_lite.fold`. A scale that follows no linear map, as on the stream of a
    pre-activation network, and one whose noise is drawn per sample stay as they are. A fused Linear takes inputs
    ``(N, in_features)`` only. Call it before ``torch.compile`` and before wrapping the model.

    Args:
        model: changed in place. Scales that are fused already are fused anew.

    Returns:
        ``model``. Its attribute ``report`` says for each scale whether it was fused, and why not.

    Raises:
        TypeError: ``model`` is not a module.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), ScaleBias(8), nn.ReLU())
        >>> x = torch.randn(2, 3, 5, 5)
        >>> expected = net(x)
        >>> print(fuse(net).report)
        1  ScaleBias  fused  into 0
        >>> torch.allclose(net(x), expected, atol=1e-6), sorted(net.state_dict())
        (True, ['0.weight', '1.bias', '1.weight'])

    Reference: Ikami, Irie, Shibata, WACV 2021, Eq. 6-7.
    """
    check_module("model", model)
    unfuse(model)
    modules = dict(model.named_modules())
    feeds = Feeds(model)
    lines = []
    for name, scale in modules.items():
        if not isinstance(scale, ScaleBias):
            continue
        source, reason = feeds.source(name, modules)
        if source and type(modules[source]) not in _FUSED:
            source, reason = "", f"{source} is a {type(modules[source]).__name__}, which has a forward of its own"
        elif source and type(scale) is not ScaleBias:
            source, reason = "", "a subclass of ScaleBias may compute something else"
        elif source and scale.per_sample:
            source, reason = "", "its noise is drawn per sample, and a weight is one for all"
        if source:
            _attach(modules[source], scale)
        action, detail = ("fused", f"into {source}") if source else ("kept", reason)
        lines.append(LayerReport(name, "ScaleBias", action, detail))
    # A Module is typed to hold tensors and modules only; a plain attribute is fine.
    model.report = Report(tuple(lines))  # type: ignore[assignment]
    return model


def unfuse(model: nn.Module) -> nn.Module:
    """Undo :func:`fuse`, in place: every scale acts on activations again.

    Args:
        model: changed in place; a model that is not fused stays as it is.
    """
    for module in model.modules():
        # To a type checker the class of an object never changes.
        if isinstance(module, FusedScaleBias):
            module.__class__ = ScaleBias  # type: ignore[assignment]
        elif isinstance(module, FusedMap):
            del module.scale
            module.__class__ = _PLAIN[type(module)]  # type: ignore[assignment]
    return model


class FusedScaleBias(ScaleBias):
    """Holds scale, bias and noise level for the layer before, and passes its input on."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``."""
        return x


class FusedMap(nn.Module):
    """A linear map that applies the scale and bias behind it through its own weight and bias.

    Attributes:
        scale: the one layer that follows, in a tuple, so that its parameters keep their one name.
    """

    scale: tuple[FusedScaleBias]

    def fused(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(1 + n) γ W`` and ``(1 + n) γ b + β``."""
        (layer,) = self.scale
        factor = layer.scale(x)
        weight, bias = self.weight, self.bias
        assert isinstance(weight, Tensor) and not isinstance(bias, nn.Module)
        shifted = layer.bias if bias is None else torch.addcmul(layer.bias, factor, bias)
        return weight * self._per_output(factor, weight.ndim), shifted

    def _per_output(self, factor: Tensor, ndim: int) -> Tensor:
        return factor.reshape(-1, *[1] * (ndim - 1))


class FusedLinear(FusedMap, nn.Linear):
    """A Linear with the scale and bias that follow it."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_features) to (N, out_features)."""
        if x.ndim != 2:
            raise ValueError(
                f"input has shape {tuple(x.shape)}; behind a Linear a scale acts on axis 1, so a fused one takes "
                "(N, in_features): leave this model unfused"
            )
        return F.linear(x, *self.fused(x))


class _FusedConv(FusedMap, _ConvNd):
    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.fused(x)
        return self._conv_forward(x, weight, bias)


class FusedConv1d(_FusedConv, nn.Conv1d):
    """A Conv1d with the scale and bias that follow it."""


class FusedConv2d(_FusedConv, nn.Conv2d):
    """A Conv2d with the scale and bias that follow it."""


class FusedConv3d(_FusedConv, nn.Conv3d):
    """A Conv3d with the scale and bias that follow it."""


class _FusedConvTranspose(FusedMap, _ConvTransposeNd):
    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        weight, bias = self.fused(x)
        axes = len(self.kernel_size)
        # torch types these tuples more loosely than its own functions ask for.
        kernel = self.stride, self.padding, self.kernel_size
        padding = self._output_padding(x, output_size, *kernel, axes, self.dilation)  # type: ignore[arg-type]
        transpose = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1]
        geometry = self.stride, self.padding, padding, self.groups, self.dilation
        out: Tensor = transpose(x, weight, bias, *geometry)  # type: ignore[arg-type]
        return out

    def _per_output(self, factor: Tensor, ndim: int) -> Tensor:
        # (in, out / groups, *kernel): each input meets the outputs of its group.
        per_group = factor.reshape(self.groups, -1).repeat_interleave(self.in_channels // self.groups, dim=0)
        return per_group.reshape(*per_group.shape, *[1] * (ndim - 2))


class FusedConvTranspose1d(_FusedConvTranspose, nn.ConvTranspose1d):
    """A ConvTranspose1d with the scale and bias that follow it."""


class FusedConvTranspose2d(_FusedConvTranspose, nn.ConvTranspose2d):
    """A ConvTranspose2d with the scale and bias that follow it."""


class FusedConvTranspose3d(_FusedConvTranspose, nn.ConvTranspose3d):
    """A ConvTranspose3d with the scale and bias that follow it."""


_FUSED: dict[type[nn.Module], type[FusedMap]] = {
    nn.Linear: FusedLinear,
    nn.Conv1d: FusedConv1d,
    nn.Conv2d: FusedConv2d,
    nn.Conv3d: FusedConv3d,
    nn.ConvTranspose1d: FusedConvTranspose1d,
    nn.ConvTranspose2d: FusedConvTranspose2d,
    nn.ConvTranspose3d: FusedConvTranspose3d,
}
_PLAIN: dict[type[nn.Module], type[nn.Module]] = {fused: plain for plain, fused in _FUSED.items()}


def _attach(layer: nn.Module, scale: ScaleBias) -> None:
    # The classes change and the objects do not: optimizers, constraints and hooks hold on to them.
    scale.__class__ = FusedScaleBias
    layer.__class__ = _FUSED[type(layer)]
    # A Module is typed to hold tensors and modules only; a tuple keeps the scale out of the layer's own parameters.
    layer.scale = (scale,)  # type: ignore[assignment]
