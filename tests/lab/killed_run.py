"""Runs for test_kill.py, each in a process of its own that starts in no time.

Importing torch takes seconds, so one process imports it and forks a child for each line on stdin (a folder and
the seconds between checkpoints). It answers with the child's process id, and after a line "wait" with its exit
status; until then the id cannot pass on to another process.
"""

import contextlib
import os
import sys
from pathlib import Path

import numpy as np
import torch

from cwn_lite.lab import Options, Recipe, data, run
from cwn_lite.lab.cells.cell import FinishedError
from cwn_lite.lab.training import Trainer

RECIPE = Recipe.of(
    name="killed", data="digits", augment="crop4-flip", depth=3, width=8, method="ours", sigma=0.2,
    batch=16, epochs=4, decay_scale_bias=False, weight_decay=1e-3,
)  # fmt: skip


def toy() -> data.Dataset:
    rng = np.random.default_rng(0)
    split = (rng.integers(0, 17, (160, 1, 8, 8), dtype=np.uint8), rng.integers(0, 10, 160))
    return data.build(split, split, lambda sha: "toy")


def train(folder: Path, checkpoint_s: float) -> None:
    device = torch.device("cpu")
    options = Options(out=folder / "out", runs=folder / "runs", device=device, quiet=True, checkpoint_s=checkpoint_s)
    with contextlib.suppress(FinishedError):  # the blow fell between the result and the end of the process
        run(RECIPE, 0, toy(), options)


def serve() -> None:
    torch.set_num_threads(1)  # no pool of threads that a fork would lose
    trainer = Trainer(RECIPE, 0, toy())
    trainer.step()  # torch imports half of itself at the first step
    trainer.evaluate()
    print("ready", flush=True)
    for line in sys.stdin:
        folder, checkpoint_s = line.split()
        child = os.fork()
        if child == 0:
            train(Path(folder), float(checkpoint_s))
            os._exit(0)
        print(child, flush=True)
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
