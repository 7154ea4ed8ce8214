"""Two explosions of a deep network behind Weight Standardization, computed: the twin of the explorable ``explosion``.

Activations compound with the gain, the length of the rows; gradients of the trained weights carry ``1 / σ`` once.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from cwn_lite.checks import check_nonnegative, check_number, check_positive
from cwn_lite.figures.style import COLORS, LABELS, STYLE
from cwn_lite.projection import C_HE, project_rows
from cwn_lite.standardize import weight_standardization

LEARNING_RATE, STEPS = 0.1, 1000
"""The decay that the figure knows: this many steps at this learning rate, without a gradient."""

LIMITS = {"rms": (1e-4, 1e8), "gradient": (1e-6, 1e10)}
"""The fixed ends of both axes, as in explorables/explosion-plot.js."""

_NAMES = {"ws": LABELS["ws"], "ours": LABELS["ours"]}
_TITLES = {"rms": "Activations: RMS of $y_l$", "gradient": "Gradients: $\\|\\partial L/\\partial w_l\\|$"}
_MARKERS = {"ws": "s", "ours": "o"}


@dataclass(frozen=True)
class Profile:
    """One network, layer by layer."""

    rms: tuple[float, ...]
    """Root mean square of ``y_l`` over the batch and the units."""
    gradient: tuple[float, ...]
    """Frobenius norm of the gradient of the trained weights of layer ``l``."""

    @property
    def growth(self) -> float:
        """The factor from the RMS of one layer to the next: geometric mean from the first layer to the last."""
        return float((self.rms[-1] / self.rms[0]) ** (1 / (len(self.rms) - 1)))


@dataclass(frozen=True)
class Profiles:
    """Both networks, and what ``σ`` the decay has left."""

    sigma: float
    ws: Profile
    ours: Profile


def profiles(
    weights: Any, inputs: Any, cotangent: Any, *, sigma: float, depth: int, gain: float, decay: float = 0.0
) -> Profiles:
    """Return activations and gradients of a ReLU network behind Weight Standardization, and of CWO.

    ``y_l = ŵ_l h_{l-1}``, ``h_l = ReLU(y_l)``, ``h_0 = x``; the loss is the mean over the batch of ``⟨a, y_L⟩``.
    ``ŵ`` is the standardized row (Eq. 15-17) times ``gain / √n``. The trained row behind it has the standard deviation
    ``σ (1 − 0.1 decay)^1000``, and its gradient is that of Eq. 18-19. The rows of CWO have the same directions and
    ``‖w‖² = 2``; their gradient is the part along the constraint set, without its mean and its radial part.

    Both gradients differ by one factor in all layers: ``(gain / √2)^depth · √(2/n) / σ``.

    Args:
        weights: ``(layers, n, n)`` directions of the rows, of any length.
        inputs: ``(batch, n)``, the batch ``x``.
        cotangent: ``(n,)``, the vector ``a``; of length one, so that the gradient from above has size one.
        sigma: standard deviation ``σ`` of each trained row before the decay, positive.
        depth: number of layers used, at least 2.
        gain: norm of the rows that the network computes with, positive; ``√n`` is the one of Eq. 15.
        decay: weight decay ``λ``, for 1,000 steps at learning rate 0.1 with no gradient, from 0 and below 10.

    Returns:
        The profiles of both networks, each ``depth`` long, computed in float64 by autograd.

    Raises:
        TypeError: a number is none.
        ValueError: the shapes do not fit, a row has no direction, or a number is out of its range.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> data = [torch.randn(shape, generator=generator) for shape in ((4, 6, 6), (8, 6), (6,))]
        >>> one = profiles(*data, sigma=0.1, depth=4, gain=2.0)
        >>> ten = profiles(*data, sigma=0.01, depth=4, gain=2.0)
        >>> [round(b / a, 6) for a, b in zip(one.ws.gradient, ten.ws.gradient, strict=True)]
        [10.0, 10.0, 10.0, 10.0]
        >>> one.ours == ten.ours
        True

    Reference: Ikami, Irie, Shibata, WACV 2021, Sec. 3.5; Qiao et al., Weight Standardization, 2019.
    """
    directions, x, a = (torch.as_tensor(t, dtype=torch.float64) for t in (weights, inputs, cotangent))
    n = directions.shape[-1] if directions.ndim == 3 else -1
    if (directions.ndim, x.ndim, a.ndim) != (3, 2, 1) or {directions.shape[-2], x.shape[-1], len(a)} != {n}:
        raise ValueError(
            "weights, inputs and cotangent must have the shapes (layers, n, n), (batch, n) and (n,), got "
            f"{tuple(directions.shape)}, {tuple(x.shape)} and {tuple(a.shape)}"
        )
    check_positive("sigma", sigma)
    check_positive("gain", gain)
    if check_nonnegative("decay", decay) * LEARNING_RATE >= 1:
        raise ValueError(f"decay must be below {1 / LEARNING_RATE:g}, got {decay}; more would turn the weights around")
    if check_number("depth", depth) != int(depth) or not 2 <= depth <= len(directions):
        raise ValueError(f"depth must be a whole number from 2 to {len(directions)}, the layers given, got {depth}")
    directions = directions[: int(depth)]
    centred = directions - directions.mean(-1, keepdim=True)
    spread = centred.square().mean(-1, keepdim=True).sqrt()
    if bool((spread == 0).any()):
        raise ValueError("weights has a row of equal numbers, which has no direction; draw it anew")
    sigma *= (1 - LEARNING_RATE * decay) ** STEPS

    trained = [_linear(rows) for rows in sigma * centred / spread]
    layers = [weight_standardization(linear, gain=gain) for linear in trained]
    rms = _passes(layers, x, a)
    behind = [_gradient(next(layer.parameters())) for layer in layers]

    layers = [_linear(rows) for rows in project_rows(directions, C_HE)]
    ours = _passes(layers, x, a)
    along = [_tangent(layer.weight.detach(), _gradient(layer.weight)) for layer in layers]
    return Profiles(sigma, Profile(rms, _norms(behind)), Profile(ours, _norms(along)))


def _linear(rows: Tensor) -> nn.Linear:
    linear = nn.Linear(rows.shape[1], rows.shape[0], bias=False, dtype=torch.float64)
    linear.weight = nn.Parameter(rows.clone())
    return linear


def _passes(layers: list[nn.Linear], x: Tensor, a: Tensor) -> tuple[float, ...]:
    """Go up and down once; return the RMS of each layer and leave the gradients in the parameters."""
    h, rms = x, []
    for layer in layers:
        y = layer(h)
        rms.append(float(y.detach().square().mean().sqrt()))
        h = torch.relu(y)
    (y @ a).mean().backward()
    return tuple(rms)


def _gradient(parameter: Any) -> Tensor:
    assert isinstance(parameter, Tensor) and parameter.grad is not None  # the backward pass has been
    return parameter.grad


def _tangent(w: Tensor, gradient: Tensor) -> Tensor:
    """Return what the projection leaves of a step to first order: no mean, nothing along the row."""
    flat = gradient - gradient.mean(-1, keepdim=True)
    return flat - (flat * w).sum(-1, keepdim=True) / w.square().sum(-1, keepdim=True) * w


def _norms(gradients: list[Tensor]) -> tuple[float, ...]:
    return tuple(float(gradient.norm()) for gradient in gradients)


def explosion(data: Mapping[str, Any]) -> Figure:
    """Draw both profiles at the start of the explorable ``explosion``.

    Args:
        data: what the explorable gets: ``weights``, ``inputs`` and ``cotangent`` as in `profiles`, and ``start`` with
            ``sigma``, ``depth``, ``gain`` and ``decay``.

    Returns:
        A figure for ``static=`` of `explorable`.

    Raises:
        ValueError: an entry is missing, or `profiles` refuses one.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> parts = {"weights": (4, 6, 6), "inputs": (8, 6), "cotangent": (6,)}
        >>> data = {name: torch.randn(shape, generator=generator).tolist() for name, shape in parts.items()}
        >>> start = {"sigma": 0.01, "depth": 4, "gain": 6**0.5, "decay": 0.0}
        >>> [ax.get_yscale() for ax in explosion({**data, "start": start}).axes]
        ['log', 'log']
    """
    missing = [name for name in ("weights", "inputs", "cotangent", "start") if name not in data]
    missing += [f"start.{name}" for name in ("sigma", "depth", "gain", "decay") if name not in data.get("start", {})]
    if missing:
        raise ValueError(f"data lacks {', '.join(missing)}; the explorable needs them, too")
    start = data["start"]
    parts = (data["weights"], data["inputs"], data["cotangent"])
    now = profiles(*parts, **start)
    spread = math.sqrt(C_HE / len(data["cotangent"]))
    bare = profiles(*parts, **{**start, "sigma": spread, "decay": 0.0}).ws
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(2, 1, figsize=(5.0, 5.6), sharex=True, height_ratios=[_decades(key) for key in LIMITS])
        for ax, key in zip(axes, LIMITS, strict=True):
            _panel(ax, key, now, None if key == "rms" else bare.gradient)
    axes[-1].set(xlabel="layer", xlim=(0.5, len(data["weights"]) + 0.5))
    return fig


def _decades(key: str) -> float:
    low, high = LIMITS[key]
    return math.log10(high / low)


def _panel(ax: Axes, key: str, now: Profiles, bare: tuple[float, ...] | None) -> None:
    ax.set(yscale="log", ylim=LIMITS[key], title=_TITLES[key])
    ax.set_yticks([10.0**k for k in range(-8, 13, 4) if LIMITS[key][0] <= 10.0**k <= LIMITS[key][1]])
    ax.minorticks_off()
    low, high = LIMITS[key]
    for method in ("ws", "ours"):
        values = getattr(getattr(now, method), key)
        layers = range(1, len(values) + 1)
        ax.plot(layers, values, color=COLORS[method], marker=_MARKERS[method], markersize=4)
        _name(ax, _NAMES[method], len(values), min(max(values[-1], low), high))
    if bare is not None:
        ax.plot(range(1, len(bare) + 1), bare, color=COLORS["ws"], dashes=(1, 2), linewidth=1.3)
        _name(ax, "WS, were $\\sigma = \\sqrt{2/n}$", len(bare), min(max(bare[-1], low), high))


def _name(ax: Axes, label: str, layer: int, y: float) -> None:
    ax.annotate(label, (layer, y), xytext=(8, 0), textcoords="offset points", va="center")
