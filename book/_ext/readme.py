"""Write the README's table of results from `book/results/`: `make readme`."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from cwn_lite.lab import results
from cwn_lite.lab.angular_recipes import RATES
from cwn_lite.lab.recipes import get
from cwn_lite.lab.tables import cell

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
NONE_YET = "No run has been recorded yet; `python -m cwn_lite.lab list` shows what can be run."
NETWORKS = {
    "cnn16": "9-layer CNN, a quarter of the paper's width",
    "resnet20": "ResNet-20",
    "resnet18": "torchvision's `resnet18`",
}
# What a row is called -> the recipes of its cells, at a third of the rate, at it, at three times it; ``{}``: network.
ROWS: dict[str, tuple[str, ...]] = {
    "CWO as printed, SGD": ("", "angular-{}-printed", ""),
    "batch norm, SGD": ("", "angular-{}-bn-sgd", ""),
    "batch norm, AngularMuon": tuple(f"angular-{{}}-bn-lr{rate:g}" for rate in RATES),
    "**CWO recommended**": tuple(f"angular-{{}}-ours-lr{rate:g}" for rate in RATES),
}


def table(folder: Path) -> str:
    """Return the recommended recipe beside others as a Markdown table, every seed counted.

    Args:
        folder: such as `book/results`.
    """
    runs: dict[str, list[results.Result]] = defaultdict(list)
    found = results.load(folder)
    for result in found:
        runs[result.name].append(result)
    rows = [
        _row(network, method, [runs[name.format(network)] if name else None for name in names])
        for network in NETWORKS
        for method, names in ROWS.items()
    ]
    if not any(runs[name.format(network)] for network in NETWORKS for names in ROWS.values() for name in names):
        return NONE_YET
    head = "| network | method | a third of the rate | the rate | three times it |\n| --- | --- | ---: | ---: | ---: |"
    tried = [result for result in found if result.name.startswith("search-")]
    names = {result.name for result in tried}
    notes = [
        "Test error in %, mean ± standard deviation (number of runs). " + " ".join(map(_setting, NETWORKS)),
        f"The rate is {RATES[1]:g} rad per step for AngularMuon, and what the paper or custom says for SGD. It was "
        f"chosen on training images that were held out, among {len(names)} settings tried in {len(tried)} runs. Short "
        "runs compare methods under equal conditions; they are not the paper's setting.",
        f"{len(found)} runs in all are recorded, most of them for the chapters that ask for them.",
    ]
    return "\n".join([head, *rows, "", *(f"{note}\n" for note in notes)]).rstrip()


def _row(network: str, method: str, cells: list[list[results.Result] | None]) -> str:
    texts = ["" if runs is None else cell(runs) for runs in cells]
    return f"| {NETWORKS[network]} | {method} | {' | '.join(texts)} |".replace("|  |", "| |").replace("|  |", "| |")


def _setting(network: str) -> str:
    recipe = get(f"angular-{network}-ours-lr{RATES[1]:g}")
    images = "all training images" if recipe.train_images is None else f"{recipe.train_images:,} training images"
    data = {"cifar10": "CIFAR-10, JPEG quality 75", "imagenette64": "Imagenette at 64 pixels"}[recipe.data]
    name = NETWORKS[network].partition(",")[0]
    return f"{name[0].upper()}{name[1:]}: {data}, {images}, {recipe.epochs} epochs."


def renew(text: str, content: str) -> str:
    """Return the text with what stands between the markers replaced.

    Raises:
        ValueError: the markers are not there exactly once, in order.

    """
    before, found, rest = text.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not found or not closed or BEGIN in after or END in after:
        raise ValueError(f"the text must hold {BEGIN} and {END} once each, in this order")
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(renew(readme.read_text(encoding="utf8"), table(ROOT / "book" / "results")), encoding="utf8")
    print("wrote the table of README.md")
