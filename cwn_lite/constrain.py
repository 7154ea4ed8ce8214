"""Algorithm 1 around any optimizer: after each step, back to the nearest feasible weights.

The hook costs nothing in fidelity. Centring ``P`` is linear and leaves a feasible row as it is, so it commutes with
momentum and weight decay: stock SGD followed by the exact projection is Algorithm 1 with centred gradients.
"""

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cwn_lite.buckets import Project, project_modules_
from cwn_lite.checks import check_positive
from cwn_lite.projection import C_HE, reproject_
from cwn_lite.rows import layout, local_part, row_view
from cwn_lite.selection import select


def constrain(
    optimizer: Optimizer,
    model: nn.Module,
    *,
    c: float = C_HE,
    centralize: bool = True,
    spherize: bool = True,
    exclude: Sequence[str | nn.Module] = (),
) -> "Constraint":
    """Keep the weights of ``model`` on the constraint set: project now, and after every ``optimizer.step()``.

    ``w⁺ = argmin ‖w − w̃‖  s.t.  ‖w‖² = c, 1ᵀw = 0``  where ``w̃`` is what the optimizer made of ``w`` (Eq. 9).

    With SGD (momentum, Nesterov, dampening, weight decay) this equals Algorithm 1. With any other optimizer the
    weights stay on the set. A parameter without gradient is left untouched, bit for bit. The constraint is a step
    hook: state dicts, schedulers, gradient scaling and sharding by rows (FSDP2) go on working. A copy or pickle of
    the optimizer loses its hooks, as torch's optimizers do; that is announced by a warning, and the copy wants a
    call of its own.

    Args:
        optimizer: holds all weights to be constrained.
        model: the module whose weights are meant; see :mod:`cwn_lite.selection` for the ones chosen.
        c: squared norm of each row, positive.
        centralize: impose ``1ᵀw = 0``.
        spherize: impose ``‖w‖² = c``.
        exclude: module names, ``fnmatch`` patterns or modules to leave free, besides the last Linear.

    Returns:
        The handle, with ``names``, ``skipped``, ``violation()``, ``project()`` and ``remove()``.

    Raises:
        TypeError: wrong kinds of arguments; complex or sparse weights.
        ValueError: ``c <= 0``; neither constraint asked for; weights that the optimizer does not hold, that are
            constrained already, tied, zero or non-finite; an ``exclude`` entry that matches nothing. Nothing is
            changed when an error is raised.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        >>> constraint = constrain(optimizer, model)
        >>> constraint.names
        ('0.weight',)
        >>> model(torch.ones(1, 4)).sum().backward(); optimizer.step()
        >>> constraint.violation() < 1e-6
        True

    Reference: Ikami, Irie, Shibata, WACV 2021, Algorithm 1.
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer must be a torch.optim.Optimizer, got {type(optimizer).__name__}; "
            "the order is constrain(optimizer, model)"
        )
    check_positive("c", c)
    if not (centralize or spherize):
        raise ValueError("centralize and spherize are both False: nothing to constrain")
    selection = select(model, exclude)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missing = [name for name, module in selection.modules.items() if id(module.weight) not in held]
    if missing:
        raise ValueError(
            f"optimizer does not hold {_some(missing)}; build it from the parameters of this model, or exclude them"
        )
    already = {name for other in _attached(optimizer) for name in other._shared_with(selection.modules)}
    if already:
        raise ValueError(
            f"{_some(sorted(already))} constrained by this optimizer already; call remove() on that handle"
        )
    return Constraint(optimizer, selection.modules, selection.skipped, c, centralize, spherize)


class Constraint:
    """Handle of the weights that one optimizer keeps on the constraint set; made by :func:`constrain`.

    Attributes:
        names: names of the constrained parameters.
        skipped: name of each other weight -> why it is free.
        c: squared norm of each row.
        centralize: whether zero mean is imposed.
        spherize: whether the norm is imposed.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        modules: dict[str, nn.Module],
        skipped: dict[str, str],
        c: float,
        centralize: bool,
        spherize: bool,
    ) -> None:
        self.names = tuple(modules)
        self.skipped = dict(skipped)
        self.c, self.centralize, self.spherize = c, centralize, spherize
        # Modules, not tensors: a weight that is moved, sharded or loaded by assignment is still found.
        self._modules = dict(modules)
        self._optimizer = optimizer
        self._compiled: Project | None = None
        self._hook = optimizer.register_step_post_hook(self._after_step)
        optimizer.defaults = _Defaults(optimizer.defaults)
        self.project()

    def project(self) -> None:
        """Project all constrained weights now, for example after loading a checkpoint."""
        self._project(self._modules.values())

    def compile(self, **options: Any) -> None:
        """Let torch compile the projection, in place, as :meth:`torch.nn.Module.compile` does a module.

        On a GPU a weight is then read and written in one kernel; plain PyTorch makes some twenty passes. One kernel
        serves all shapes of a dtype. It is made at the next projection, which takes seconds. Results differ by
        rounding. Weights on a CPU are projected as before: in blocks, in one pass over memory.

        Args:
            options: of :func:`torch.compile`.
        """
        self._compiled = torch.compile(reproject_, dynamic=True, **options)

    @torch.no_grad()
    def violation(self) -> float:
        """Return the largest relative distance from the set over all rows held here; 0 is exact, NaN stays NaN.

        Per row the larger of ``|‖w‖² − c| / c`` and ``|1ᵀw| / √(n c)``, of the constraints in force.
        """
        distances = [torch.zeros(1, dtype=torch.float64)]
        for module in self._modules.values():
            stored = layout(module)
            # On the CPU, since not every device has float64.
            weight = local_part(_weight(module), transposed=stored["transposed"]).to("cpu", torch.float64)
            view, dims = row_view(weight, **stored)
            if self.spherize:
                distances.append((view.square().sum(dims) / self.c - 1).abs().flatten())
            if self.centralize:
                n = math.prod([view.shape[d] for d in dims])
                distances.append(view.sum(dims).abs().flatten() / math.sqrt(n * self.c))
        return float(torch.cat(distances).max())

    def remove(self) -> None:
        """Detach from the optimizer; the weights stay where they are. A second call does nothing."""
        self._hook.remove()
        if not _attached(self._optimizer):
            self._optimizer.defaults = dict(self._optimizer.defaults)

    def _project(self, modules: Iterable[nn.Module]) -> None:
        how = {"centralize": self.centralize, "spherize": self.spherize}
        project_modules_(modules, self.c, **how, compiled=self._compiled)

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._project(module for module in self._modules.values() if _weight(module).grad is not None)

    def _shared_with(self, modules: dict[str, nn.Module]) -> list[str]:
        mine = {id(module.weight) for module in self._modules.values()}
        return [name for name, module in modules.items() if id(module.weight) in mine]

    def __repr__(self) -> str:
        lines = [f"  {name}: constrained" for name in self.names]
        lines += [f"  {name}: free, {reason}" for name, reason in self.skipped.items()]
        head = f"Constraint(c={self.c:g}, centralize={self.centralize}, spherize={self.spherize})"
        return "\n".join([head, *lines])


class _Defaults(dict[str, Any]):
    """The optimizer's ``defaults``, which travel with its copies and pickles but not with its state dict.

    Hooks do not travel. This says so at the moment when they are lost.
    """

    def __reduce_ex__(self, protocol: Any) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        warnings.warn(
            "a copied or pickled optimizer loses its step hooks, and so the weight constraint of cwn_lite: "
            "call cwn_lite.constrain on the copy",
            stacklevel=2,
        )
        return dict, (dict(self),)


def _attached(optimizer: Optimizer) -> list[Constraint]:
    hooks = optimizer._optimizer_step_post_hooks.values()
    owners = (getattr(hook, "__self__", None) for hook in hooks)
    return [owner for owner in owners if isinstance(owner, Constraint)]


def _weight(module: nn.Module) -> Tensor:
    assert isinstance(module.weight, Tensor)
    return module.weight


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
