"""What has been run, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from .. import recipes
from .store import Result


def outcome(result: Result) -> str:
    """Return one line on how a run ended."""
    head = f"{result.name} seed {result.seed}, {result.data['name']}"
    if result.reason:
        return f"{head}: {result.status} at step {result.reason['step']}, {result.reason['reason']}"
    return f"{head}: test error {result.test_error:.2f} % after {len(result.curve)} epochs{pace(result)}"


def pace(result: Result) -> str:
    """Return how fast a run trained, its tests left out, and how much of that time it waited for data.

    Nothing of results that are older than these numbers.
    """
    known = [session for session in result.sessions if session.get("train_s")]
    seconds = sum(session["train_s"] for session in known)
    if not seconds:
        return ""
    samples, waited = (sum(session[key] for session in known) for key in ("samples", "data_s"))
    return f", {samples / seconds:.3g} samples per second, {100 * waited / seconds:.0f} % of it waiting for data"


def overview(results: Sequence[Result], runs: Path, pattern: str = "*") -> str:
    """Return one line per recipe with the outcome of each seed, then the results no recipe of today made.

    Args:
        results: all results.
        runs: folder of checkpoints; runs that were begun are named too.
        pattern: which recipes.

    Raises:
        LabError: no recipe matches.
    """
    by_folder: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_folder[f"{result.name}-{result.recipe_sha[:8]}"].append(result)
    lines = []
    for recipe in recipes.select(pattern):
        known = by_folder.get(recipe.directory, [])
        words = [_short(result) for result in known]
        words += [f"{seed} begun" for seed in _begun(runs, recipe.directory, known)]
        lines.append((recipe.name, ", ".join(words) or "–"))
    today = {recipe.directory for recipe in recipes.RECIPES.values()}
    if pattern == "*":
        for folder, known in sorted(by_folder.items()):
            if folder not in today:
                lines.append((folder, f"{', '.join(map(_short, known))} (not a recipe of this version)"))
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{width}}  {text}" for name, text in lines)


def _short(result: Result) -> str:
    number = f"{result.test_error:.2f} %" if result.status == "done" else result.status
    return f"seed {result.seed}: {number}"


def _begun(runs: Path, directory: str, known: Sequence[Result]) -> list[str]:
    finished = {f"seed-{result.seed}" for result in known}
    found = sorted(path.parent.name for path in (runs / directory).glob("seed-*/checkpoint"))
    return [name.replace("-", " ") for name in found if name not in finished]
