"""Write the README's table of results from `book/results/`: `make readme`."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from cwn_lite.lab import results, stats

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
# All methods on one network, by how the recipes' names begin.
SHOWN = ("cnn-", "cnn16-", "resnet", "wrn28x10-", "grid20-")
NONE_YET = "No run has been recorded yet; `python -m cwn_lite.lab list` shows what can be run."


def table(folder: Path) -> str:
    """Return the results as a Markdown table: one row per recipe that compares methods, every seed counted.

    Hundreds of other runs answer questions of the chapters that print them; here is a line with their number.

    Args:
        folder: such as `book/results`.
    """
    recipes: dict[tuple[str, str], list[results.Result]] = defaultdict(list)
    found = results.load(folder)
    shown = [result for result in found if result.name.startswith(SHOWN)]
    for result in shown:
        recipes[result.name, result.recipe_sha].append(result)
    if not recipes:
        return NONE_YET
    rows = [_row(runs) for _, runs in sorted(recipes.items())]
    head = "| recipe | data | epochs | seeds | test error, % |\n| --- | --- | ---: | ---: | ---: |"
    note = f"\n{len(found) - len(shown)} more runs are in the chapters that ask for them."
    return "\n".join([head, *rows, *([note] if len(found) > len(shown) else [])])


def _row(runs: list[results.Result]) -> str:
    errors = [run.test_error for run in runs if run.final]
    cell = "–"
    if errors:
        summary = stats.summary(errors)
        cell = f"{summary.mean:.2f}"
        if len(errors) > 1:
            cell += f" ± {summary.std:.2f}"
    if lost := len(runs) - len(errors):
        cell += f" ({lost} diverged or failed)"
    first = runs[0]
    return f"| `{first.name}` | {first.data['name']} | {first.recipe['epochs']} | {len(runs)} | {cell} |"


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
