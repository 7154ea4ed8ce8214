"""Ideas around the paper and since, side by side: `python -m benchmarks.since_2021 --out book/since/digits-cpu.json`.

Each idea chooses its rate on training images that are held out: one seed, lowest error, of equal ones the smallest.
Then it trains on all training images with other seeds, and only then the test set is looked at.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from cwn_lite.lab.data import load
from cwn_lite.lab.data.dataset import Dataset
from cwn_lite.lab.results import provenance
from cwn_lite.lab.since import IDEAS, Setting, train

SETTING = Setting()
HELD_OUT = 270
SEARCH_SEED = 100
FURTHER = 3


def search(name: str, data: Dataset, setting: Setting = SETTING) -> dict[str, float]:
    """Return rate -> error in % on the held-out images.

    The rates are those of the idea. While the best one lies at an end, the next beyond it is tried, three times in all.

    Args:
        name: of the idea.
        data: what to train on.
        setting: what all ideas share.
    """
    kept = replace(setting, held_out=HELD_OUT)

    def error(lr: float) -> float:
        return train(name, lr, data, SEARCH_SEED, kept).error

    found = {f"{lr:g}": error(lr) for lr in IDEAS[name].rates}
    for _ in range(FURTHER):
        rates = sorted(map(float, found))
        best = chosen(found)
        if best not in (rates[0], rates[-1]):
            break
        lr = float(f"{best / 3 if best == rates[0] else 3 * best:.2g}")
        found[f"{lr:g}"] = error(lr)
    return found


def chosen(errors: dict[str, float]) -> float:
    """Return the rate with the lowest error, of equal ones the smallest.

    Args:
        errors: rate -> error in %.

    Example:
        >>> chosen({"0.1": 5.0, "0.03": 5.0, "0.3": 9.0})
        0.03
    """
    return min(map(float, errors), key=lambda lr: (errors[f"{lr:g}"], lr))


def finals(name: str, lr: float, data: Dataset, seeds: int, setting: Setting = SETTING) -> list[dict[str, Any]]:
    """Return one record for each seed: test error, training error, whether it diverged.

    Args:
        name: of the idea.
        lr: rate of its rows.
        data: what to train and test on.
        seeds: how many, from 0.
        setting: what all ideas share.
    """
    runs = []
    for seed in range(seeds):
        run = train(name, lr, data, seed, setting)
        runs.append({"seed": seed, "error": run.error, "train_error": run.train_error, "diverged": run.diverged})
    return runs


def main() -> None:
    """Search, then judge; the file grows idea by idea, and what is in it already is not run again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--ideas", nargs="+", choices=list(IDEAS), default=list(IDEAS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = load("digits")
    assert isinstance(data, Dataset)
    content: dict[str, Any] = {
        "benchmark": "since_2021",
        "settings": {**asdict(SETTING), "held_out": HELD_OUT, "search_seed": SEARCH_SEED, "seeds": given.seeds},
        "data": data.record,
        **provenance.source(),
        "env": provenance.environment(torch.device("cpu")),
        "ideas": {},
    }
    if given.out.exists():
        before = json.loads(given.out.read_text(encoding="utf8"))
        same = all(before[key] == content[key] for key in ("settings", "data", "library_sha"))
        content["ideas"] = before["ideas"] if same else {}
    for name in given.ideas:
        if name in content["ideas"]:
            continue
        begun = time.perf_counter()
        found = search(name, data)
        lr = chosen(found)
        runs = finals(name, lr, data, given.seeds)
        content["ideas"][name] = {"search": found, "lr": lr, "runs": runs}
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf8")
        errors = " ".join(f"{run['error']:.1f}" for run in runs)
        print(f"{name:14} lr {lr:g}: {errors}  ({time.perf_counter() - begun:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
