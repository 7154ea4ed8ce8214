"""A few steps of a recipe in processes that are started for it: what several devices compute, on one machine.

In float64: in float32 a rounding now and then moves a value across the corner of a ReLU, and is none any more.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from .. import data
from ..recipes import Recipe
from .trainer import Trainer
from .world import World

Weights = dict[str, Tensor]


def trained(
    recipes: Sequence[Recipe], steps: int, *, processes: int = 2, shard: Sequence[str] = (), seed: int = 0
) -> list[Weights]:
    """Train recipes on embedded images for some steps on the CPU, in float64; return their weights and buffers.

    Args:
        recipes: each on data that needs no files.
        steps: of the optimizer; the batch of each is shared by the processes.
        processes: how many; 1 trains in this process.
        shard: names of the recipes whose weights each process keeps its rows of (FSDP2), instead of a copy of all
            (DistributedDataParallel).
        seed: of everything random.

    Returns:
        For each recipe its ``state_dict``, as all processes have it.

    Raises:
        ValueError: ``shard`` names no recipe.

    Example:
        >>> from cwn_lite.lab.recipes import get
        >>> (weights,) = trained([get("digits-ours")], 1, processes=1)
        >>> len(weights) > 10
        True
    """
    if unknown := set(shard) - {recipe.name for recipe in recipes}:
        raise ValueError(f"shard: no recipe is called {', '.join(sorted(unknown))}")
    if processes == 1:
        with in_float64():
            return [_train(recipe, steps, seed, World()) for recipe in recipes]
    with tempfile.TemporaryDirectory() as folder:
        arguments = (folder, list(recipes), steps, seed, processes, tuple(shard))
        spawn(_work, arguments, nprocs=processes)
        found: list[Weights] = torch.load(Path(folder, "weights"), weights_only=True)
    return found


@contextmanager
def in_float64() -> Iterator[None]:
    """Let models and batches that are made within have double precision.

    Example:
        >>> with in_float64():
        ...     torch.zeros(1).dtype
        torch.float64
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def distance(one: Weights, other: Weights) -> float:
    """Return the largest difference of a value, over the largest value of its tensor but at least a thousandth.

    Example:
        >>> distance({"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([1.5, 2.0])})
        0.25
    """
    pairs = [(one[name].double(), value.double()) for name, value in other.items()]
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-3)) for a, b in pairs)


def _train(recipe: Recipe, steps: int, seed: int, world: World) -> Weights:
    trainer = Trainer(recipe, seed, data.load(recipe.data.kind), "cpu", world)
    while trainer.global_step < steps:
        trainer.step()
    weights: Weights = trainer.state_dict()["model"]
    return weights


def _work(
    rank: int, folder: str, recipes: list[Recipe], steps: int, seed: int, processes: int, shard: tuple[str, ...]
) -> None:
    """Be one of the processes; the first writes what all have."""
    torch.set_num_threads(1)
    # They talk within this machine, also where its own name leads nowhere.
    loopback = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    if loopback:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback[0])
    dist.init_process_group("gloo", init_method=Path(folder, "store").as_uri(), rank=rank, world_size=processes)
    with in_float64():
        worlds = [World(rank, processes, recipe.name in shard) for recipe in recipes]
        weights = [_train(recipe, steps, seed, world) for recipe, world in zip(recipes, worlds, strict=True)]
    if rank == 0:
        torch.save(weights, Path(folder, "weights"))
    dist.destroy_process_group()
