"""A grid of trainings, seed by seed: what each cell shows, and as a still picture. Twin of ``training-grid``."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cwn_lite.figures.style import LABELS, STYLE, ink_on

TRAINS = 50
"""A run trains if it ends with fewer than this per cent of the test images wrong."""

QUANTITIES = {
    "error": "mean test error (%) of the runs that train",
    "worst": "largest test error (%) of the runs that train",
    "trained": "runs that train",
    "diverged": "runs that diverge",
}
"""What a cell may show, by its name in the figure; the colour always tells how many runs train."""

SHADES = tuple(to_hex(color) for color in plt.get_cmap("cividis")([0.0, 0.4, 0.7, 1.0]))
"""The grounds of cells in which none of three runs trains, one, two, and all; as in ``training-grid.css``."""


def training_grid(runs: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return results of the lab as the cells that the explorable ``training-grid`` shows.

    Args:
        runs: method, a key of `LABELS` -> objects with ``recipe`` (a mapping), ``seed``, ``status``, ``test_error``.

    Returns:
        A cell for each recipe: ``method``, ``layers``, ``decay``, ``lr``, ``length`` (of the first rows, in units of
        He's), and the test errors of its ``runs`` in the order of their seeds, ``None`` for one that diverged.

    Example:
        >>> from types import SimpleNamespace
        >>> recipe = {"depth": 6, "weight_decay": 0.0, "lr": 0.1, "init_scale": 1.0}
        >>> run = SimpleNamespace(recipe=recipe, seed=0, status="done", test_error=3.0)
        >>> training_grid({"plain": [run]})[0]["runs"]
        [3.0]
    """
    cells: dict[tuple[Any, ...], dict[int, float | None]] = {}
    for method, results in runs.items():
        for run in results:
            key = (method, *(run.recipe[field] for field in ("depth", "weight_decay", "lr", "init_scale")))
            cells.setdefault(key, {})[run.seed] = run.test_error if run.status == "done" else None
    names = ("method", "layers", "decay", "lr", "length")
    return [
        {**dict(zip(names, key, strict=True)), "runs": [seeds[s] for s in sorted(seeds)]}
        for key, seeds in cells.items()
    ]


def cell_value(runs: Sequence[float | None], quantity: str) -> float | None:
    """Return what a cell shows; ``None`` where no run trains and an error is asked for.

    Args:
        runs: test errors in per cent, ``None`` for a run that diverged.
        quantity: a key of `QUANTITIES`.

    Raises:
        ValueError: the quantity is unknown.

    Example:
        >>> [cell_value([4.0, 8.0, None], quantity) for quantity in QUANTITIES]
        [6.0, 8.0, 2, 1]
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"quantity must be one of {', '.join(QUANTITIES)}, got {quantity!r}")
    good = [error for error in runs if error is not None and error < TRAINS]
    if quantity == "diverged":
        return sum(error is None for error in runs)
    if quantity == "trained":
        return len(good)
    if not good:
        return None
    return max(good) if quantity == "worst" else fmean(good)


def shade(runs: Sequence[float | None]) -> int:
    """Return the index of a cell's ground in `SHADES`: all runs train, none, more than half of them or fewer.

    Args:
        runs: as in `cell_value`.

    Example:
        >>> [shade(runs) for runs in ([None], [4.0, 90.0, 90.0], [4.0, 5.0, 90.0], [4.0])]
        [0, 1, 2, 3]
    """
    good, count = int(cell_value(runs, "trained") or 0), len(runs)
    return 0 if good == 0 else 3 if good == count else 1 + (2 * good > count)


def draw_training_grid(cells: Sequence[Mapping[str, Any]], methods: Sequence[str], quantity: str = "error") -> Figure:
    """Draw learning rate against first length, a column for each method, a row for each depth and decay.

    Args:
        cells: as `training_grid` returns them.
        methods: which, from left to right.
        quantity: a key of `QUANTITIES`.

    Returns:
        A figure for `show`, or for ``static=`` of `explorable`.

    Raises:
        ValueError: a method has no cells, or the quantity is unknown.

    Example:
        >>> cell = {"layers": 6, "decay": 0.0, "lr": 0.1, "length": 1.0, "runs": [3.0, 4.0, None]}
        >>> fig = draw_training_grid([{"method": "plain", **cell}], ["plain"])
        >>> [text.get_text() for text in fig.axes[0].texts]
        ['4']
    """
    chosen = [[cell for cell in cells if cell["method"] == method] for method in methods]
    for method, found in zip(methods, chosen, strict=True):
        if not found:
            raise ValueError(f"there is no cell of {method!r}")
    every = [cell for found in chosen for cell in found]
    settings = sorted({(cell["layers"], cell["decay"]) for cell in every})
    rates = sorted({cell["lr"] for cell in every})
    widths = [len({cell["length"] for cell in found}) for found in chosen]
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(
            len(settings),
            len(methods),
            figsize=(4.6, 1.9 * len(settings) + 0.3),
            sharey=True,
            squeeze=False,
            width_ratios=widths,
        )
        for i, (layers, decay) in enumerate(settings):
            line = axes[i]
            for ax, method, found in zip(line, methods, chosen, strict=True):
                here = [cell for cell in found if (cell["layers"], cell["decay"]) == (layers, decay)]
                _panel(ax, here, rates, sorted({cell["length"] for cell in found}), quantity)
                if i == 0:
                    ax.set_title(LABELS.get(method, method), loc="center")
            line[0].set_ylabel(f"{layers} layers,\n{f'decay {decay:g}' if decay else 'no decay'}\nrate")
        fig.supxlabel("length of the first rows (He = 1)", fontsize="medium")
    return fig


def _panel(
    ax: Axes, cells: Sequence[Mapping[str, Any]], rates: list[float], lengths: list[float], quantity: str
) -> None:
    """Paint the cells of one method, depth and decay."""
    for cell in cells:
        x, y, runs = lengths.index(cell["length"]), rates.index(cell["lr"]), cell["runs"]
        ground, value = SHADES[shade(runs)], cell_value(runs, quantity)
        ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=ground, edgecolor="#808080", linewidth=0.6))
        ax.text(x, y, "–" if value is None else f"{value:.0f}", ha="center", va="center", color=ink_on(ground))
    ax.set(xlim=(-0.5, len(lengths) - 0.5), ylim=(-0.5, len(rates) - 0.5))
    ax.set_xticks(range(len(lengths)), [f"{float(f'{length:.1g}'):g}" for length in lengths])
    ax.set_yticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    ax.grid(visible=False)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
