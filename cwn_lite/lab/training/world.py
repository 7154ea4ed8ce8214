"""One run on several devices: each process takes its part of every batch (torchrun, DistributedDataParallel)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import LabError


class ToldError(LabError):
    """What the leader of the processes refused, and has said already."""


@dataclass(frozen=True)
class World:
    """Which process this is, and of how many; alone, every method does nothing at no cost.

    Attributes:
        rank: 0 leads: it alone holds the lock, writes checkpoints and the result.
        size: number of processes.
        sharded: whether each keeps its rows of all parameters (FSDP2) instead of a copy of them.
    """

    rank: int = 0
    size: int = 1
    sharded: bool = False

    @property
    def leads(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def part(self, n: int) -> slice:
        """Return this process's share of ``n`` images: equal parts, the first ones larger by one where needed.

        Example:
            >>> [World(rank, 3).part(8) for rank in range(3)]
            [slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]
        """
        small, larger = divmod(n, self.size)
        start = self.rank * small + min(self.rank, larger)
        return slice(start, start + small + (self.rank < larger))

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        if self.size == 1:
            return tensor
        summed = tensor.clone()
        dist.all_reduce(summed)
        return summed

    def largest(self, tensor: Tensor) -> Tensor:
        """Return the elementwise maximum of a tensor over all processes."""
        if self.size == 1:
            return tensor
        found = tensor.clone()
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return found

    def any(self, flag: bool, device: torch.device) -> bool:
        """Return whether the flag is set in any process; all of them must ask at the same step."""
        return flag if self.size == 1 else bool(self.largest(torch.tensor(int(flag), device=device)))

    def tell(self, refusal: str | None) -> str | None:
        """Return the leader's refusal, ``None`` if it has none: all go on or none does."""
        if self.size == 1:
            return refusal
        said = [refusal]
        dist.broadcast_object_list(said, src=0)
        return said[0]

    def share(self, found: Any) -> Any:
        """Return what the leader found, whatever it is; the others' is not looked at."""
        if self.size == 1:
            return found
        box = [found]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Return the module to call in training: gradients are averaged over the processes."""
        if self.size == 1 or self.sharded:  # a sharded model averages by itself
            return model
        return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)

    @contextmanager
    def adding(self, network: Any) -> Iterator[None]:
        """Let gradients add up in each process; the next backward pass outside of this shares their sum.

        Args:
            network: what :meth:`wrap` returned.
        """
        if isinstance(network, DistributedDataParallel):
            with network.no_sync():
                yield
        elif self.sharded:
            network.set_requires_gradient_sync(False)
            yield
            network.set_requires_gradient_sync(True)
        else:
            yield

    def share_buffers(self, model: nn.Module) -> None:
        """Give all processes the leader's buffers, for instance its running statistics."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)


def told(name: str, default: int, least: int, most: int) -> int:
    """Return a whole number from the environment, where torchrun leaves its numbers; empty counts as unset.

    Args:
        name: of the variable.
        default: what it is where it is unset.
        least: smallest value that makes sense.
        most: largest one.

    Raises:
        LabError: it is set to anything else.

    Example:
        >>> told("NO_SUCH_VARIABLE", 1, 1, 8)
        1
    """
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        expected = f"a number from {least} to {most}" if most > least else f"{least} beside a WORLD_SIZE of 1"
        raise LabError(f"{name}={text!r} in the environment: expected {expected}; unset it, or let torchrun set it")
    return int(text)


def processes() -> tuple[int, int]:
    """Return rank and number of the processes that torchrun started, ``(0, 1)`` without it.

    Raises:
        LabError: the variables that torchrun sets are none of its making: not numbers, or only part of them.
    """
    size = told("WORLD_SIZE", 1, 1, 10**6)
    rank = told("RANK", 0, 0, size - 1)
    told("LOCAL_RANK", 0, 0, size - 1)
    if size > 1:
        missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
        if missing:
            way_out = "start with `torchrun -m cwn_lite.lab run ...`, or unset WORLD_SIZE for a run of one process"
            raise LabError(f"WORLD_SIZE={size} in the environment without {', '.join(missing)}: {way_out}")
        told("MASTER_PORT", 0, 1, 65535)
    return rank, size


def follows() -> bool:
    """Return whether torchrun started this process to follow another; whatever the variables hold, it has an answer."""
    rank, size = os.environ.get("RANK", ""), os.environ.get("WORLD_SIZE", "")
    return rank.isdigit() and size.isdigit() and 0 < int(rank) < int(size)


@contextmanager
def joined(device: torch.device, *, shard: bool = False) -> Iterator[tuple[World, torch.device]]:
    """Join the processes that torchrun started; yield the world and this process's device.

    Args:
        device: kind of the device; on CUDA each process of a machine takes its own.
        shard: each process keeps its rows of all parameters.

    Raises:
        LabError: more processes than devices, one process and nothing to shard, variables as :func:`processes` refuses
            them, or the others of the processes cannot be reached.
    """
    size = processes()[1]
    if size == 1:
        if shard:
            raise LabError("--shard: one process has nobody to share with; start several with torchrun")
        yield World(), device
        return
    if device.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            count = torch.cuda.device_count()
            raise LabError(
                f"torchrun started process {local + 1} here, and torch sees {count} GPUs: --nproc-per-node {count}"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        reason = str(error).partition("\n")[0]
        raise LabError(f"the {size} processes of WORLD_SIZE do not meet at {where} ({reason}); use torchrun") from error
    try:
        yield World(dist.get_rank(), size, shard), device
    finally:
        dist.destroy_process_group()
