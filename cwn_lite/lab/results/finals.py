"""The recommended recipe beside others, as a table: of README and of the chapter that derives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..recipes import angular, get
from ..recipes.angular import RATES
from ..recipes.parts import Images
from .store import Result, of_recipe
from .tables import cell

NETWORKS = {
    "cnn16": "9-layer CNN, a quarter of the paper's width",
    "resnet20": "ResNet-20",
    "resnet18": "torchvision's `resnet18`",
    "cnn": "the paper's 9-layer CNN, on a GPU",
}
"""Network of a final -> what it is called."""

# What a row is called -> the recipes of its cells, at a third of the rate, at it, at three times it; ``{}``: network.
ROWS: dict[str, tuple[str, ...]] = {
    "CWO as printed, SGD": ("", "angular-{}-printed", ""),
    "batch norm, SGD": ("", "angular-{}-bn-sgd", ""),
    "batch norm, AngularMuon": tuple(f"angular-{{}}-bn-lr{rate:g}" for rate in RATES),
    "**CWO recommended**": tuple(f"angular-{{}}-ours-lr{rate:g}" for rate in RATES),
}


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
    return {recipe.name: of_recipe(recipe, root) for recipe in angular.finals()}


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


def _setting(network: str) -> str:
    recipe = get(f"angular-{network}-ours-lr{RATES[1]:g}")
    assert isinstance(recipe.data, Images)
    count = recipe.data.train_images
    images = "all training images" if count is None else f"{count:,} training images"
    data = {"cifar10": "CIFAR-10, JPEG quality 75", "imagenette64": "Imagenette at 64 pixels"}[recipe.data.kind]
    name = NETWORKS[network].partition(",")[0]
    return f"{name[0].upper()}{name[1:]}: {data}, {images}, {recipe.training.epochs} epochs."
