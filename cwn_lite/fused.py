"""Layers that compute with the scale behind them inside their own weight and bias."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from cwn_lite.layers import ScaleBias, as_one_call, is_traced
from cwn_lite.report import forget
from cwn_lite.stand_in import hooks

# Where a fused layer keeps its bond. No module itself, so the scale's parameters keep their one name.
_BOND = "_cwn_bond"


class Bond:
    """What ties a fused layer to its scale: it holds while both are where they were in the model.

    A layer or scale that is exchanged by hand (``model.bn1 = nn.Identity()``) leaves a partner that still knows it, and
    a hook that is set later comes between the two. Asked before each use, a broken bond lets them act as if they had
    never been fused.

    Args:
        root: a module that holds both.
        layer: name of the linear map in ``root``.
        scale: name of the scale in ``root``.

    Attributes:
        layer: the linear map.
        scale: the scale behind it.
        steps: all ways from the innermost module that holds both down to the two, as places: a container, a name in
            it, and what was there.
    """

    def __init__(self, root: nn.Module, layer: str, scale: str) -> None:
        self.layer, self.scale = root.get_submodule(layer), cast(ScaleBias, root.get_submodule(scale))
        for a, b in zip(layer.split(".")[:-1], scale.split(".")[:-1], strict=False):
            if a != b:
                break
            root = root.get_submodule(a)
        self.steps: list[tuple[nn.Module, str, nn.Module]] = []
        for name, module in root.named_modules(remove_duplicate=False):
            if module is self.layer or module is self.scale:
                at = root
                for part in name.split("."):
                    self.steps.append((at, part, at.get_submodule(part)))
                    at = self.steps[-1][2]

    def holds(self) -> bool:
        """Return whether both are in their places, with nothing between them."""
        return not self.scale.per_sample and all(
            holder._modules.get(name) is module and not hooks(module) for holder, name, module in self.steps
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Bond:
        twin = memo[id(self)] = object.__new__(Bond)
        twin.layer, twin.scale = copy.deepcopy(self.layer, memo), copy.deepcopy(self.scale, memo)
        # Where only a part of the model is copied, what holds both stays behind: the copies are not fused.
        whole = all(id(holder) in memo for holder, _, _ in self.steps[:1])
        twin.steps = copy.deepcopy(self.steps, memo) if whole else [(nn.Module(), "", twin.layer)]
        return twin


class FusedScaleBias(ScaleBias):
    """Holds scale, bias and noise level for the layer before, and passes its input on."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``, on which the layer before has acted; what a scale returns if the two are no pair any more."""
        if is_traced(x) or not bond(self).holds():
            return super().forward(x)
        self.check(x)
        return x

    def __prepare_scriptable__(self) -> Any:
        raise RuntimeError(
            "a fused model cannot be scripted: call cwn_lite.fold(model) or cwn_lite.unfuse(model) first"
        )

    def _replicate_for_data_parallel(self) -> Any:
        raise RuntimeError(
            "a fused model cannot be copied by nn.DataParallel, whose copies would share one scale: use "
            "DistributedDataParallel, or call cwn_lite.unfuse(model) first"
        )


class FusedMap(nn.Module):
    """A linear map that applies the scale and bias behind it through its own weight and bias."""

    def fused(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return ``(1 + n) γ W`` and ``(1 + n) γ b + β``; ``W`` and ``b`` if the scale was exchanged."""
        weight, bias = self.weight, self.bias
        assert isinstance(weight, Tensor) and not isinstance(bias, nn.Module)
        if not bond(self).holds():
            return weight, bias
        scale = bond(self).scale
        factor = scale.scale(x)
        shifted = scale.bias if bias is None else torch.addcmul(scale.bias, factor, bias)
        # A scale may be kept in a wider dtype than the weight.
        return (weight * self._per_output(factor, weight.ndim)).to(weight.dtype), shifted.to(weight.dtype)

    def _per_output(self, factor: Tensor, ndim: int) -> Tensor:
        return factor.reshape(-1, *[1] * (ndim - 1))

    # No annotation names the class of the copy: torch types it as a method's own Self.
    _replicate_for_data_parallel = FusedScaleBias._replicate_for_data_parallel
    __prepare_scriptable__ = FusedScaleBias.__prepare_scriptable__


class FusedLinear(FusedMap, nn.Linear):
    """A Linear with the scale and bias that follow it."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_features) to (N, out_features)."""
        if is_traced(x):
            return as_one_call(self, x)
        if x.ndim != 2 and bond(self).holds():
            raise ValueError(
                f"input has shape {tuple(x.shape)}; behind a Linear a scale acts on axis 1, so a fused one takes "
                "(N, in_features): leave this model unfused"
            )
        return F.linear(x, *self.fused(x))


class _FusedConv(FusedMap, _ConvNd):
    def forward(self, x: Tensor) -> Tensor:
        if is_traced(x):
            return as_one_call(self, x)
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
        if is_traced(x):
            return as_one_call(self, x, output_size)
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


FUSED: dict[type[nn.Module], type[FusedMap]] = {
    nn.Linear: FusedLinear,
    nn.Conv1d: FusedConv1d,
    nn.Conv2d: FusedConv2d,
    nn.Conv3d: FusedConv3d,
    nn.ConvTranspose1d: FusedConvTranspose1d,
    nn.ConvTranspose2d: FusedConvTranspose2d,
    nn.ConvTranspose3d: FusedConvTranspose3d,
}
_PLAIN: dict[type[nn.Module], type[nn.Module]] = {FusedScaleBias: ScaleBias} | {
    fused: plain for plain, fused in FUSED.items()
}


def attach(root: nn.Module, layer: str, scale: str) -> None:
    """Turn a linear map and its scale into a fused pair, in place.

    Args:
        root: a module that holds both.
        layer: name of a linear map of exactly one of torch's classes.
        scale: name of the :class:`ScaleBias` behind it.
    """
    pair = Bond(root, layer, scale)
    for module in (pair.layer, pair.scale):
        vars(module)[_BOND] = pair
    # The classes change and the objects do not: optimizers, constraints and hooks hold on to them.
    pair.scale.__class__ = FusedScaleBias
    pair.layer.__class__ = FUSED[type(pair.layer)]


def bond(module: nn.Module) -> Bond:
    """Return what ties a fused layer or scale to its partner."""
    tie: Bond = vars(module)[_BOND]
    return tie


def detach(module: nn.Module) -> None:
    """Give both layers of a fused pair their plain classes back, in place; leave any other module as it is."""
    if not isinstance(module, FusedScaleBias | FusedMap):
        return
    pair = bond(module)
    for end in {module, pair.layer, pair.scale}:
        if isinstance(end, FusedScaleBias | FusedMap):
            del vars(end)[_BOND]
            forget(end, "fuse")
            # To a type checker the class of an object never changes.
            end.__class__ = plain(type(end))  # type: ignore[assignment]


def plain(kind: type[nn.Module]) -> type[nn.Module]:
    """Return the class that a fused layer or scale had before; any other class as it is."""
    if not issubclass(kind, FusedScaleBias | FusedMap):
        return kind
    if kind in _PLAIN:
        return _PLAIN[kind]
    # torch derives a class of its own from that of a layer which it parametrizes.
    bases = tuple(plain(base) if issubclass(base, FusedScaleBias | FusedMap) else base for base in kind.__bases__)
    own = {name: value for name, value in vars(kind).items() if name not in ("__dict__", "__weakref__")}
    return type(kind.__name__.replace("Fused", ""), bases, own)
