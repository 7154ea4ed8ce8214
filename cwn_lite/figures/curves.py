"""Learning curves as a still picture: mean over seeds and the band between the best and the worst."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import is_color_like
from matplotlib.figure import Figure

from cwn_lite.figures.style import COLORS, DASHES, INK, LABELS, STYLE

METRICS = {"test_error": "test error (%)", "train_error": "train error (%)", "train_loss": "train loss"}
"""What a run's curve may hold and how its axis is called."""

MOST = 5
"""Methods that can be told apart in one plot."""


def curve_runs(results: Sequence[Any]) -> list[dict[str, Any]]:
    """Return results of the lab as the runs that `curves` and the explorable ``learning-curves`` draw.

    Args:
        results: objects with ``method``, ``seed``, ``status`` and ``curve``, one entry per finished epoch.

    Example:
        >>> from types import SimpleNamespace
        >>> result = SimpleNamespace(method="bn", seed=0, status="done", curve=[{"test_error": 50.0}])
        >>> curve_runs([result])[0]["curve"]
        [{'epoch': 1, 'test_error': 50.0}]
    """
    return [
        {
            "method": result.method,
            "label": LABELS.get(result.method, result.method),
            "color": COLORS.get(result.method, "currentColor"),
            "dash": list(DASHES.get(result.method, ())),
            "seed": result.seed,
            "status": result.status,
            "curve": [
                {"epoch": epoch, **{key: entry[key] for key in METRICS if key in entry}}
                for epoch, entry in enumerate(result.curve, 1)
            ],
        }
        for result in results
    ]


def curves(runs: Sequence[Mapping[str, Any]], metric: str = "test_error", *, together: bool | None = None) -> Figure:
    """Draw ``metric`` against epoch, the mean over a method's seeds with the range as a band.

    More methods than `MOST` get a small panel each, on the same axes, the best last mean first, with the other means
    faint behind it and the number of diverged runs in its heading.

    Args:
        runs: as the explorable ``learning-curves`` takes them: ``method``, ``label``, ``seed``, ``status`` and
            ``curve``, a list with ``epoch`` and the metrics.
        metric: a key of `METRICS`.
        together: whether all lines stand in one plot, whatever their number; by default up to `MOST` do.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Raises:
        ValueError: ``metric`` is unknown, or there are no runs.

    Example:
        >>> run = {"method": "ours", "label": "ours", "seed": 0, "curve": [{"epoch": 1, "test_error": 50.0}]}
        >>> curves([run]).axes[0].get_ylabel()
        'test error (%)'
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {sorted(METRICS)}, got {metric!r}")
    if not runs:
        raise ValueError("runs is empty; give at least one run with a curve")
    groups = [[run for run in runs if run["method"] == each] for each in dict.fromkeys(run["method"] for run in runs)]
    lines = [_Line(group, metric) for group in groups]
    if together is None:
        together = len(groups) <= MOST
    with plt.rc_context(STYLE):
        return (_one_plot if together else _panels)(lines, METRICS[metric])


class _Line:
    """One method: its mean over the epochs, and how it is drawn."""

    def __init__(self, runs: Sequence[Mapping[str, Any]], metric: str) -> None:
        first = runs[0]
        method, color = first["method"], first.get("color")
        self.label: str = first.get("label", method)
        self.color = color if is_color_like(color) else COLORS.get(method, INK)
        self.dashes = first.get("dash", DASHES.get(method)) or (None, None)
        self.epochs, self.means, self.low, self.high = (
            [row[key] for row in over_epochs(runs, metric)] for key in ("epoch", "mean", "min", "max")
        )
        self.last = (self.epochs[-1], self.means[-1]) if self.epochs else (0, 0)
        gone = sum(run.get("status", "done") != "done" for run in runs)
        self.note = f"{gone} of {len(runs)} diverged" if gone else ""

    def draw(self, ax: Axes) -> None:
        ax.fill_between(self.epochs, self.low, self.high, color=self.color, alpha=0.16, linewidth=0)
        ax.plot(self.epochs, self.means, color=self.color, dashes=self.dashes)


def _one_plot(lines: list[_Line], axis: str) -> Figure:
    """All lines in one plot, each with its name at its end."""
    fig, ax = plt.subplots()
    lines = [line for line in lines if line.epochs]
    for line in lines:
        line.draw(ax)
    last = max((line.epochs[-1] for line in lines), default=0)
    bottom, top = ax.get_ylim()
    places = _spread([line.means[-1] for line in lines], (top - bottom) / 15)
    for line, y in zip(lines, places, strict=True):
        ax.annotate(
            line.label, (last, y), xytext=(6, 0), textcoords="offset points", va="center", annotation_clip=False
        )
    ax.set(xlabel="epoch", ylabel=axis, xlim=(1, max(last, 2)))
    return fig


def _panels(lines: list[_Line], axis: str) -> Figure:
    """A panel for each line, two beside each other: a width at which a phone can show the letters."""
    ordered = sorted(lines, key=lambda line: (-line.last[0], line.last[1]))
    rows = math.ceil(len(ordered) / 2)
    fig, axes = plt.subplots(rows, 2, figsize=(4.2, 1.1 * rows + 0.4), sharex=True, sharey=True, squeeze=False)
    last = ordered[0].last[0]
    for line, ax in zip(ordered, axes.flat, strict=False):
        for other in ordered:
            if other is not line:
                ax.plot(other.epochs, other.means, color=INK, alpha=0.2, linewidth=0.8)
        line.draw(ax)
        ax.set_title(f"{line.label}\n{line.note}" if line.note else line.label)
        ax.set_xlim(1, max(last, 2))
    for ax in axes.flat[len(ordered) :]:
        ax.remove()
    for ax in axes.flat[max(len(ordered) - 2, 0) : len(ordered)]:
        ax.tick_params(labelbottom=True)
    fig.supylabel(axis, fontsize="medium")
    fig.supxlabel("epoch", fontsize="medium")
    return fig


def over_epochs(runs: Sequence[Mapping[str, Any]], metric: str) -> list[dict[str, float]]:
    """Return per epoch ``n``, ``mean``, ``std`` (of the sample, n − 1), ``min`` and ``max`` over the finite values.

    Args:
        runs: runs of one method.
        metric: a key of the entries of ``curve``.

    Example:
        >>> runs = [{"curve": [{"epoch": 1, "x": 1.0}]}, {"curve": [{"epoch": 1, "x": 3.0}]}]
        >>> [row["mean"] for row in over_epochs(runs, "x")]
        [2.0]
    """
    values: dict[float, list[float]] = {}
    for run in runs:
        for point in run["curve"]:
            value = point.get(metric)
            if value is not None and math.isfinite(value):
                values.setdefault(point["epoch"], []).append(value)
    rows = []
    for epoch, xs in sorted(values.items()):
        mean, std = statistics.fmean(xs), statistics.stdev(xs) if len(xs) > 1 else math.nan
        rows.append({"epoch": epoch, "n": len(xs), "mean": mean, "std": std, "min": min(xs), "max": max(xs)})
    return rows


def _spread(wanted: list[float], gap: float) -> list[float]:
    """Push labels apart, upwards from the lowest, until none is nearer than ``gap`` to the next."""
    placed = list(wanted)
    floor = -math.inf
    for i in sorted(range(len(wanted)), key=wanted.__getitem__):
        placed[i] = floor = max(wanted[i], floor + gap)
    return placed
