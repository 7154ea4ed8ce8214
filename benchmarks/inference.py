"""Inference of folded networks over that of a plain one: `python -m benchmarks.inference`.

Folded, ours and batch norm are convolutions with bias, as the plain network is: the ratios should be 1.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import cwn_lite as cwn
from benchmarks import timing
from benchmarks.networks import NETWORKS, build, images

REFERENCE = "plain"


def networks(name: str, device: torch.device) -> dict[str, nn.Module]:
    """Return networks in eval mode: plain, and ours and batch norm before and after folding.

    Args:
        name: one of ``NETWORKS``.
        device: where to.

    Raises:
        RuntimeError: folding changed what a network computes.
    """
    made = {method: build(name, method, device)[0].eval() for method in ("plain", "ours", "bn")}
    folded = {
        "plain": made["plain"],
        "ours": made["ours"],
        "ours, folded": cwn.fold(made["ours"]),
        "bn": made["bn"],
        "bn, folded": fold_batchnorm(copy.deepcopy(made["bn"])),
    }
    x, _ = images(name, 2, device)
    with torch.inference_mode():
        for method in ("ours", "bn"):
            expected, got = made[method](x), folded[f"{method}, folded"](x)
            if not torch.allclose(got, expected, rtol=1e-4, atol=1e-5):
                raise RuntimeError(f"{name}, {method}: folding moved the output by {(got - expected).abs().max():.1e}")
    # torch's overloads of `to` do not know that a module takes a memory format.
    return {key: model.to(memory_format=torch.channels_last) for key, model in folded.items()}  # type: ignore[call-overload]


def fold_batchnorm(model: nn.Module) -> nn.Module:
    """Fold each batch norm into the convolution named before it, in place, with torch's own function."""
    for parent in list(model.modules()):
        for (name, layer), (after, norm) in itertools.pairwise(list(parent.named_children())):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(layer, norm))
                setattr(parent, after, nn.Identity())
    return model


def forward(model: nn.Module, x: torch.Tensor) -> Callable[[], object]:
    """Return one forward pass, bfloat16 autocast on CUDA."""

    def once() -> None:
        with torch.inference_mode(), torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
            model(x)

    return once


def main() -> None:
    """Time the networks and print, and with ``--out`` write, what came out."""
    parser = timing.parser(__doc__, rounds=24)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["cnn16", "resnet20"])
    parser.add_argument("--batch", type=int, default=128)
    given = parser.parse_args()

    def candidates(network: str, device: torch.device) -> dict[str, Callable[[], object]]:
        x, _ = images(network, given.batch, device)
        return {key: forward(model, x) for key, model in networks(network, device).items()}

    timing.measure("inference", given, given.networks, candidates, REFERENCE)


if __name__ == "__main__":
    main()
