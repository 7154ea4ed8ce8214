"""Inference of folded networks over that of a plain one: `python -m benchmarks.inference`.

Folded, ours and batch norm are convolutions with bias, as the plain network is: the ratios should be 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import cwn_lite as cwn
from benchmarks import timing
from benchmarks.networks import NETWORKS, build, images

REFERENCE = "plain"
CANDIDATES = (REFERENCE, "ours", "ours, folded", "bn", "bn, folded")


def network(name: str, method: str, device: torch.device) -> nn.Module:
    """Return a network in eval mode, folded where the method says so.

    Args:
        name: one of ``NETWORKS``.
        method: one of ``CANDIDATES``.
        device: where to.

    Raises:
        RuntimeError: folding changed what the network computes.
    """
    trained, _, folded = method.partition(", ")
    model, _ = build(name, trained, device)
    model.eval()
    if not folded:
        return model
    x, _ = images(name, 2, device)
    with torch.inference_mode():
        expected = model(x)
        model = cwn.fold(model) if trained == "ours" else fold_batchnorm(model)
        moved = float((model(x) - expected).abs().max() / expected.abs().max())
    if moved > 1e-4:
        raise RuntimeError(f"{name}, {method}: folding moved the output by {moved:.1e} of its size")
    # torch's overloads of `to` do not know that a module takes a memory format.
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def fold_batchnorm(model: nn.Module) -> nn.Module:
    """Fold each batch norm into the convolution named before it, in place, with torch's own function."""
    for parent in list(model.modules()):
        for (name, layer), (after, norm) in itertools.pairwise(list(parent.named_children())):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(layer, norm))
                setattr(parent, after, nn.Identity())
    return model


def forward(name: str, method: str, batch: int, device: torch.device) -> Callable[[], object]:
    """Return one forward pass, bfloat16 autocast on CUDA.

    Args:
        name: one of ``NETWORKS``.
        method: one of ``CANDIDATES``.
        batch: number of images.
        device: where to.
    """
    model = network(name, method, device)
    x, _ = images(name, batch, device)

    def once() -> None:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            model(x)

    return once


def main() -> None:
    """Time the networks and print, and with ``--out`` write, what came out."""
    parser = timing.parser(__doc__, rounds=24)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["cnn16", "resnet20"])
    parser.add_argument("--batch", type=int, default=128)
    given = parser.parse_args()

    def candidates(name: str, device: torch.device) -> dict[str, timing.Candidate]:
        return {method: partial(forward, name, method, given.batch, device) for method in CANDIDATES}

    timing.measure("inference", given, given.networks, candidates, REFERENCE)


if __name__ == "__main__":
    main()
