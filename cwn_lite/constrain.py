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

from cwn_lite.checks import check_module, some
from cwn_lite.fast import Project, project_modules_, reproject_
from cwn_lite.optimizers import check_optimizers, warn_of_moves
from cwn_lite.rows import is_linear_map, layout, local_part, row_view
from cwn_lite.selection import Named, Selection, note, select
from cwn_lite.settings import Centralize, Settings, remember, settle
from cwn_lite.start import warn_of_starts
from cwn_lite.weights import check_directions


def constrain(
    optimizer: Optimizer | Sequence[Optimizer],
    model: nn.Module,
    *,
    c: float | None = None,
    centralize: Centralize | None = None,
    spherize: bool | None = None,
    exclude: Named | None = None,
    include: Named | None = None,
    classifier: Named | None = None,
) -> "Constraint":
    """Keep the weights of ``model`` on the constraint set: project now, and after every ``optimizer.step()``.

    ``w⁺ = argmin ‖w − w̃‖  s.t.  ‖w‖² = c, 1ᵀw = 0``  where ``w̃`` is what the optimizer made of ``w`` (Eq. 9).

    With SGD (momentum, Nesterov, dampening, weight decay) this equals Algorithm 1. Any other optimizer of which
    ``step()`` alone moves the weights keeps them on the set, too. A parameter without gradient is left untouched, bit
    for bit. The constraint is a step hook: state dicts, schedulers, gradient scaling and sharding by rows (FSDP2) go
    on working. A deep copy or pickle of the optimizer loses its hooks, as torch's optimizers do; that is announced by a
    warning, and the copy wants a call of its own.

    Whatever else moves weights leaves the set, and :meth:`Constraint.project` takes them back: ``load_state_dict`` of
    other weights; the ``eval()`` and ``train()`` of schedule-free optimizers; two-phase steps such as
    sharpness-aware minimization, where the inner optimizer is the one to constrain; averaged models, for which it
    takes the average, ``constraint.project(averaged)``. There are no statistics to estimate again. Optimizers with
    such methods are announced by a warning, and :meth:`Constraint.violation` measures the distance.

    A residual network whose batch norms were replaced would explode if its branches start as strong as their stream,
    and any deep one of sums of equal paths, or whose activations leave more than a ReLU: it gets a warning that names
    them, with :func:`cwn_lite.scale_branches` as the way out. Warnings also name a batch norm on the input that was
    replaced, frozen weights without a batch norm behind them, and, at the next step, weights that were frozen and train
    now, and those that :class:`cwn_lite.AngularMuon` pulls apart and that nothing projects.

    The layers and the constraint need to be said once: what :func:`cwn_lite.replace_batchnorm` was told holds here
    until told otherwise.

    Args:
        optimizer: holds all weights to be constrained; or several optimizers that do so together.
        model: the module whose weights are meant; see :mod:`cwn_lite.selection` for the ones chosen.
        c: squared norm of each row, positive; ``None`` is what was said before, else the paper's 2.
        centralize: impose ``1ᵀw = 0``; ``None`` is what was said before, else yes. ``"mixing"`` imposes it on rows
            that mix channels: a depthwise row, which sees one channel of several, keeps its mean, and with it the local
            average of that channel.
        spherize: impose ``‖w‖² = c``; likewise.
        exclude: module names, ``fnmatch`` patterns or modules to leave free, besides classifiers.
        include: the same for layers to constrain although they are taken for classifiers.
        classifier: the layers to be taken for classifiers, instead of those that are found; ``()`` is none.

    Returns:
        The handle, with ``names``, ``skipped``, ``violation()``, ``project()`` and ``remove()``.

    Raises:
        TypeError: wrong kinds of arguments; an optimizer without torch's step hooks; complex or sparse weights.
        ValueError: ``c <= 0``; neither constraint asked for; weights that no optimizer holds, that two hold, that are
            constrained already by one of these optimizers, tied, zero or non-finite; an entry that matches nothing.
            Nothing is changed when an error is raised.

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
    optimizers = check_optimizers(optimizer)
    selection = select(model, exclude=exclude, include=include, classifier=classifier)
    settings = settle(selection.modules.values(), c, centralize, spherize)
    check_directions(selection.modules, settings)
    if not (settings.centralize or settings.spherize):
        raise ValueError("centralize and spherize are both False: nothing to constrain")
    held = _shared_out(optimizers, selection)
    already = {name for o in optimizers for other in _attached(o) for name in other._shared_with(selection.modules)}
    if already:
        raise ValueError(f"{some(sorted(already))} constrained by this optimizer already; call remove() on that handle")
    for each in optimizers:
        warn_of_moves(each)
    note(model, selection, settings)
    remember(selection.modules.values(), settings)
    warn_of_starts(model, settings)
    constraint = Constraint(optimizers, held, selection, settings)
    frozen = [name for name, code in selection.codes.items() if code == "frozen"]
    constraint._frozen = {name: model.get_submodule(name.removesuffix("weight").removesuffix(".")) for name in frozen}
    return constraint


def _shared_out(optimizers: Sequence[Optimizer], selection: Selection) -> list[dict[str, nn.Module]]:
    """The modules whose weight each optimizer holds, or an error that names those held by none or by two."""
    held: list[dict[str, nn.Module]] = []
    owners: dict[str, int] = dict.fromkeys(selection.modules, 0)
    for optimizer in optimizers:
        own = {id(p) for group in optimizer.param_groups for p in group["params"]}
        held.append({name: module for name, module in selection.modules.items() if id(module.weight) in own})
        for name in held[-1]:
            owners[name] += 1
    missing = [name for name, count in owners.items() if count == 0]
    if missing:
        raise ValueError(
            f"optimizer does not hold {some(missing)}; build it from the parameters of this model, pass all "
            "optimizers of the model in one list, or exclude them"
        )
    twice = [name for name, count in owners.items() if count > 1]
    if twice:
        raise ValueError(f"{some(twice)} held by two of the optimizers, which would both move them")
    return held


class Constraint:
    """Handle of the weights that one optimizer keeps on the constraint set; made by :func:`constrain`.

    Attributes:
        names: names of the constrained parameters.
        skipped: name of each other weight -> why it is free, in words.
        codes: the same in one word, such as ``classifier``; see :class:`cwn_lite.selection.Selection`.
        c: squared row norm in force.
        centralize: whether rows are kept at zero mean; ``"mixing"`` for those that mix channels.
        spherize: whether rows are kept at their norm.
    """

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        held: Sequence[dict[str, nn.Module]],
        selection: Selection,
        settings: Settings,
    ) -> None:
        self.names = tuple(selection.modules)
        self.skipped, self.codes = dict(selection.skipped), dict(selection.codes)
        self._settings = settings
        self.c, self.centralize, self.spherize = settings
        # Modules, not tensors: a weight that is moved, sharded or loaded by assignment is still found.
        self._modules = dict(selection.modules)
        self._held = {id(optimizer): own for optimizer, own in zip(optimizers, held, strict=True)}
        self._optimizers = tuple(optimizers)
        self._compiled: Project | None = None
        self._versions: dict[str, int] = {}
        self._frozen: dict[str, nn.Module] = {}
        self._hooks = [optimizer.register_step_post_hook(self._after_step) for optimizer in optimizers]
        self._hooks += [optimizer.register_step_pre_hook(self._before_step) for optimizer in optimizers]
        for optimizer in optimizers:
            optimizer.defaults = _Defaults(optimizer.defaults)
        self._groups = {id(optimizer): 0 for optimizer in optimizers}
        self.project()

    def project(self, model: nn.Module | None = None) -> None:
        """Project all constrained weights now, for example after loading a checkpoint.

        Args:
            model: a copy of the constrained model, such as ``torch.optim.swa_utils.AveragedModel``, whose weights of
                the same names are projected; ``None`` is the constrained model itself.

        Raises:
            ValueError: ``model`` has no layer of one of the names.
        """
        self._project(self._modules_of(model).values())

    def compile(self, **options: Any) -> None:
        """Let torch compile the projection, in place, as :meth:`torch.nn.Module.compile` does a module.

        It is for dense weights that the library's own kernel does not take: in float64, with rows longer than 2^15
        numbers, or on devices of other kinds that torch compiles for. A weight is then read and written in one kernel,
        where plain PyTorch makes some twenty passes. One kernel serves all shapes of a dtype. It is made at the next
        projection, which takes seconds. Results differ by rounding. Weights on a CPU are projected as before: in
        blocks, in one pass over memory.

        This call is one per fan-in and step. ``torch.compile(optimizer.step)`` takes optimizer and projection together
        instead, in as many calls as torch splits a step into; it makes code for the weights that get gradients, and
        anew where these change. Rates that a schedule changes are then given as tensors.

        Args:
            options: of :func:`torch.compile`.
        """
        self._compiled = torch.compile(reproject_, dynamic=True, **options)

    @torch.no_grad()
    def violation(self, model: nn.Module | None = None) -> float:
        """Return the largest relative distance from the set over all rows held here; 0 is exact, NaN stays NaN.

        Per row the larger of ``|‖w‖² − c| / c`` and ``|1ᵀw| / √(n c)``, of the constraints in force.

        Args:
            model: a copy of the constrained model, as for :meth:`project`; ``None`` is the model itself.

        Raises:
            ValueError: ``model`` has no layer of one of the names.
        """
        distances = [torch.zeros(1, dtype=torch.float64, device="cpu")]
        for module in self._modules_of(model).values():
            stored = layout(module)
            # On the CPU, since not every device has float64.
            weight = local_part(_weight(module), transposed=stored["transposed"]).to("cpu", torch.float64)
            view, dims = row_view(weight, **stored)
            if self.spherize:
                distances.append((view.square().sum(dims) / self.c - 1).abs().flatten())
            if self._settings.centred(module):
                n = math.prod([view.shape[d] for d in dims])
                distances.append(view.sum(dims).abs().flatten() / math.sqrt(n * self.c))
        return float(torch.cat(distances).max())

    def remove(self) -> None:
        """Detach from the optimizer; the weights stay where they are. A second call does nothing."""
        for hook in self._hooks:
            hook.remove()
        for optimizer in self._optimizers:
            if not _attached(optimizer):
                optimizer.defaults = dict(optimizer.defaults)

    def _project(self, modules: Iterable[nn.Module]) -> None:
        alike: dict[bool, list[nn.Module]] = {}
        for module in modules:
            alike.setdefault(self._settings.centred(module), []).append(module)
        for centred, own in alike.items():
            project_modules_(own, self.c, centralize=centred, spherize=self.spherize, compiled=self._compiled)

    def _check_new_groups(self, optimizer: Optimizer) -> None:
        """Warn of weights that turn, are pulled apart and are constrained by nobody: the pull shrinks them to zero."""
        if torch.compiler.is_compiling() or len(optimizer.param_groups) <= self._groups[id(optimizer)]:
            return
        groups = optimizer.param_groups[self._groups[id(optimizer)] :]
        self._groups[id(optimizer)] = len(optimizer.param_groups)
        keeping = [each for each in _attached(optimizer) if each.spherize]
        kept = {id(_weight(module)) for each in keeping for module in each._modules.values()}
        free = [p for group in groups if group.get("turn") and group["coherence_decay"] for p in group["params"]]
        free = [p for p in free if id(p) not in kept and p.requires_grad]
        if free and _attached(optimizer)[0] is self:  # one says it for all
            warnings.warn(
                f"{len(free)} of the weights that AngularMuon turns are not constrained (of shapes "
                f"{some([str(tuple(p.shape)) for p in free])}), and its pull would shrink them to zero: constrain "
                "them too, or give their group coherence_decay=0",
                stacklevel=4,
            )

    def _check_frozen(self) -> None:
        """Warn once of weights that were frozen and got a gradient since: nothing constrains them."""
        if torch.compiler.is_compiling() or not self._frozen:
            return
        weights = {name: getattr(module, "weight", None) for name, module in self._frozen.items()}
        freed = [n for n, w in weights.items() if isinstance(w, Tensor) and w.requires_grad and w.grad is not None]
        for name in freed:
            del self._frozen[name]
        if freed:
            warnings.warn(
                f"{some(freed)}, frozen when constrain was called, is trained now, unconstrained: call remove() on "
                "this constraint, and constrain anew",
                stacklevel=4,
            )

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._check_new_groups(optimizer)
        self._check_frozen()
        held = self._held[id(optimizer)].items()
        self._versions = {name: module.weight._version for name, module in held if "weight" in module._parameters}

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        moved = []
        for name, module in self._held[id(optimizer)].items():
            if "weight" not in module._parameters:
                raise RuntimeError(
                    f"{name} is no parameter any more (parametrized or pruned since constrain?): call remove() on this "
                    "constraint, and constrain anew"
                )
            weight = _weight(module)
            # By its gradient, or by its version, where step() has cleared the gradients.
            if weight.grad is not None or weight._version != self._versions.get(name, weight._version):
                moved.append(module)
        self._project(moved)

    def _modules_of(self, model: nn.Module | None) -> dict[str, nn.Module]:
        """The constrained layers, or those of the same names in a copy, which may be wrapped."""
        if model is None:
            return self._modules
        check_module("model", model)
        there = dict(model.named_modules(remove_duplicate=False))
        names = {name: name.removesuffix("weight").removesuffix(".") for name in self.names}
        for wrapper in ("", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."):
            if all(wrapper + path in there for path in names.values()):
                copies = {name: there[wrapper + path] for name, path in names.items()}
                for name, layer in copies.items():
                    shape = getattr(getattr(layer, "weight", None), "shape", None)
                    if shape != _weight(self._modules[name]).shape or not is_linear_map(layer):
                        raise ValueError(f"{name} of model is no copy of the weight that is constrained: {layer!r}")
                return copies
        missing = [name for name, path in names.items() if path not in there]
        raise ValueError(f"model has no {some(missing)}; give a copy of the model that is constrained")

    def _shared_with(self, modules: dict[str, nn.Module]) -> list[str]:
        mine = {id(module.weight) for module in self._modules.values()}
        return [name for name, module in modules.items() if id(module.weight) in mine]

    def __repr__(self) -> str:
        lines = [f"  {name}: constrained" for name in self.names]
        lines += [f"  {name}: free, {reason}" for name, reason in self.skipped.items()]
        head = f"Constraint(c={self.c:g}, centralize={self.centralize!r}, spherize={self.spherize})"
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
