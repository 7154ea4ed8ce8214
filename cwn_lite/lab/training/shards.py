"""Parameters that processes keep in parts (FSDP2): splitting a model, and its state whole for a checkpoint."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from cwn_lite.sharded import whole

from ..errors import LabError

T = TypeVar("T")
# What is gathered for a pass and given up again as one: the residual blocks of all our networks.
UNITS = ("BasicBlock", "Bottleneck", "Block", "WideBlock")


def split(model: nn.Module, device: torch.device, processes: int) -> None:
    """Let each process keep its rows of every parameter; a block's are gathered while it computes.

    Args:
        model: changed in place, on its device; optimizers are made afterwards.
        device: of the model.
        processes: how many there are.

    Raises:
        LabError: this torch is too old.
    """
    try:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard
    except ImportError as error:
        raise LabError(f"torch {torch.__version__} cannot shard by rows: it needs 2.6 or newer") from error

    mesh = init_device_mesh(device.type, (processes,))
    for module in list(model.modules()):
        if type(module).__name__ in UNITS:
            fully_shard(module, mesh=mesh)
    # Also what lies outside of blocks: after an evaluation it would stay whole.
    fully_shard(model, mesh=mesh, reshard_after_forward=True)


def gathered(state: T) -> T:
    """Return a state, of any nesting, with whole tensors in the place of parts; all processes must ask.

    Example:
        >>> gathered({"step": 3, "weight": torch.ones(2)})
        {'step': 3, 'weight': tensor([1., 1.])}
    """
    found: T = tree_map_only(Tensor, whole, state)
    return found


def load_model(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Load whole tensors into a model; of what it keeps in parts, each process takes its own."""
    own = model.state_dict()
    model.load_state_dict({name: _like(value, own.get(name)) for name, value in state.items()})


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimizer's state, as :func:`load_model` does a model's."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    kept = {
        index: {key: _like(value, parameters[index]) for key, value in values.items()}
        for index, values in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": kept})


def _like(value: Any, own: Any) -> Any:
    """Return the value in parts if its counterpart is, and has its shape: an optimizer also counts steps."""
    if not (hasattr(own, "placements") and isinstance(value, Tensor) and value.shape == own.shape):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(own.device), own.device_mesh, own.placements)
