"""Write the README's table of results from `book/results/`: `make readme`."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from cwn_lite.lab import results
from cwn_lite.lab.results import compare, contrasts
from cwn_lite.lab.results.finals import final_runs, summary_notes, summary_table

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
NONE_YET = "No run has been recorded yet; `python -m cwn_lite.lab list` shows what can be run."


def table(folder: Path) -> str:
    """Return the recommended recipe beside others as a Markdown table, and what it was chosen from.

    Args:
        folder: such as `book/results`.
    """
    found = results.load(folder)
    if not found:
        return NONE_YET
    runs: dict[str, list[results.Result]] = defaultdict(list)
    for result in found:
        runs[result.name].append(result)
    tried = {name: known for name, known in runs.items() if name.startswith("search-")}
    count = sum(map(len, tried.values()))
    ours, bn = (
        sum(result.method == method for known in tried.values() for result in known) for method in ("ours", "bn")
    )
    notes = [
        f"Before, on training images that were held out, {len(tried)} settings of all methods were tried in {count} "
        f"runs, {ours} of them of CWO and {bn} of batch norm. Short runs compare methods under equal conditions; they "
        "are not the paper's setting.",
        f"{len(found)} runs in all are recorded, most of them for the chapters that ask for them.",
    ]
    runs = final_runs(folder)
    known = times(folder.parent / "costs")
    return "\n\n".join([*in_short(found), summary_table(runs, known), summary_notes(runs, timed=bool(known)), *notes])


def in_short(found: list[results.Result]) -> list[str]:
    """Return how the recommended recipe stands beside batch norm with the same steps, in one paragraph if any."""
    beside = list(contrasts.compared(contrasts.by_recipe(found), ("recommended",), ("bn",)).values())
    as_one = compare.together(beside)
    if as_one is None:
        return []
    won, lost = (sum(c.favours() is word for c in beside) for word in (True, False))
    surely = as_one.p < 1 - compare.LEVEL
    stands = "ahead of" if as_one.mean < 0 else "behind"
    single = "no setting decides by itself"
    if won or lost:
        single = f"by themselves {won} favour CWO and {lost} batch norm"
    return [
        f"In short: CWO recommended is {stands if surely else 'not told apart from'} batch norm with the same steps: "
        f"{as_one.words()}, read as one test; {single}. [Should you use it?](book/verdict.ipynb) says when to take "
        "what."
    ]


def times(folder: Path) -> dict[str, dict[str, float]]:
    """Return network -> row -> time of a training step over the plain network's, of what was measured.

    Args:
        folder: such as `book/costs`.
    """
    file = folder / "recipe_step-cpu.json"
    if not file.exists():
        return {}
    ratios = json.loads(file.read_text(encoding="utf8"))["ratios"]
    return {network: {row: ratio["median"] for row, ratio in rows.items()} for network, rows in ratios.items()}


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
