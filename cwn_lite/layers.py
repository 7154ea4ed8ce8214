"""Scale, bias and noise in the place of batch normalization (Eq. 6-8)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cwn_lite.checks import check_module, check_nonnegative


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
        device: where the parameters live.
        dtype: dtype of the parameters.

    Attributes:
        weight: ``(C,)`` scale ``γ``, starts at 1.
        bias: ``(C,)`` bias ``β``, starts at 0.

    Shape:
        Input ``(N, C)`` or ``(N, C, *)``; output the same, in the input's dtype.

    Raises:
        ValueError: ``num_features < 1``, a negative ``noise_std``, or an input whose axis 1 is not ``C``.
        TypeError: an input of integers.

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
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if num_features < 1:
            raise ValueError(f"num_features must be at least 1, got {num_features}")
        self.num_features = num_features
        self.noise_std = check_nonnegative("noise_std", noise_std)
        self.per_sample = per_sample
        self.weight = nn.Parameter(torch.empty(num_features, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(num_features, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the scale to 1 and the bias to 0."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(1 + n) γ x + β``."""
        if x.ndim < 2 or x.shape[1] != self.num_features:
            raise ValueError(f"input has shape {tuple(x.shape)}; expected (N, {self.num_features}, ...)")
        if not x.is_floating_point():
            raise TypeError(f"input has dtype {x.dtype}, in which the scale would be rounded; call .float() first")
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

    def scale(self, x: Tensor) -> Tensor:
        """Return ``(1 + n) γ`` for an input, ``(C,)``, with a new draw in training mode; ``(N, C)`` if per sample."""
        if not (self.training and self.noise_std > 0):
            return self.weight
        size = (x.shape[0], self.num_features) if self.per_sample else (self.num_features,)
        return self.weight * torch.normal(1.0, self.noise_std, size, device=x.device, dtype=self.weight.dtype)

    def extra_repr(self) -> str:
        """Show the settings as batch norm does."""
        return f"{self.num_features}, noise_std={self.noise_std:g}, per_sample={self.per_sample}"


def noise_schedule(depth: int, sigma: float, kind: str = "constant") -> list[float]:
    """Return the noise level of each of ``depth`` scale layers (Eq. 8, and the constant one).

    ``linear``: ``σ_l = (l / L) σ`` for ``l = 1 … L``;  ``constant``: ``σ_l = σ``. The paper uses the linear one for
    residual networks and the constant one elsewhere. It leaves open what ``l`` counts; here it counts scale layers.

    Args:
        depth: number of scale layers ``L``.
        sigma: the level ``σ``, at least 0.
        kind: ``"constant"`` or ``"linear"``.

    Raises:
        ValueError: negative ``depth`` or ``sigma``, or an unknown ``kind``.

    Example:
        >>> noise_schedule(4, 0.8, "linear")
        [0.2, 0.4, 0.6000000000000001, 0.8]
    """
    check_nonnegative("sigma", sigma)
    if depth < 0:
        raise ValueError(f"depth must not be negative, got {depth}")
    if kind == "constant":
        return [float(sigma)] * depth
    if kind == "linear":
        return [sigma * layer / depth for layer in range(1, depth + 1)]
    raise ValueError(f"kind must be 'constant' or 'linear', got {kind!r}")


def set_noise(model: nn.Module, sigma: float, kind: str = "constant") -> nn.Module:
    """Set ``noise_std`` of every :class:`ScaleBias` in ``model``, in module order (Eq. 8).

    Args:
        model: changed in place and returned.
        sigma: the level ``σ``, at least 0.
        kind: ``"constant"`` or ``"linear"``.

    Raises:
        ValueError: as :func:`noise_schedule`.

    Example:
        >>> model = nn.Sequential(ScaleBias(2), nn.ReLU(), ScaleBias(2))
        >>> [m.noise_std for m in set_noise(model, 1.0, "linear") if isinstance(m, ScaleBias)]
        [0.5, 1.0]
    """
    check_module("model", model)
    layers = [module for module in model.modules() if isinstance(module, ScaleBias)]
    for layer, noise_std in zip(layers, noise_schedule(len(layers), sigma, kind), strict=True):
        layer.noise_std = noise_std
    return model
