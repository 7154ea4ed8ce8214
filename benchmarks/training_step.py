"""One training step of each method over that of a plain network: `python -m benchmarks.training_step`.

A step is forward, loss, backward, SGD with momentum and, for ours, the projection. "plain" is convolution and bias
with nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import timing
from cwn_lite.fuse import unfuse
from cwn_lite.lab.methods import build
from cwn_lite.lab.recipe import Recipe
from cwn_lite.lab.settings import CNN, CNN_QUARTER, RESNET_20, RESNET_110, WRN_28_10

NETWORKS = {
    "cnn": CNN,
    "cnn16": CNN_QUARTER,
    "resnet20": RESNET_20,
    "resnet110": RESNET_110,
    "wrn28x10": {**WRN_28_10, "residual_gamma": 1.0},
}
REFERENCE = "plain"
METHODS = (REFERENCE, "ours", "ours, not fused", "bn", "gn", "ws", "ws+gn", "wn")


def step(
    network: str, method: str, batch: int, device: torch.device, sigma: float, compiled: bool
) -> Callable[[], None]:
    """Return a training step on random images.

    Args:
        network: one of ``NETWORKS``.
        method: one of ``METHODS``.
        batch: images per step.
        device: bfloat16 autocast on CUDA, float32 on a CPU; channels-last on both.
        sigma: noise level of ours.
        compiled: let torch compile the network.
    """
    ours = method.startswith("ours")
    recipe = Recipe(name="b", method="ours" if ours else method, sigma=sigma if ours else 0.0, **NETWORKS[network])
    model, optimizer, _ = build(replace(recipe, lr=1e-3), 0, device)
    if method == "ours, not fused":
        unfuse(model)
    # The stubs of torch.compile return a plain callable.
    forward: nn.Module = torch.compile(model) if compiled else model  # type: ignore[assignment]
    x = torch.randn(batch, 3, 32, 32, device=device).contiguous(memory_format=torch.channels_last)
    y = torch.randint(10, (batch,), device=device)

    def once() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = F.cross_entropy(forward(x), y)
        loss.backward()
        optimizer.step()

    return once


def main() -> None:
    """Time the methods and print, and with ``--out`` write, what came out."""
    parser = timing.parser(__doc__, NETWORKS, ["cnn16", "resnet20"], rounds=12)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeat", type=int, default=1, help="steps per measurement")
    parser.add_argument("--sigma", type=float, default=0.1)
    parser.add_argument("--compile", action="store_true")
    given = parser.parse_args()

    def candidates(network: str, device: torch.device) -> dict[str, Callable[[], None]]:
        torch.compiler.reset()  # torch compiles some eight graphs of one wrapper, and then no more
        methods = dict.fromkeys([REFERENCE, *given.methods])
        return {m: step(network, m, given.batch, device, given.sigma, given.compile) for m in methods}

    timing.measure("training_step", given, candidates, REFERENCE, given.repeat)


if __name__ == "__main__":
    main()
