"""Learning curves as a still picture: mean over seeds and the band between the best and the worst."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from cwn_lite.figures.style import COLORS, DASHES, INK, LABELS, STYLE

METRICS = {"test_error": "test error (%)", "train_error": "train error (%)", "train_loss": "train loss"}
"""What a run's curve may hold and how its axis is called."""


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


def curves(runs: Sequence[Mapping[str, Any]], metric: str = "test_error") -> Figure:
    """Draw ``metric`` against epoch: one line per method, the mean over its seeds, with the range as a band.

    Args:
        runs: as the explorable ``learning-curves`` takes them: ``method``, ``label``, ``seed``, ``status`` and
            ``curve``, a list with ``epoch`` and the metrics.
        metric: a key of `METRICS`.

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
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots()
    ends: list[tuple[float, str]] = []
    last = 0.0
    for method in dict.fromkeys(run["method"] for run in runs):
        mine = [run for run in runs if run["method"] == method]
        table = over_epochs(mine, metric)
        if not table:
            continue
        epochs, means = [row["epoch"] for row in table], [row["mean"] for row in table]
        low, high = [row["min"] for row in table], [row["max"] for row in table]
        color = COLORS.get(method, INK)
        ax.fill_between(epochs, low, high, color=color, alpha=0.16, linewidth=0)
        ax.plot(epochs, means, color=color, dashes=DASHES.get(method) or (None, None))
        last = max(last, epochs[-1])
        ends.append((means[-1], mine[0].get("label", method)))
    bottom, top = ax.get_ylim()
    for (_, label), y in zip(ends, _spread([y for y, _ in ends], (top - bottom) / 18), strict=True):
        ax.annotate(label, (last, y), xytext=(6, 0), textcoords="offset points", va="center", annotation_clip=False)
    ax.set(xlabel="epoch", ylabel=METRICS[metric], xlim=(1, max(last, 2)))
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
