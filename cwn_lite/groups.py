"""Parameter groups: which parameters decay."""

from typing import Any

from torch import nn

from cwn_lite.checks import check_module, check_nonnegative
from cwn_lite.layers import ScaleBias

_NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)


def param_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return two groups for an optimizer: weights that decay; scales, norms and biases that do not.

    The paper applies no decay to ``γ`` and ``β``. Constrained weights may decay: the projection undoes all but a
    factor on the learning rate, ``1 / (1 − αλ)`` without momentum.

    Args:
        model: its trainable parameters are shared out, each once.
        weight_decay: the decay ``λ`` of the first group, at least 0.

    Returns:
        ``[{"params", "weight_decay": λ}, {"params", "weight_decay": 0.0}]``.

    Raises:
        TypeError: ``model`` is not a module, or ``weight_decay`` no number.
        ValueError: ``weight_decay`` is negative or not finite.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), ScaleBias(3))
        >>> [(len(g["params"]), g["weight_decay"]) for g in param_groups(model, 1e-3)]
        [(1, 0.001), (3, 0.0)]

    Reference: Ikami, Irie, Shibata, WACV 2021, section 4.1.1.
    """
    check_module("model", model)
    weight_decay = check_nonnegative("weight_decay", weight_decay)
    free: set[int] = set()
    for module in model.modules():
        whole = isinstance(module, (ScaleBias, *_NORMS))
        own = module.named_parameters(recurse=False)
        free |= {id(p) for name, p in own if whole or name.endswith("bias") or name.startswith("bias")}
    trainable = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trainable if id(p) not in free], "weight_decay": weight_decay},
        {"params": [p for p in trainable if id(p) in free], "weight_decay": 0.0},
    ]
