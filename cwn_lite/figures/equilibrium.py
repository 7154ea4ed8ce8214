"""The length of a reparameterized row under SGD: the recursion, where it settles, and both as a still picture.

The loss does not change with the length ``r = ‖Pw‖`` of a row that is standardized, so its gradient is orthogonal to
``Pw`` and has the size ``G / r``. Everything here follows from that and Pythagoras. ``explorables`` holds the same
formulas for the figure that moves.
"""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cwn_lite.checks import check_nonnegative, check_number, check_positive
from cwn_lite.figures.style import COLORS, DASHES, INK, LABELS, STYLE

FADED = range(301, 3001)
"""The steps, counted from 1, in which a gradient that fades has ``fade`` times its size; then it returns."""

RANGES = {"length": (0.01, 100.0), "gradient": (0.01, 100.0), "angle": (0.01, 100.0)}
"""What the axes span, whatever the settings; as in ``explorables/equilibrium-plot.js``."""

_NAMES = {"length": "length $r$", "gradient": "gradient $G/r$", "angle": "angle per step (°)"}


def gradient_at(step: int, gradient: float, fade: float = 1.0) -> float:
    """Return ``G`` at a step: ``gradient``, and ``fade`` times as much in the steps `FADED`.

    Args:
        step: counted from 1.
        gradient: ``G``, the size that the gradient has at length 1; positive.
        fade: positive; 1 is a gradient of one size.

    Raises:
        ValueError: a value is out of its range.

    Example:
        >>> [gradient_at(step, 2.0, 0.01) for step in (300, 301, 3000, 3001)]
        [2.0, 0.02, 0.02, 2.0]
    """
    return check_positive("gradient", gradient) * (check_positive("fade", fade) if step in FADED else 1.0)


def norm_path(
    r0: float, *, lr: float, weight_decay: float, gradient: float, steps: int, fade: float = 1.0
) -> list[float]:
    """Return the length of the row before the first step and after each of ``steps`` steps of SGD.

    ``r₊² = (1 − αλ)² r² + α² G² / r²``: decay shortens the row, and the gradient stands at a right angle to it.

    Args:
        r0: first length, positive.
        lr: learning rate ``α``, positive.
        weight_decay: ``λ``, at least 0; ``αλ < 1``.
        gradient: ``G``, the size that the gradient has at length 1; positive.
        steps: how many, at least 0.
        fade: factor on the gradient in the steps `FADED`, positive.

    Returns:
        ``steps + 1`` lengths.

    Raises:
        ValueError: a value is out of its range.

    Example:
        >>> [round(r, 3) for r in norm_path(0.02, lr=0.1, weight_decay=0.0, gradient=1.0, steps=2)]
        [0.02, 5.0, 5.0]
    """
    keep = _keep(lr, weight_decay)
    check_positive("gradient", gradient)
    check_positive("fade", fade)
    if check_number("steps", steps) != int(steps) or steps < 0:
        raise ValueError(f"steps must be a whole number, 0 or more, got {steps}")
    path = [check_positive("r0", r0)]
    for step in range(1, int(steps) + 1):
        push = lr * gradient_at(step, gradient, fade)
        path.append(math.hypot(keep * path[-1], push / path[-1]))
    return path


def step_angle(length: float, *, lr: float, weight_decay: float, gradient: float) -> float:
    """Return the angle by which one step of SGD turns a row of this length, in radians.

    ``tan θ = αG / ((1 − αλ) r²)``

    A row whose length is held at ``√c`` by the constraint is turned by the same formula with ``r² = c`` and ``λ = 0``.

    Args:
        length: ``r``, positive.
        lr: learning rate ``α``, positive.
        weight_decay: ``λ``, at least 0; ``αλ < 1``.
        gradient: ``G``, the size that the gradient has at length 1; positive.

    Raises:
        ValueError: a value is out of its range.

    Example:
        >>> round(math.degrees(step_angle(0.02, lr=0.1, weight_decay=0.0, gradient=1.0)), 1)
        89.8
    """
    keep = _keep(lr, weight_decay)
    push = lr * check_positive("gradient", gradient)
    return math.atan2(push, keep * check_positive("length", length) ** 2)


def equilibrium(lr: float, weight_decay: float, gradient: float) -> tuple[float, float]:
    """Return the length at which decay and gradient balance, and the angle in radians by which a step turns there.

    ``r*⁴ = α² G² / (1 − (1 − αλ)²) ≈ α G² / 2λ`` and ``cos θ* = 1 − αλ``, so ``θ* ≈ √(2αλ)``: without ``G``.

    Args:
        lr: learning rate ``α``, positive.
        weight_decay: ``λ``, at least 0; ``αλ < 1``. Without decay there is no balance: ``(inf, 0.0)``.
        gradient: ``G``, the size that the gradient has at length 1; positive.

    Raises:
        ValueError: a value is out of its range.

    Example:
        >>> length, angle = equilibrium(0.1, 5e-4, 1.0)
        >>> round(length, 2), round(math.degrees(angle), 2)
        (3.16, 0.57)
    """
    _keep(lr, weight_decay)
    push = lr * check_positive("gradient", gradient)
    decay = lr * weight_decay
    if decay == 0:
        return math.inf, 0.0
    # 1 − (1 − αλ)² and arccos(1 − αλ), written so that a small αλ does not drown in the 1.
    return math.sqrt(push / math.sqrt(decay * (2 - decay))), 2 * math.asin(math.sqrt(decay / 2))


def steps_until(path: Sequence[float], length: float, within: float = 0.1) -> int | None:
    """Return after how many steps ``path`` is first within ``within · length`` of ``length``; ``None`` if never.

    Args:
        path: lengths, as `norm_path` returns them.
        length: where it goes, as `equilibrium` returns it; infinite is never reached.
        within: relative distance, at least 0.

    Raises:
        ValueError: ``within`` is negative.

    Example:
        >>> steps_until([4.0, 2.5, 2.1, 2.0], 2.0)
        2
    """
    check_nonnegative("within", within)
    if math.isinf(length):
        return None
    return next((step for step, r in enumerate(path) if abs(r - length) <= within * length), None)


def draw_equilibrium(
    *,
    lr: float = 0.1,
    weight_decay: float = 5e-4,
    r0: float = math.sqrt(2),
    gradient: float = 1.0,
    c: float = 2.0,
    steps: int = 10_000,
    fade: float = 1.0,
) -> Figure:
    """Draw length, gradient and angle of each step; the arguments are those of the explorable ``equilibrium``.

    Args:
        lr: learning rate ``α``, positive.
        weight_decay: ``λ``, at least 0; ``αλ < 1``.
        r0: length of the reparameterized row before the first step, positive.
        gradient: ``G``, the size that the gradient has at length 1; positive.
        c: squared norm of a row of CWO, positive.
        steps: how many, at least 2.
        fade: factor on the gradient in the steps `FADED`, positive.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Raises:
        ValueError: a value is out of its range.

    Example:
        >>> [ax.get_ylabel() for ax in draw_equilibrium().axes][0]
        'length $r$'
    """
    if steps < 2:
        raise ValueError(f"steps must be at least 2 for a line, got {steps}")
    fixed = math.sqrt(check_positive("c", c))
    path = norm_path(r0, lr=lr, weight_decay=weight_decay, gradient=gradient, steps=steps - 1, fade=fade)
    sizes = [gradient_at(step, gradient, fade) for step in range(1, steps + 1)]
    balance = [equilibrium(lr, weight_decay, size) for size in sizes]

    def turn(r: float, decay: float, size: float) -> float:
        return math.degrees(step_angle(r, lr=lr, weight_decay=decay, gradient=size))

    rows = {
        "length": (path, [r for r, _ in balance], [fixed] * steps),
        "gradient": (
            [size / r for size, r in zip(sizes, path, strict=True)],
            [size / r for size, (r, _) in zip(sizes, balance, strict=True)],
            [size / fixed for size in sizes],
        ),
        "angle": (
            [turn(r, weight_decay, size) for size, r in zip(sizes, path, strict=True)],
            [math.degrees(angle) for _, angle in balance],
            [turn(fixed, 0.0, size) for size in sizes],
        ),
    }
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(3, 1, sharex=True, figsize=(5.0, 6.6))
    for ax, (key, lines) in zip(axes, rows.items(), strict=True):
        _panel(ax, key, *lines)
    axes[-1].set(xlabel="step", xscale="log", xlim=(1, steps))
    return fig


def _panel(ax: Axes, key: str, values: list[float], level: list[float], fixed: list[float]) -> None:
    """Draw one quantity on its fixed axis; names stand right of the lines, in ink that both themes can read."""
    low, high = RANGES[key]
    last = len(values)
    steps = range(1, last + 1)
    if low < level[-1] < high:
        ax.plot(steps, level, color=INK, linewidth=1.2, dashes=(1.5, 2))
    ax.plot(steps, fixed, color=COLORS["ours"], dashes=DASHES["ours"] or (None, None))
    ax.plot(steps, values, color=COLORS["ws-scaled"], dashes=DASHES["ws-scaled"])
    ax.set(yscale="log", ylim=(low, high), ylabel=_NAMES[key])
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.minorticks_off()
    ends = {LABELS["ws-scaled"]: values[-1], "equilibrium": level[-1], LABELS["ours"]: fixed[-1]}
    seen = sorted((math.log10(v), name) for name, v in ends.items() if low <= v <= high)
    at, gap = [height for height, _ in seen], math.log10(high / low) / 9
    for i in range(1, len(at)):
        at[i] = max(at[i], at[i - 1] + gap)
    raised = sum(at) - sum(height for height, _ in seen)
    for height, (_, name) in zip(at, seen, strict=True):
        place = (last, 10 ** (height - raised / len(seen)))
        ax.annotate(name, place, xytext=(6, 0), textcoords="offset points", va="center", annotation_clip=False)


def _keep(lr: float, weight_decay: float) -> float:
    """Return ``1 − αλ``, or raise if that is not the factor of a decay."""
    decay = check_positive("lr", lr) * check_nonnegative("weight_decay", weight_decay)
    if decay >= 1:
        raise ValueError(f"lr * weight_decay must be below 1, got {lr} * {weight_decay} = {decay:g}; lower either")
    return 1 - decay
