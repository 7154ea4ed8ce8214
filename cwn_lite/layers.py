"""Scale, bias and noise in the place of batch normalization (Eq. 6-8)."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from cwn_lite.checks import ModuleT, check_axes, check_bool, check_count, check_dense, check_module, check_nonnegative

# What code may ask of a batch norm and a scale does not have.
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked", "track_running_stats", "momentum", "eps", "affine")
# What may be changed at any time, and what is asked of a value then.
_CHECKS = {"noise_std": check_nonnegative, "per_sample": check_bool}


class ScaleBias(nn.Module):
    """A learned scale and bias per channel, with multiplicative noise on the scale while training (Eq. 6-7).

    ``y = (1 + n) γ x + β``,  ``n ~ N(0, σ²)`` in training mode;  ``n = 0`` in eval mode.

    The paper does not say how often ``n`` is drawn. The default is one draw per channel and step, shared by all
    samples as a batch statistic is. ``per_sample`` draws for each sample too, which makes it a Gaussian dropout of
    channels. Under FSDP or DDP each process draws its own noise, as each batch norm has its own statistics.

    Args:
        num_features: number of channels ``C``, the size of axis 1 of the input.
        noise_std: standard deviation ``σ`` of the noise, at least 0. May be changed at any time.
        per_sample: draw the noise for each sample as well as for each channel.
        ndims: how many axes an input may have, such as ``(4,)`` for images; ``None`` is any number from 2.
            :func:`cwn_lite.replace_batchnorm` sets what the batch norm took: an image without a batch axis is an
            error then, not a scale along the wrong axis.
        device: where the parameters live.
        dtype: dtype of the parameters.

    Attributes:
        weight: ``(C,)`` scale ``γ``, starts at 1.
        bias: ``(C,)`` bias ``β``, starts at 0.

    Shape:
        Input ``(N, C)`` or ``(N, C, *)``; output the same, in the input's dtype.

    Raises:
        ValueError: ``num_features < 1``, a negative ``noise_std``, also when it is set later, empty ``ndims`` or one
            below 2, or an input whose axis 1 is not ``C`` or that has another number of axes.
        TypeError: an argument of another kind, a ``dtype`` that is not a real floating-point one, or an input that is
            not a dense tensor of real floating-point numbers.

    Example:
        >>> layer = ScaleBias(3, noise_std=0.5).eval()
        >>> x = torch.ones(2, 3, 4, 4)
        >>> torch.equal(layer(x), x)
        True

    Reference: Ikami, Irie, Shibata, WACV 2021, Eq. 6-7.
    """

    def __init__(
        self,
        num_features: int,
        *,
        noise_std: float = 0.0,
        per_sample: bool = False,
        ndims: Sequence[int] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.ndims = None if ndims is None else check_axes("ndims", ndims)
        self.num_features = check_count("num_features", num_features, 1)
        self.noise_std = noise_std
        self.per_sample = per_sample
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise TypeError(f"dtype must be a real floating-point dtype, got {dtype}")
        self.weight = nn.Parameter(torch.empty(self.num_features, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(self.num_features, device=device, dtype=dtype))
        self.reset_parameters()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CHECKS:
            value = _CHECKS[name](name, value)
        super().__setattr__(name, value)

    def reset_parameters(self) -> None:
        """Set the scale to 1 and the bias to 0."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(1 + n) γ x + β``."""
        # torch does not list it among the names that it exports.
        if torch.jit.is_scripting():  # type: ignore[attr-defined]
            return self._scripted(x)
        if is_traced(x):
            return as_one_call(self, x)
        self.check(x)
        # Under autocast x may be narrower than the parameters; the answer is in the dtype of x.
        wide = torch.promote_types(x.dtype, torch.float32)
        scale, bias = self.scale(x).to(wide), self.bias.to(wide)
        if scale.ndim == 1:
            # Batch norm with a given mean of 0 and a variance of 1, as 1/2 + eps, since torch 2.10 refuses eps = 0.
            # It is the one operation of torch that knows all gradients of γx + β: six passes over activations, where
            # autograd of the two makes eleven. Like any batch norm it takes float32 parameters beside a narrower x.
            mean, variance = torch.zeros_like(bias), torch.full_like(bias, 0.5)
            return F.batch_norm(x, mean, variance, scale, bias, eps=0.5)
        per_channel = (-1, self.num_features) + (1,) * (x.ndim - 2)
        return torch.addcmul(bias.to(x.dtype).reshape(per_channel), x, scale.to(x.dtype).reshape(per_channel))

    def _scripted(self, x: Tensor) -> Tensor:
        """Return the same from the few operations that TorchScript knows."""
        assert x.dim() >= 2, "input must have at least 2 axes, (N, C, ...)"
        assert x.shape[1] == self.num_features, "axis 1 of the input must have num_features channels"
        assert x.is_floating_point(), "input must be real and floating-point; call .float() first"
        size = [x.shape[0], self.num_features] if self.per_sample else [self.num_features]
        noise_std = self.noise_std if self.training else 0.0
        scale = self.weight * (1 + noise_std * torch.randn(size, device=x.device, dtype=self.weight.dtype))
        per_channel = [-1, self.num_features] + [1] * (x.dim() - 2)
        return (x * scale.reshape(per_channel) + self.bias.reshape(per_channel)).to(x.dtype)

    def check(self, x: Tensor) -> None:
        """Raise an error for an input that the layer does not take."""
        check_dense("input", x)
        if x.ndim < 2 or x.shape[1] != self.num_features:
            raise ValueError(f"input has shape {tuple(x.shape)}; expected (N, {self.num_features}, ...)")
        ndims = getattr(self, "ndims", None)  # a layer pickled by version 0.1.0 has none
        if ndims is not None and x.ndim not in ndims:
            axes = " or ".join(map(str, ndims))
            raise ValueError(f"input has shape {tuple(x.shape)}; expected {axes} axes, (N, {self.num_features}, ...)")
        if x.is_complex():
            raise TypeError(f"input is complex ({x.dtype}); scale and bias are for real numbers")
        if not x.is_floating_point():
            raise TypeError(f"input has dtype {x.dtype}, in which the scale would be rounded; call .float() first")

    def scale(self, x: Tensor) -> Tensor:
        """Return ``(1 + n) γ`` for an input, ``(C,)``, with a new draw in training mode; ``(N, C)`` if per sample."""
        if not (self.training and self.noise_std > 0):
            return self.weight
        size = (x.shape[0], self.num_features) if self.per_sample else (self.num_features,)
        return self.weight * torch.normal(1.0, self.noise_std, size, device=x.device, dtype=self.weight.dtype)

    def __getattr__(self, name: str) -> Any:
        if name in _STATISTICS:
            raise AttributeError(
                f"{type(self).__name__} has no {name}: it keeps no batch statistics. Where replace_batchnorm put it in "
                "the place of a batch norm, code that reads those must be changed"
            )
        return super().__getattr__(name)

    def extra_repr(self) -> str:
        """Show the settings as batch norm does."""
        return f"{self.num_features}, noise_std={self.noise_std:g}, per_sample={self.per_sample}"


def is_traced(x: object) -> bool:
    """Return whether ``x`` is a value that torch.fx traces, and no tensor."""
    return isinstance(x, fx.Proxy)


def as_one_call(layer: nn.Module, x: Any, *args: Any) -> Tensor:
    """Let the tracer of ``x`` record ``layer(x)`` as one call: its forward asks for shapes, and draws noise."""
    tracer = x.tracer
    assert isinstance(tracer, fx.Tracer)
    return cast(Tensor, tracer.create_proxy("call_module", tracer.path_of_module(layer), (x, *args), {}))


def noise_schedule(depth: int, noise_std: float, schedule: str = "constant") -> list[float]:
    """Return the noise level of each of ``depth`` scale layers (Eq. 8, and the constant one).

    ``linear``: ``σ_l = (l / L) σ`` for ``l = 1 … L``;  ``constant``: ``σ_l = σ``. The paper uses the linear one for
    residual networks and the constant one elsewhere. It leaves open what ``l`` counts; here it counts scale layers.

    Args:
        depth: number of scale layers ``L``.
        noise_std: the level ``σ``, at least 0.
        schedule: ``"constant"`` or ``"linear"``.

    Returns:
        ``depth`` levels, from the first layer to the last.

    Raises:
        TypeError: ``depth`` is no integer, or ``noise_std`` no number.
        ValueError: negative ``depth`` or ``noise_std``, or an unknown ``schedule``.

    Example:
        >>> noise_schedule(4, 0.8, "linear")
        [0.2, 0.4, 0.6000000000000001, 0.8]
    """
    noise_std, depth = check_nonnegative("noise_std", noise_std), check_count("depth", depth, 0)
    if schedule == "constant":
        return [noise_std] * depth
    if schedule == "linear":
        return [noise_std * layer / depth for layer in range(1, depth + 1)]
    raise ValueError(f"schedule must be 'constant' or 'linear', got {schedule!r}")


def set_noise(model: ModuleT, noise_std: float, schedule: str = "constant") -> ModuleT:
    """Set ``noise_std`` of every :class:`ScaleBias` in ``model``, in module order (Eq. 8).

    Args:
        model: changed in place.
        noise_std: the level ``σ``, at least 0.
        schedule: ``"constant"`` or ``"linear"``.

    Returns:
        ``model``.

    Raises:
        TypeError: ``model`` is not a module, or ``noise_std`` no number.
        ValueError: as :func:`noise_schedule`; ``model`` has no :class:`ScaleBias`.

    Example:
        >>> model = nn.Sequential(ScaleBias(2), nn.ReLU(), ScaleBias(2))
        >>> [m.noise_std for m in set_noise(model, 1.0, "linear") if isinstance(m, ScaleBias)]
        [0.5, 1.0]
    """
    check_module("model", model)
    layers = [module for module in model.modules() if isinstance(module, ScaleBias)]
    levels = noise_schedule(len(layers), noise_std, schedule)
    if not layers:
        raise ValueError("model has no ScaleBias, so there is no noise to set; call cwn_lite.replace_batchnorm first")
    for layer, level in zip(layers, levels, strict=True):
        layer.noise_std = level
    return model
