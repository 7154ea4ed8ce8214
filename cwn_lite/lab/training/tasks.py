"""From a recipe's wish and the data at hand to the task of a run."""

from __future__ import annotations

from pathlib import Path

import torch

from ..data import Clouds, Dataset, Photographs
from ..errors import LabError
from ..recipes import Recipe, parts
from .clouds import CloudTask
from .images import ImageTask
from .photographs import PhotographTask
from .task import Task
from .world import World


def make(
    recipe: Recipe,
    seed: int,
    data: Dataset | Photographs | Clouds,
    device: torch.device,
    world: World,
    policies: Path | None = None,
    workers: int | None = None,
) -> Task:
    """Return the recipe's task with this data, for one of the processes that share the run.

    Raises:
        LabError: data of another kind, or a recipe that so many processes cannot share.
    """
    wish, batch = recipe.data, recipe.training.batch
    task: Task
    if isinstance(wish, parts.Points) and isinstance(data, Clouds):
        task = CloudTask(wish, batch, seed, data, device, world=world)
    elif isinstance(wish, parts.Images) and isinstance(data, Dataset):
        task = ImageTask(wish, batch, seed, data, device, world=world, policies=policies)
    elif isinstance(wish, parts.Photographs) and isinstance(data, Photographs):
        task = PhotographTask(wish, batch, seed, data, device, world=world, workers=workers)
    else:
        raise LabError(f"{recipe.name} trains on {wish.kind}, and {data.name} is of another kind")
    _check_world(recipe, task.train_count, world)
    return task


def _check_world(recipe: Recipe, samples: int, world: World) -> None:
    if world.size == 1:
        return
    last = samples % recipe.training.batch or recipe.training.batch
    if last < 2 * world.size:
        raise LabError(f"{recipe.name}: {world.size} processes cannot share the {last} images of an epoch's last step")
    if world.sharded and recipe.training.clip:
        raise LabError(f"{recipe.name} clips gradients by the norms of whole vectors: run it without --shard")
    if isinstance(recipe.method, parts.CWO) and recipe.method.noise_per_sample:
        raise LabError(f"{recipe.name} draws noise per sample, which processes would draw alike: run it in one")
