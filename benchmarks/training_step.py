"""One training step of each method over that of a plain network: `python -m benchmarks.training_step`.

A step is forward, loss, backward, SGD with momentum and, for ours, the projection. "plain" is convolution and bias
with nothing behind.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.timing import Ratio, ratios, table, write
from cwn_lite.fuse import unfuse
from cwn_lite.lab.methods import build
from cwn_lite.lab.recipe import Recipe
from cwn_lite.lab.run import pick_device
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["cnn16", "resnet20"])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--repeat", type=int, default=1, help="steps per measurement")
    parser.add_argument("--sigma", type=float, default=0.1)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, help="JSON file")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = pick_device(given.device)
    methods = list(dict.fromkeys([REFERENCE, *given.methods]))
    found: dict[str, dict[str, Ratio]] = {}
    for network in given.networks:
        torch.compiler.reset()  # torch compiles some eight graphs of one wrapper, and then no more
        steps = {m: step(network, m, given.batch, device, given.sigma, given.compile) for m in methods}
        found[network] = ratios(steps, REFERENCE, device, rounds=given.rounds, repeat=given.repeat)
        print(table(network, found[network], REFERENCE), flush=True)
    if given.out:
        settings = {key: value for key, value in vars(given).items() if key != "out"} | {"device": device.type}
        write(given.out, "training_step", settings, found)


if __name__ == "__main__":
    main()
