"""How the cost of a method grows with the batch and with the network: `python -m benchmarks.scaling`.

The 9-layer CNN, a training step of each method over that of the plain network: at one width with growing batches, and
at one batch with growing widths. The number of weights grows with the square of the width, that of activations with
the width and with the batch.
"""

from __future__ import annotations

from functools import partial

import torch

from benchmarks import timing
from benchmarks.networks import NORMALIZATIONS
from benchmarks.training_step import REFERENCE, step


def main() -> None:
    """Time the methods and print, and with ``--out`` write, what came out."""
    parser = timing.parser(__doc__, rounds=12)
    parser.add_argument("--batches", nargs="+", type=int, default=[2, 8, 32, 128])
    parser.add_argument("--widths", nargs="+", type=int, default=[8, 16, 32, 64])
    parser.add_argument("--width", type=int, default=16, help="while the batch grows")
    parser.add_argument("--batch", type=int, default=32, help="while the width grows")
    parser.add_argument("--methods", nargs="+", choices=NORMALIZATIONS, default=["ours", "ours, not fused", "bn"])
    given = parser.parse_args()
    cases = {f"batch {batch}": (batch, given.width) for batch in given.batches}
    cases |= {f"width {width}": (given.batch, width) for width in given.widths}

    def candidates(case: str, device: torch.device) -> dict[str, timing.Candidate]:
        batch, width = cases[case]
        methods = dict.fromkeys([REFERENCE, *given.methods])
        return {m: partial(step, "cnn", m, batch, device, width=width) for m in methods}

    timing.measure("scaling", given, cases, candidates, REFERENCE)


if __name__ == "__main__":
    main()
