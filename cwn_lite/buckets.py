"""Many small weights projected together: a GPU then launches a kernel per shape, and Python calls torch as rarely."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from cwn_lite import blocks
from cwn_lite.projection import _nearest, project_
from cwn_lite.rows import layout

# Larger weights keep a device busy alone; copying them together would cost more than the calls that it saves.
SMALL = {"cpu": 1 << 14}
SMALL_ELSEWHERE = 1 << 18
# Values stacked at a time: what is allocated does not grow with the model.
MOST = 1 << 22


def project_modules_(modules: Iterable[nn.Module], c: float, *, centralize: bool, spherize: bool) -> None:
    """Project the weights of layers onto the constraint set, in place; the result is that of ``project_`` on each.

    Args:
        modules: Linear layers and convolutions.
        c: squared norm of each row.
        centralize: impose zero mean.
        spherize: impose the norm.
    """
    buckets: dict[tuple[object, ...], list[Tensor]] = defaultdict(list)
    for module in modules:
        weight = module.weight
        assert isinstance(weight, Tensor)
        if _stackable(weight, module):
            buckets[weight.shape, weight.dtype, weight.device].append(weight)
        else:
            project_(weight, c, centralize=centralize, spherize=spherize, **layout(module))
    for weights in buckets.values():
        for chunk in _chunks(weights):
            project_stacked_(chunk, c, centralize=centralize, spherize=spherize)


@torch.no_grad()
def project_stacked_(weights: list[Tensor], c: float, *, centralize: bool, spherize: bool) -> None:
    """Project weights of one shape, dtype and device in one go, in place.

    Args:
        weights: each ``(out, in / groups, *kernel)``.
        c: squared norm of each row.
        centralize: impose zero mean.
        spherize: impose the norm.

    Example:
        >>> twins = [torch.randn(8, 3, 3, 3), torch.randn(8, 3, 3, 3)]
        >>> project_stacked_(twins, 2.0, centralize=True, spherize=True)
        >>> all(bool((w.flatten(1).square().sum(1) - 2).abs().max() < 1e-5) for w in twins)
        True
    """
    rows = torch.stack(weights).flatten(2)
    if not (centralize and spherize and blocks.are_fast(rows) and blocks.project_block_(rows.flatten(0, 1), c)):
        rows = _nearest(rows, (2,), c, centralize, spherize)
    torch._foreach_copy_(weights, list(rows.view(len(weights), *weights[0].shape).unbind()))


def _stackable(weight: Tensor, module: nn.Module) -> bool:
    if hasattr(weight, "placements") or layout(module)["transposed"]:  # a DTensor holds a part of its rows
        return False
    return weight.numel() <= SMALL.get(weight.device.type, SMALL_ELSEWHERE)


def _chunks(weights: list[Tensor]) -> Iterator[list[Tensor]]:
    size = max(1, MOST // weights[0].numel())
    for start in range(0, len(weights), size):
        yield weights[start : start + size]
