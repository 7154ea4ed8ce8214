"""What takes the place of one batch norm."""

import copy
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize

from cwn_lite.layers import ScaleBias

# How many axes the inputs of each class have.
_NDIMS: dict[type[nn.Module], tuple[int, ...]] = {
    nn.BatchNorm1d: (2, 3),
    nn.BatchNorm2d: (4,),
    nn.BatchNorm3d: (5,),
}
_OWN_FORWARD = "a subclass with a forward of its own; replace it by hand"
_CALL_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_is_full_backward_hook",
)
_STATE_HOOKS = (
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


def replacement(name: str, norm: _BatchNorm, like: Tensor, *, per_sample: bool) -> nn.Module | str:
    """Return what computes the scale and bias of ``norm``, or the reason why it must be kept.

    A batch norm with layers behind it in its own forward, such as timm's ``BatchNormAct2d``, becomes a Sequential of
    a scale and those layers, if a trial shows that this is all it does. Hooks move along.

    Args:
        name: of the batch norm, for messages.
        norm: never changed.
        like: a tensor on the device of the layers around, for a batch norm without one.
        per_sample: as for :class:`ScaleBias`.

    Raises:
        ValueError: ``norm`` is an uninitialized lazy one, or its weight is pruned or parametrized.

    Example:
        >>> replacement("bn", nn.BatchNorm2d(3), torch.empty(0), per_sample=False)
        ScaleBias(3, noise_std=0, per_sample=False)
    """
    if isinstance(norm, LazyModuleMixin):
        raise ValueError(f"{name} is an uninitialized lazy batch norm; run one forward pass first")
    if "forward" in vars(norm):
        return "its forward was set on the object; replace it by hand"
    for own in ("weight", "bias"):
        value = getattr(norm, own, None)
        if parametrize.is_parametrized(norm, own) or not (value is None or isinstance(value, nn.Parameter)):
            raise ValueError(
                f"{name}.{own} is pruned or parametrized; make that permanent first (torch.nn.utils.prune.remove, or "
                "parametrize.remove_parametrizations)"
            )
    tensors = [t for t in (norm.weight, norm.running_mean, norm.num_batches_tracked) if t is not None]
    if any(t.is_meta for t in tensors) and not like.is_meta:
        raise ValueError(f"{name} is on the meta device, without values; call to_empty on it and initialize it first")
    base = nn.SyncBatchNorm if isinstance(norm, nn.SyncBatchNorm) else _BatchNorm
    stock = all(getattr(type(norm), own) == getattr(base, own) for own in ("forward", "__call__", "_call_impl"))
    behind = dict(norm.named_children())
    if stock and behind:
        return f"it has layers of its own inside ({', '.join(behind)}); replace it by hand"
    if not stock and not (behind and _is_followed_by(norm, behind)):
        return _OWN_FORWARD
    with torch.inference_mode(False):  # parameters made there could never be trained
        scale = _scale_bias(norm, like, per_sample)
    if stock:
        return _with_hooks(norm, scale)
    first = "scale" if "scale" not in behind else "scale_bias"
    return _with_hooks(norm, nn.Sequential(OrderedDict({first: scale, **behind})).train(norm.training))


def detail(norm: _BatchNorm, new: nn.Module) -> str:
    """Return what a report on a replaced batch norm says beyond the scale."""
    scale = next(module for module in new.modules() if isinstance(module, ScaleBias))
    words = ""
    if new is not scale:
        words += f", then {' and '.join(name for name, child in new.named_children() if child is not scale)}"
    trained = getattr(norm, "num_batches_tracked", None)
    if trained is not None and int(trained) > 0:
        words += f"; running statistics of {int(trained)} batches discarded"
    if any(getattr(norm, hooks, None) for hooks in _CALL_HOOKS):
        words += "; its hooks moved along"
    if any(getattr(norm, hooks, None) for hooks in _STATE_HOOKS):
        words += "; its hooks on state dicts dropped"
    return words


def _scale_bias(norm: _BatchNorm, like: Tensor, per_sample: bool) -> ScaleBias:
    like = next((t for t in (norm.weight, norm.running_mean) if t is not None), like)
    kind = next((kind for kind in type(norm).__mro__ if kind in _NDIMS), type(norm))
    same = type(norm)._check_input_dim is vars(kind).get("_check_input_dim")
    ndims = _NDIMS.get(kind) if same else None
    layer = ScaleBias(norm.num_features, per_sample=per_sample, ndims=ndims, device=like.device, dtype=like.dtype)
    # The very parameters: an optimizer or a requires_grad flag that knows them still does.
    if norm.weight is not None:
        layer.weight = norm.weight
    if norm.bias is not None:
        layer.bias = norm.bias
    return layer.train(norm.training)


def _with_hooks(norm: _BatchNorm, new: nn.Module) -> nn.Module:
    """Give ``new`` the very containers, so that a handle of a hook still removes it."""
    for hooks in _CALL_HOOKS:
        if getattr(norm, hooks, None):
            vars(new)[hooks] = getattr(norm, hooks)
    return new


@torch.no_grad()
def _is_followed_by(norm: _BatchNorm, behind: dict[str, nn.Module]) -> bool:
    """Whether ``norm`` computes plain batch norm and then its own children in turn, on a trial in either mode."""
    kind = next((kind for kind in type(norm).__mro__ if kind in _NDIMS), None)
    if kind is None or not norm.track_running_stats or norm.running_mean is None or norm.running_var is None:
        return False
    plain = kind(norm.num_features, eps=norm.eps, momentum=norm.momentum, affine=norm.affine, device="cpu").double()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        for tensor in (*plain.parameters(), *plain.buffers()):
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 2.0)
        x = torch.randn(4, norm.num_features, *(3,) * (_NDIMS[kind][-1] - 2), device="cpu", dtype=torch.float64)
        for training in (True, False):
            parts = nn.Sequential(copy.deepcopy(plain), *copy.deepcopy(list(behind.values())))
            results = []
            try:
                whole = copy.deepcopy(norm).to("cpu", torch.float64)
                whole.load_state_dict(plain.state_dict(), strict=False)
                for module in (whole, parts.to("cpu", torch.float64)):
                    torch.default_generator.manual_seed(1)  # a dropout among the children
                    results.append(module.train(training)(x.clone()))
            except Exception:  # whatever a foreign forward may raise
                return False
            if not (isinstance(results[0], Tensor) and results[0].shape == results[1].shape):
                return False
            if not torch.allclose(results[0], results[1], rtol=1e-6, atol=1e-6):
                return False
    return True
