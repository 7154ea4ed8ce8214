"""What each of two processes does for `test_distributed`; the results go to files, the assertions are made there."""

from __future__ import annotations

import copy
import os
import socket
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from nets import mixed_batch, mixed_net, train
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import cwn_lite as cwn

STEPS = 4


def plain_net() -> nn.Sequential:
    """No transposed convolution; row counts that two processes cannot share evenly: 1, 3 and 5."""
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, bias=False),
        cwn.ScaleBias(5),
        nn.Tanh(),
        nn.Conv2d(5, 1, 3, padding=1),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(16, 3),
        nn.Tanh(),
        nn.Linear(3, 3),
    ).double()


def fit(model: nn.Module, rows: slice = slice(None), steps: int = STEPS) -> cwn.Constraint:
    """Build optimizer and constraint, and train on a part of the batch."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    constraint = cwn.constrain(optimizer, model)
    x, y = mixed_batch()
    train(model, optimizer, (x[rows], y[rows]), steps)
    return constraint


def turn(model: nn.Module, layers: nn.Module, rows: slice = slice(None), every: int = 1) -> cwn.Constraint:
    """Train with orthogonalized steps, the groups being those of ``layers``."""
    optimizer = cwn.AngularMuon(
        cwn.angular_groups(layers, 0.05), orthogonalize_every=every, coherence_decay_every=every
    )
    constraint = cwn.constrain(optimizer, model)
    x, y = mixed_batch()
    train(model, optimizer, (x[rows], y[rows]), STEPS)
    return constraint


def refusal(model: nn.Module) -> str:
    try:
        cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model)
    except ValueError as error:
        return str(error)
    return "accepted"


def data_parallel(rows: slice) -> dict[str, Any]:
    torch.manual_seed(0)
    model = mixed_net()
    wrapped = DistributedDataParallel(copy.deepcopy(model))
    constraint = fit(wrapped, rows)
    fused = cwn.fuse(copy.deepcopy(model))
    fit(DistributedDataParallel(fused), rows)
    fit(model)
    turned, turned_alone = copy.deepcopy(model), copy.deepcopy(model)
    turn(DistributedDataParallel(turned), turned, rows)
    turn(turned_alone, turned_alone)
    noisy = cwn.set_noise(mixed_net(), 0.5)
    torch.manual_seed(dist.get_rank())  # each process draws noise of its own
    fit(DistributedDataParallel(noisy), rows)
    return {
        "names": constraint.names,
        "violation": constraint.violation(),
        "state": wrapped.module.state_dict(),
        "alone": model.state_dict(),
        "fused": fused.state_dict(),
        "fused layers": cwn.report(fused).names("fused"),
        "turned": turned.state_dict(),
        "turned alone": turned_alone.state_dict(),
        "noisy": noisy.state_dict(),
    }


def sharded(rows: slice) -> dict[str, Any]:
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor
    from torch.distributed.tensor.debug import CommDebugMode

    torch.manual_seed(0)
    model, alone = plain_net(), plain_net()
    alone.load_state_dict(model.state_dict())
    fused = cwn.fuse(copy.deepcopy(model))
    turned, turned_alone = copy.deepcopy(model), copy.deepcopy(model)
    held, held_alone = copy.deepcopy(model), copy.deepcopy(model)
    x, y = mixed_batch()

    # Alone, on the whole batch; the last two steps repeat the last gradient.
    single = torch.optim.SGD(alone.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    cwn.constrain(single, alone)
    train(alone, single, (x, y), STEPS)
    single.step(), single.step()

    # The same with each process on its half, listening to every collective outside the forward and backward pass.
    mesh = dist.init_device_mesh("cpu", (dist.get_world_size(),))
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    with CommDebugMode() as at_start:
        constraint = cwn.constrain(optimizer, model)
    train(model, optimizer, (x[rows], y[rows]), STEPS)
    fully_shard(fused, mesh=mesh)
    fit(fused, rows)
    fully_shard(turned, mesh=mesh)
    turned_constraint = turn(turned, turned, rows)
    turn(turned_alone, turned_alone)
    fully_shard(held, mesh=mesh)
    turn(held, held, rows, every=2)
    turn(held_alone, held_alone, every=2)
    after_training = {name: p.full_tensor() for name, p in model.named_parameters()}
    with CommDebugMode() as in_step:
        optimizer.step(), optimizer.step()
        constraint.violation()
    result = {
        "local rows": [p.to_local().shape[0] for p in (model[0].weight, model[3].weight, model[6].weight)],
        "communications": at_start.get_total_counts() + in_step.get_total_counts(),
        "names": constraint.names,
        "violation": constraint.violation(),
        "state": {name: p.full_tensor() for name, p in model.named_parameters()},
        "alone": alone.state_dict(),
        "after training": after_training,
        "fused": {name: p.full_tensor() for name, p in fused.named_parameters()},
        "turned": {name: p.full_tensor() for name, p in turned.named_parameters()},
        "turned alone": turned_alone.state_dict(),
        "turned violation": turned_constraint.violation(),
        "held": {name: p.full_tensor() for name, p in held.named_parameters()},
        "held alone": held_alone.state_dict(),
    }

    def placed(layer: nn.Module, placement: object) -> nn.Sequential:
        layer.weight = nn.Parameter(distribute_tensor(layer.weight.detach(), mesh, [placement]))
        return nn.Sequential(layer)

    result["columns"] = refusal(placed(nn.Conv2d(4, 4, 3), Shard(1)))
    result["transposed"] = refusal(placed(nn.ConvTranspose2d(4, 4, 3), Shard(0)))
    for name, layer, placement in (
        ("replicated", nn.Conv2d(4, 4, 3), Replicate()),
        ("transposed by outputs", nn.ConvTranspose2d(4, 4, 3), Shard(1)),
    ):
        whole = copy.deepcopy(layer)
        cwn.constrain(torch.optim.SGD(whole.parameters(), lr=0.1), nn.Sequential(whole))
        result[name] = refusal(model := placed(layer, placement))
        result[name + " equal"] = torch.equal(model[0].weight.full_tensor(), whole.weight)
    return result


def main(rank: int, folder: str) -> None:
    """Run all parts as process ``rank`` of two."""
    torch.set_num_threads(1)
    loopback = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback[0])
    dist.init_process_group("gloo", init_method=Path(folder, "store").as_uri(), rank=rank, world_size=2)
    rows = slice(8 * rank, 8 * rank + 8)
    torch.save({"ddp": data_parallel(rows), "fsdp": sharded(rows)}, Path(folder, f"rank-{rank}.bin"))
    dist.destroy_process_group()
