"""Where a group of an optimizer keeps what a captured CUDA graph reads, and what the host reads without one."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def make_uncapturable(group: dict[str, Any], state: Mapping[Any, dict[str, Any]]) -> None:
    """Take what a captured step had on a GPU to the host, which is to read it without waiting."""
    if isinstance(group["lr"], Tensor) and group["lr"].device.type != "cpu":
        group["lr"] = float(group["lr"])
    for parameter in group["params"]:
        if "step" in state.get(parameter, {}):
            state[parameter]["step"] = state[parameter]["step"].cpu()


def make_capturable(group: dict[str, Any]) -> None:
    """Keep the rate of a capturable group on the device, where a captured graph reads it."""
    if not (group["capturable"] and group["params"]):
        return
    elsewhere = next((p for p in group["params"] if not p.is_cuda), None)
    if elsewhere is not None:
        raise ValueError(
            f"capturable is for parameters on a GPU, got one on {elsewhere.device}; move the model there before its "
            "optimizer is built"
        )
    # A tensor of its own: groups that were given one rate would share what one of them is set to.
    group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32).to(group["params"][0].device, copy=True)
