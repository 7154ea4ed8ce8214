"""The recommended recipe beside others, as a table: of README and of the chapter that derives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..recipes import angular, get
from ..recipes.angular import RATES
from ..recipes.parts import Images
from .stats import summary
from .store import Result, of_recipe
from .tables import cell, check_one_kind

NETWORKS = {
    "cnn16": "9-layer CNN, a quarter of the paper's width",
    "resnet20": "ResNet-20",
    "resnet20-all": "ResNet-20 on all images, at half the side",
    "resnet18": "torchvision's `resnet18`",
}
"""Network of a final -> what it is called."""

# What a row is called -> the recipes of its cells, at a third of the rate, at it, at three times it; ``{}``: network.
ROWS: dict[str, tuple[str, ...]] = {
    "CWO as printed, SGD": ("", "angular-{}-printed", ""),
    "batch norm, SGD": ("", "angular-{}-bn-sgd", ""),
    "batch norm, AngularMuon": tuple(f"angular-{{}}-bn-lr{rate:g}" for rate in RATES),
    "**CWO recommended**": tuple(f"angular-{{}}-ours-lr{rate:g}" for rate in RATES),
}


SUMMARY_NETWORKS = {
    "cnn": "9-layer CNN of the paper",
    "resnet20": NETWORKS["resnet20"],
    "resnet18": NETWORKS["resnet18"],
}
"""The networks of the short table."""

# The rows of the short table; ``{}``: network.
SUMMARY = {
    "batch norm, SGD": "angular-{}-bn-sgd",
    "batch norm, AngularMuon": f"angular-{{}}-bn-lr{RATES[1]:g}",
    "CWO as printed, SGD": "angular-{}-printed",
    "**CWO recommended**": f"angular-{{}}-ours-lr{RATES[1]:g}",
}
# Kind of data -> what stands beside its numbers.
_DATA = {
    "cifar10": "CIFAR-10, JPEG quality 75",
    "cifar10-half": "CIFAR-10, JPEG quality 75, at half the side",
    "imagenette64": "Imagenette at 64 pixels",
}
# On the paper's CNN the printed recipe was trained with noise, at a level that the paper does not print.
_WITH_NOISE = {("cnn", "CWO as printed, SGD"): "cnn-ours-e30"}


def summary_recipe(network: str, method: str) -> str:
    """Return the name of the recipe of a row of the short table.

    Args:
        network: a key of ``SUMMARY_NETWORKS``.
        method: a key of ``SUMMARY``.

    Example:
        >>> summary_recipe("resnet20", "CWO as printed, SGD")
        'angular-resnet20-printed'
    """
    return _WITH_NOISE.get((network, method), SUMMARY[method].format(network))


def final_runs(root: Path | None = None) -> dict[str, list[Result]]:
    """Return name of a final -> its results, by what was trained: another family may have trained the same.

    Args:
        root: folder of results; ``None`` is the book's.

    Raises:
        LabError: a file is damaged.

    Example:
        >>> final_runs(Path("no-such-folder"))["angular-cnn16-printed"]
        []
    """
    known = [*angular.finals(), *map(get, _WITH_NOISE.values())]
    return {recipe.name: of_recipe(recipe, root) for recipe in known}


def finals_table(runs: Mapping[str, Sequence[Result]]) -> str:
    """Return a Markdown table of test errors in per cent, every seed counted, and a line on how they were trained.

    Args:
        runs: name of a recipe -> its results, as :func:`final_runs` has them.

    Example:
        >>> finals_table({}).splitlines()[2]
        "| 9-layer CNN, a quarter of the paper's width | CWO as printed, SGD | | not run yet | |"
    """
    lines = [
        "| network | method | a third of the rate | the rate | three times it |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for network, title in NETWORKS.items():
        for method, names in ROWS.items():
            cells = [f" {cell(runs.get(name.format(network), []))} " if name else " " for name in names]
            lines.append(f"| {title} | {method} |{'|'.join(cells)}|")
    settings = " ".join(map(_setting, NETWORKS))
    lines += [
        "",
        f"Test error in %, mean ± standard deviation (number of runs). {settings} The rate is {RATES[1]:g} rad per "
        "step for AngularMuon, and what the paper or custom says for SGD.",
    ]
    return "\n".join(lines)


def summary_table(runs: Mapping[str, Sequence[Result]], times: Mapping[str, Mapping[str, float]]) -> str:
    """Return a short Markdown table for a newcomer: error, lost runs and time of a step.

    Args:
        runs: name of a recipe -> its results, as :func:`final_runs` has them.
        times: network -> row -> time of a training step over the plain network's, where it was measured; without any
            the table has no such column.

    Raises:
        LabError: runs that do not belong together.

    Example:
        >>> summary_table({}, {"cnn": {"batch norm, SGD": 1.25}}).splitlines()[2]
        '| 9-layer CNN of the paper | batch norm, SGD | – | – | 1.25 |'
    """
    lines = ["| network | method | test error | diverged |", "| --- | --- | ---: | ---: |"]
    if times:
        lines = [f"{lines[0]} time of a step |", f"{lines[1]} ---: |"]
    for network, title in SUMMARY_NETWORKS.items():
        for method in SUMMARY:
            known = runs.get(summary_recipe(network, method), [])
            check_one_kind(known)
            lost = sum(run.status == "diverged" for run in known)
            ended = [run.test_error for run in known if run.status == "done"]
            errors = summary(ended) if ended else None
            error = "–" if errors is None else f"{errors.mean:.1f} %"
            if errors is not None and errors.n > 1:
                error = f"{errors.mean:.1f} ± {errors.std:.1f} %"
            ratio = times.get(network, {}).get(method)
            count = f"{lost} of {len(known)}" if known else "–"
            line = f"| {title} | {method} | {error} | {count} |"
            lines.append(f"{line} {'–' if ratio is None else f'{ratio:.2f}'} |" if times else line)
    return "\n".join(lines)


def summary_notes(runs: Mapping[str, Sequence[Result]], *, timed: bool = True) -> str:
    """Return what the short table leaves out: how its runs were trained, and what other rates do.

    Args:
        runs: as for :func:`summary_table`.
        timed: the table has times of a step.
    """
    time = " A step's time is over that of the same network without normalization, on two CPU cores." if timed else ""
    other = [
        run
        for network in NETWORKS
        for rate in (RATES[0], RATES[2])
        for run in runs.get(f"angular-{network}-ours-lr{rate:g}", [])
    ]
    lost = sum(run.status == "diverged" for run in other)
    behind, both = _behind(runs, RATES[2])
    settings = " ".join(map(_setting, SUMMARY_NETWORKS))
    return (
        f"Test error: mean ± standard deviation over the runs that ended. {settings}{time} As printed, "
        "the CNN was trained with noise, the residual networks without. The steps of AngularMuon, "
        f"which batch norm can take as well, turn weight rows by up to {RATES[1]:g} rad; at a third and at three times "
        f"that rate {lost} of {len(other)} runs of CWO recommended diverged. At three times that rate batch norm "
        f"makes fewer errors on {behind} of the {both} networks where both ran, mostly one seed each. The rates of SGD "
        "are the paper's or the usual ones, not searched."
    )


def _behind(runs: Mapping[str, Sequence[Result]], rate: float) -> tuple[int, int]:
    """Return on how many networks CWO recommended has more errors than batch norm at a rate, and how many have both."""
    found = []
    for network in NETWORKS:
        both = (runs.get(f"angular-{network}-{method}-lr{rate:g}", []) for method in ("ours", "bn"))
        ours, theirs = ([run.test_error for run in known if run.status == "done"] for known in both)
        if ours and theirs:
            found.append(summary(ours).mean > summary(theirs).mean)
    return sum(found), len(found)


def _setting(network: str) -> str:
    recipe = get(f"angular-{network}-ours-lr{RATES[1]:g}")
    assert isinstance(recipe.data, Images)
    count = recipe.data.train_images
    images = "all training images" if count is None else f"{count:,} training images"
    data = _DATA[recipe.data.kind]
    name = {**SUMMARY_NETWORKS, **NETWORKS}[network].partition(",")[0]
    return f"{name[0].upper()}{name[1:]}: {data}, {images}, {recipe.training.epochs} epochs."
