"""What one training step moves between memory and arithmetic in one layer: plain, normalized, and CWO.

The twin of the explorable ``step-cost``: the same table of passes, the same bytes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from cwn_lite.checks import check_number
from cwn_lite.figures.style import COLORS, QUANTITIES, STYLE

VALUE = 4
"""Bytes of a value: float32."""


class Passes(NamedTuple):
    """How often an operation reads or writes all activations of the layer, and all its weights."""

    activations: int
    weights: int


PASSES = {
    # Forward: input and weight read, output written. Backward: input, weight and output gradient read, the gradients
    # of input and weight written.
    "convolution": Passes(5, 3),
    # Weight, gradient and momentum read, weight and momentum written.
    "sgd": Passes(0, 5),
    # Forward: input read for the statistics and again to be normalized, output written. Backward: input and output
    # gradient read for two sums and again for the input gradient, which is written.
    "bn": Passes(8, 0),
    # As batch norm with one read of each: the group of one sample is still in the cache when its statistics are known.
    "gn": Passes(5, 0),
    # Forward: x read, γx + β written. Backward: x and the gradient read for two sums, the gradient read again and that
    # of x written.
    "activation_scale": Passes(6, 0),
    # Forward: W read, γW written (2). Backward: the gradient times γ (2), the gradient times W (3), its sum for γ (1).
    "weight_scale": Passes(0, 8),
    # Mean (1), norm (1), subtract in place (2), rescale in place (2). They follow each other on a block of rows: where
    # that fits the cache, 2 of the 6 go to memory.
    "projection": Passes(0, 6),
}
"""Operation -> its passes in one training step, as eager PyTorch runs it on a CPU.

A weight of at most 65,536 values is projected together with others of its fan-in, which are copied there and back: 4
passes over weights more, which the figure leaves out.
"""

EXTRA_PASSES: dict[str, tuple[str, ...]] = {
    "plain": (),
    "fused": ("weight_scale", "projection"),
    "unfused": ("activation_scale", "projection"),
    "gn": ("gn",),
    "bn": ("bn",),
}
"""Method -> what it does on top of convolution and SGD, in the order of the bars."""

NAMES = {
    "plain": "plain",
    "fused": "CWO, fused",
    "unfused": "CWO, not fused",
    "gn": "group norm",
    "bn": "batch norm",
}
"""Method -> what stands beside its bar."""

_SEGMENTS = {
    "convolution": ("convolution", COLORS["plain"], ""),
    "sgd": ("SGD with momentum", QUANTITIES["olive"], "\\\\\\\\"),
    "per_activation": ("extra for each activation", QUANTITIES["teal"], "////"),
    "per_weight": ("extra for each weight", QUANTITIES["magenta"], "||||"),
}
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class StepBytes:
    """Bytes that one method reads and writes in one training step of the layer.

    Attributes:
        convolution: by the convolution, forward and backward.
        sgd: by SGD with momentum.
        per_activation: on top, by what passes over activations.
        per_weight: on top, by what passes over weights.
    """

    convolution: int
    sgd: int
    per_activation: int
    per_weight: int

    @property
    def extra(self) -> int:
        """What the method adds to plain."""
        return self.per_activation + self.per_weight

    @property
    def total(self) -> int:
        """Everything."""
        return self.convolution + self.sgd + self.extra


def step_bytes(channels: int = 64, kernel: int = 3, side: int = 8, batch: int = 128) -> dict[str, StepBytes]:
    """Return what a training step moves in one convolution layer of stride 1, for each method.

    Values are counted as read or written by each of torch's operations, whether or not a cache spares the way to
    memory: ``A = B C s²`` activations in and as many out, ``Q = C² k²`` weights. Terms of the size of ``C`` are left
    out. Kernel 1 on an image of side 1 is a fully connected layer; ``nn.Linear`` moves ``2 A`` more, which all methods
    share, since its backward pass is two products and a sum.

    Args:
        channels: number of channels ``C``, of input and output.
        kernel: side ``k`` of the kernel, odd.
        side: side ``s`` of the image, in pixels.
        batch: number of images ``B``.

    Returns:
        Bytes by method, in the order of `EXTRA_PASSES`.

    Raises:
        TypeError: a number is none.
        ValueError: a number is not whole or below 1, or ``kernel`` is even.

    Example:
        >>> moved = step_bytes(channels=64, kernel=3, side=8, batch=128)
        >>> moved["fused"].extra, moved["bn"].extra
        (2064384, 16777216)
        >>> round(moved["bn"].total / moved["plain"].total, 2)
        2.44
    """
    c, k, s, n = _checked(channels, kernel, side, batch)
    activations, weights = VALUE * n * c * s**2, VALUE * c * c * k**2

    def moved(*operations: str) -> tuple[int, int]:
        passes = [PASSES[name] for name in operations]
        return activations * sum(p.activations for p in passes), weights * sum(p.weights for p in passes)

    convolution, sgd = sum(moved("convolution")), sum(moved("sgd"))
    return {method: StepBytes(convolution, sgd, *moved(*extra)) for method, extra in EXTRA_PASSES.items()}


def break_even(channels: int = 64, kernel: int = 3, side: int = 8, batch: int = 128) -> tuple[int, float]:
    """Return batch × positions and 1.75 × fan-in: CWO, fused, moves less than batch norm where the first is larger.

    ``14 W < 8 A``  is  ``N S² > 1.75 C k²``.

    Args:
        channels: as in `step_bytes`; so are the others, and what is raised.
        kernel: side of the kernel.
        side: side of the image.
        batch: number of samples.

    Example:
        >>> break_even(channels=64, kernel=3, side=8, batch=128)
        (8192, 1008.0)
    """
    c, k, s, n = _checked(channels, kernel, side, batch)
    ours = sum(PASSES[name].weights for name in EXTRA_PASSES["fused"])
    return n * s**2, ours / PASSES["bn"].activations * c * k**2


def _checked(channels: int, kernel: int, side: int, batch: int) -> tuple[int, int, int, int]:
    for name, value in {"channels": channels, "kernel": kernel, "side": side, "batch": batch}.items():
        if check_number(name, value) != int(value) or value < 1:
            raise ValueError(f"{name} must be a whole number from 1, got {value}")
    if kernel % 2 == 0:
        raise ValueError(f"kernel must be odd, got {kernel}: the output is then as large as the input; use 1 or 3")
    return int(channels), int(kernel), int(side), int(batch)


def readable(size: float) -> str:
    """Return bytes for reading, with three digits and a decimal unit.

    Args:
        size: in bytes.

    Example:
        >>> readable(320), readable(16_777_216), readable(999_600)
        ('320 B', '16.8 MB', '1.00 MB')
    """
    unit = 0
    while float(f"{size:.3g}") >= 1000 and unit + 1 < len(_UNITS):
        size, unit = size / 1000, unit + 1
    digits = f"{size:#.3g}".rstrip(".")
    return f"{digits} {_UNITS[unit]}"


def draw_step_cost(**settings: int) -> Figure:
    """Draw one bar for each method; the arguments are those of `step_bytes` and of the explorable ``step-cost``.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Example:
        >>> [label.get_text() for label in draw_step_cost(batch=32).axes[0].get_yticklabels()][:2]
        ['plain', 'CWO, fused']
    """
    moved = step_bytes(**settings)
    largest = max(side.total for side in moved.values())
    unit = _UNITS.index(readable(largest).split()[1])
    with plt.rc_context({**STYLE, "hatch.linewidth": 0.6}):
        fig, ax = plt.subplots(figsize=(5.0, 4.0))
        left = [0.0] * len(moved)
        for part, (label, color, hatch) in _SEGMENTS.items():
            widths = [getattr(side, part) / 1000**unit for side in moved.values()]
            rows = [row for row, width in enumerate(widths) if width > 0]  # of an empty bar the edge would be seen
            ax.barh(
                rows,
                [widths[row] for row in rows],
                height=0.6,
                left=[left[row] for row in rows],
                facecolor=(color, 0.3),
                edgecolor=color,
                hatch=hatch,
                linewidth=1.2,
                label=label,
            )
            left = [a + b for a, b in zip(left, widths, strict=True)]
        for row, (end, side) in enumerate(zip(left, moved.values(), strict=True)):
            ratio = f", {side.total / moved['plain'].total:.2f} × plain" if side.extra else ""
            text = readable(side.total) + ratio
            ax.annotate(text, (end, row), xytext=(6, 0), textcoords="offset points", va="center")
        ax.set_yticks(range(len(moved)), [NAMES[method] for method in moved])
        ax.set(xlabel=f"{_UNITS[unit]} read and written in one training step", xlim=(0, 1.75 * largest / 1000**unit))
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        ax.tick_params(axis="y", length=0)
        fig.legend(loc="outside lower center", ncols=2)
    return fig
