"""One training step of each method over that of a plain network: `python -m benchmarks.training_step`.

A step is forward, loss, backward, SGD with momentum and, for ours, the projection. "plain" is convolution and bias
with nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from benchmarks import timing
from benchmarks.networks import NETWORKS, NORMALIZATIONS, build, images, one_step

REFERENCE = "plain"


def step(
    network: str,
    method: str,
    batch: int,
    device: torch.device,
    *,
    sigma: float = 0.1,
    width: int | None = None,
    compiled: bool = False,
    graph: bool = False,
) -> Callable[[], object]:
    """Return a training step on random images, bfloat16 autocast on CUDA and float32 on a CPU.

    Args:
        network: one of ``NETWORKS``.
        method: one of ``NORMALIZATIONS``.
        batch: images per step.
        device: where to.
        sigma: noise level of ours.
        width: of the first layers of a CIFAR network; its own without.
        compiled: let torch compile the network, and on a GPU the projection.
        graph: compile, and capture the whole step as one CUDA graph, which spares the host all calls.
    """
    compiled = compiled or graph
    model, optimizer = build(network, method, device, sigma=sigma, width=width, compiled=compiled)
    # The stubs of torch.compile return a plain callable.
    forward: nn.Module = torch.compile(model) if compiled else model  # type: ignore[assignment]
    x, y = images(network, batch, device)
    once = one_step(forward, optimizer, x, y)
    return timing.captured(once, device) if graph else once


def main() -> None:
    """Time the methods and print, and with ``--out`` write, what came out."""
    parser = timing.parser(__doc__, rounds=12)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["cnn16", "resnet20"])
    parser.add_argument("--methods", nargs="+", choices=NORMALIZATIONS, default=list(NORMALIZATIONS))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--sigma", type=float, default=0.1)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--graph", action="store_true", help="compile, and capture the whole step as a CUDA graph")
    given = parser.parse_args()
    given.compile |= given.graph

    def candidates(network: str, device: torch.device) -> dict[str, timing.Candidate]:
        torch.compiler.reset()  # torch compiles some eight graphs of one wrapper, and then no more
        settings = {"sigma": given.sigma, "compiled": given.compile, "graph": given.graph}
        methods = dict.fromkeys([REFERENCE, *given.methods])
        return {m: partial(step, network, m, given.batch, device, **settings) for m in methods}

    timing.measure("training_step", given, given.networks, candidates, REFERENCE, anew=not given.compile)


if __name__ == "__main__":
    main()
