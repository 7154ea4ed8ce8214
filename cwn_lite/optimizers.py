"""Which optimizers can be constrained, and which of them move weights where no step hook sees it."""

import warnings
from collections.abc import Sequence

from torch.optim import Optimizer

# Under which names wrappers keep the optimizer that they wrap.
_INNER = ("optimizer", "base_optimizer", "inner_optimizer", "_optimizer", "optim", "_optim", "base")


def check_optimizers(optimizer: Optimizer | Sequence[Optimizer]) -> tuple[Optimizer, ...]:
    """Return the optimizers to hook, or say what to pass instead.

    Args:
        optimizer: one, or several.

    Raises:
        TypeError: something is no ``torch.optim.Optimizer``, or wraps one without having step hooks itself.
        ValueError: an empty list, or one that names an optimizer twice.

    Example:
        >>> import torch
        >>> len(check_optimizers(torch.optim.SGD([torch.zeros(1)], lr=0.1)))
        1
    """
    optimizers = tuple(optimizer) if isinstance(optimizer, list | tuple) else (optimizer,)
    if not optimizers:
        raise ValueError("optimizer is an empty list; pass the optimizers that hold the weights of model")
    if len({id(each) for each in optimizers}) < len(optimizers):
        raise ValueError("optimizer names one optimizer twice")
    for each in optimizers:
        # A wrapper may be an Optimizer by name alone, and never have called the constructor that makes its hooks.
        if isinstance(each, Optimizer) and hasattr(each, "_optimizer_step_post_hooks"):
            continue
        kind = type(each).__name__
        inner = next((name for name in _INNER if isinstance(getattr(each, name, None), Optimizer)), None)
        if inner:
            raise TypeError(
                f"optimizer is a {kind}, which has no step hooks of torch and wraps another: constrain the inner "
                f"optimizer first, constrain(optimizer.{inner}, model)"
            )
        if isinstance(each, Optimizer):
            raise TypeError(
                f"optimizer is a {kind}, whose constructor never called torch's: it has no step hooks. Constrain the "
                "optimizer inside of it, if there is one"
            )
        raise TypeError(
            f"optimizer must be a torch.optim.Optimizer, got {kind}; the order is constrain(optimizer, model)"
        )
    return optimizers


def warn_of_moves(optimizer: Optimizer) -> None:
    """Warn if ``optimizer`` has methods besides ``step`` that are known to move weights.

    Args:
        optimizer: asked for its methods; not changed.
    """
    kind = type(optimizer).__name__

    def has(*names: str) -> bool:
        return all(callable(getattr(optimizer, name, None)) for name in names)

    if has("first_step", "second_step"):
        warnings.warn(
            f"{kind} moves weights in first_step() and second_step(), where no step hook runs: constrain its inner "
            "optimizer instead, or call constraint.project() after second_step()",
            stacklevel=3,
        )
    elif has("train", "eval"):
        warnings.warn(
            f"{kind} moves weights in eval() and train(), where no step hook runs: call constraint.project() after "
            "each of them",
            stacklevel=3,
        )
