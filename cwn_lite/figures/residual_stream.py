"""What a residual stream carries forward and its gradient back: the twin of the explorable ``residual-stream``."""

import math
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from cwn_lite.checks import check_count, check_nonnegative
from cwn_lite.figures.style import COLORS, QUANTITIES, STYLE

BLOCKS = (2, 4, 8, 12, 15, 27, 54, 128)
"""The numbers of blocks that the figure knows; 8, 12, 15 and 54 are those of networks in the chapter."""


@dataclass(frozen=True)
class Stream:
    """Mean squares at the start of training, relative to the stream's at the input and its gradient's at the output.

    Attributes:
        forward: of the stream before each block, and behind the last.
        backward: of the gradient with respect to the stream at the same places.
        branch: of the gradient that the weights of one branch get; all branches get the same.
        together: of the gradient that the weights of all branches get.
        scale: of the gradient that the last scale of one branch gets.
        fair: the scale ``1 / √D``.
    """

    forward: tuple[float, ...]
    backward: tuple[float, ...]
    branch: float
    together: float
    scale: float
    fair: float


def residual_stream(*, blocks: int = 54, scale: float = 1.0) -> Stream:
    """Return what ``D`` blocks ``x + γ f(x)`` do, if ``f`` keeps the mean square and shares nothing with ``x``.

    Each block multiplies both by ``1 + γ²``, the stream on its way forward and the gradient on its way back. Branch
    ``b`` gets a squared gradient of ``γ² (1 + γ²)^b (1 + γ²)^(D − 1 − b)``, in which ``b`` drops out.

    Args:
        blocks: number of blocks ``D``, one of `BLOCKS`.
        scale: ``γ``, the start of the last scale of each branch, from 0 to 1.

    Raises:
        TypeError, ValueError: a value is out of its range.

    Example:
        >>> stream = residual_stream(blocks=4, scale=0.5)
        >>> round(stream.forward[-1], 3), round(stream.together, 3)
        (2.441, 1.953)
    """
    if check_count("blocks", blocks, 2) not in BLOCKS:
        raise ValueError(f"blocks must be one of {', '.join(map(str, BLOCKS))}, got {blocks}")
    if check_nonnegative("scale", scale) > 1:
        raise ValueError(f"scale must be at most 1, got {scale}")
    growth = 1 + scale**2
    others = growth ** (blocks - 1)
    forward = tuple(growth**b for b in range(blocks + 1))
    return Stream(
        forward=forward,
        backward=forward[::-1],
        branch=scale**2 * others,
        together=blocks * scale**2 * others,
        scale=others,
        fair=blocks**-0.5,
    )


def draw_residual_stream(**settings: float) -> Figure:
    """Draw the three mean squares against the block; the arguments are those of `residual_stream`.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Example:
        >>> draw_residual_stream(blocks=8).axes[0].get_yscale()
        'log'
    """
    stream = residual_stream(**settings)  # type: ignore[arg-type]  # two types in one dict: checked by name there
    blocks = len(stream.forward) - 1
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(5.0, 3.6))
        ax.plot(range(blocks + 1), stream.forward, color=QUANTITIES["magenta"], label="stream, forward")
        ax.plot(
            range(blocks + 1), stream.backward, color=QUANTITIES["teal"], dashes=(6, 2), label="its gradient, backward"
        )
        if stream.branch:
            middles = [b + 0.5 for b in range(blocks)]
            ax.plot(middles, [stream.branch] * blocks, ".", color=COLORS["plain"], label="gradient of each branch")
        low, high = decades(stream)
        ax.set(yscale="log", xlabel="blocks", ylabel="mean square", ylim=(10.0**low, 10.0**high))
        fig.legend(loc="outside lower center", ncols=2)
    return fig


def decades(stream: Stream) -> tuple[int, int]:
    """Return the powers of ten between which all is drawn."""
    lowest = min(1.0, stream.branch) if stream.branch else 1.0
    highest = max(stream.forward[-1], stream.branch, 10.0)
    return math.floor(math.log10(lowest)), math.ceil(math.log10(highest))
