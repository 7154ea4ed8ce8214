"""What each of two processes does for `test_shared.py`; the results go to files, the assertions are made there."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from cwn_lite.lab import Recipe, data
from cwn_lite.lab.data import Dataset, select
from cwn_lite.lab.recipes.parts import Images
from cwn_lite.lab.training import Trainer, World, spawned

STEPS, PLACE = 22, 7  # both within an epoch of five steps
DEVICE = torch.device("cpu")


def recipe(method: str, **changes: Any) -> Recipe:
    """Return a residual network on digits; 100 of them and 24 a step, so that the last step of an epoch is short."""
    kind = {"sigma": 0.1, **changes} if method == "ours" and changes.get("steps") != "angular" else changes
    return Recipe.of(
        name="shared", data="digits", augment="none", train_images=100, net="resnet", depth=8, width=8, method=method,
        batch=24, epochs=10, lr=0.02, residual_gamma=0.5, **kind,
    )  # fmt: skip


def digits() -> Dataset:
    found = data.load("digits")
    assert isinstance(found, Dataset)
    few = select(found, Images(kind="digits", augment="none", validation=105))  # 105: halves of the test differ
    return few


def trained(wish: Recipe, images: Dataset, world: World | None = None, steps: int = STEPS, **state: Any) -> Trainer:
    """Return a trainer that took so many steps, from a state if one is given."""
    with spawned.in_float64():
        trainer = Trainer(wish, 0, images, DEVICE, world)
        if state:
            trainer.load_state_dict(state)
        while trainer.global_step < steps:
            trainer.step()
    return trainer


def main(rank: int, folder: str) -> None:
    """Train as process ``rank`` of two, with copies of the parameters and with parts of them."""
    from torch.distributed.tensor.debug import CommDebugMode

    torch.set_num_threads(1)
    loopback = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback[0])
    dist.init_process_group("gloo", init_method=Path(folder, "store").as_uri(), rank=rank, world_size=2)
    images, copies, parts = digits(), World(rank, 2), World(rank, 2, sharded=True)
    found: dict[str, Any] = {}
    for name, wish, world in (
        ("ours", recipe("ours"), copies),
        ("gn", recipe("gn"), copies),
        ("bn", recipe("bn"), copies),
        ("ours in parts", recipe("ours"), parts),
        ("bn in parts", recipe("bn"), parts),
        ("ours in pieces", recipe("ours", accumulate=3), copies),
        ("ours in parts and pieces", recipe("ours", accumulate=3), parts),
        ("angular in parts", recipe("ours", steps="angular"), parts),
    ):
        found[name] = trained(wish, images, world).state_dict()
    trainer = trained(recipe("ours"), images, parts, PLACE)
    held = [(p.to_local().numel(), p.numel()) for p in trainer.model.parameters()]
    found["share"] = sum(own for own, _ in held) / sum(whole for _, whole in held)
    assert trainer.constraint is not None
    with CommDebugMode() as listening:
        trainer.constraint.project()
    found["said while projecting"] = listening.get_total_counts()
    found["begun in parts"] = trainer.state_dict()
    found["begun as copies"] = trained(recipe("ours"), images, copies, PLACE).state_dict()
    alone = torch.load(Path(folder, "alone.bin"), weights_only=True)
    found["went on in parts"] = trained(recipe("ours"), images, parts, **alone).state_dict()
    found["went on as copies"] = trained(recipe("ours"), images, copies, **alone).state_dict()
    torch.save(found, Path(folder, f"rank-{rank}.bin"))
    dist.destroy_process_group()
