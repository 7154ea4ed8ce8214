"""How signal and gradient grow or fade through a stack of random layers: the twin of the explorable ``signals``.

Mean-field theory: wide layers, independent random rows. What a network of finite width does scatters about it.
"""

import math
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cwn_lite.checks import check_bool, check_count, check_nonnegative, check_positive
from cwn_lite.figures.style import DASHES, QUANTITIES, STYLE
from cwn_lite.gain import leaky_relu_c
from cwn_lite.projection import C_HE

BLOCKS = ("plain", "sum", "scaled")
"""Layers one after another; each added to a stream; each added to it after a division by the root of their number."""

MOST = 50
"""The largest number of layers that the figure shows."""


@dataclass(frozen=True)
class Signals:
    """What a stack of layers does to a signal and to a gradient.

    Attributes:
        forward: factor on the second moment of the signal, per layer.
        backward: factor on the squared length of the gradient, per layer.
        signal: the second moment behind layer 0, 1, ..., where it is 1 behind layer 0.
        gradient: the squared length of the gradient there, where it is 1 behind the last.
    """

    forward: float
    backward: float
    signal: tuple[float, ...]
    gradient: tuple[float, ...]


def signals(
    *, layers: int = MOST, c: float = C_HE, slope: float = 0.0, centralize: bool = True, block: str = "plain"
) -> Signals:
    """Return the mean-field course of signal and gradient through layers of a leaky ReLU and rows of ``‖w‖² = c``.

    A layer multiplies the second moment of the signal by ``c Var[f]`` (by ``c E[f²]`` if rows are not centred), and
    the squared gradient by ``c E[f'²]``. In a residual stream these are added to one, times the square of the scale.

    Args:
        layers: how many, from 1 to 50; the one whose output is the start of the signal is not counted.
        c: squared norm of a row.
        slope: of the leaky ReLU, from 0 (ReLU) to 1 (none).
        centralize: whether rows have mean 0.
        block: one of `BLOCKS`.

    Raises:
        TypeError, ValueError: a value is out of its range.

    Example:
        >>> stack = signals(layers=12, c=2)
        >>> round(stack.forward, 3), stack.backward, round(stack.signal[-1], 3)
        (0.682, 1.0, 0.01)
    """
    if check_count("layers", layers, 1) > MOST:
        raise ValueError(f"layers must be at most {MOST}, got {layers}")
    if check_nonnegative("slope", slope) > 1:
        raise ValueError(f"slope must be at most 1, got {slope}")
    if block not in BLOCKS:
        raise ValueError(f"block must be one of {', '.join(BLOCKS)}, got {block!r}")
    check_positive("c", c)
    forward = c / leaky_relu_c(slope, check_bool("centralize", centralize))
    backward = c / leaky_relu_c(slope, centralize=False)
    if block != "plain":
        scale = 1.0 if block == "sum" else 1 / layers
        forward, backward = 1 + scale * forward, 1 + scale * backward
    at = range(layers + 1)
    return Signals(forward, backward, tuple(forward**n for n in at), tuple(backward ** (layers - n) for n in at))


def draw_signals(**settings: float | str | bool) -> Figure:
    """Draw both courses against the layer; the arguments are those of `signals` and of the explorable.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Example:
        >>> len(draw_signals(layers=20, block="scaled").axes[0].lines)
        2
    """
    stack = signals(**settings)  # type: ignore[arg-type]  # several types in one dict: checked by name there
    lines = {
        "signal, on its way up": (stack.signal, "magenta", "ours"),
        "gradient, on its way down": (stack.gradient, "teal", "bn"),
    }
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(5.0, 3.4))
        for label, (values, color, key) in lines.items():
            ax.plot(values, color=QUANTITIES[color], dashes=DASHES[key] or (None, None), label=label)
        ax.set(yscale="log", xlabel="layer", ylabel="relative to its start", xlim=(0, len(stack.signal) - 1))
        every = [math.log10(value) for values, *_ in lines.values() for value in values]
        low, high = min(-1, math.floor(min(every))), max(1, math.ceil(max(every)))
        ax.set_ylim(10.0**low, 10.0**high)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        fig.legend(loc="outside lower center", ncols=2)
    return fig
