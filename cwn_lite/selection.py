"""Which weights of a model are constrained, and why the others are not."""

import difflib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from cwn_lite.checks import check_module
from cwn_lite.rows import LINEAR_MAPS, fan_in, layout, local_part, row_view


@dataclass(frozen=True)
class Selection:
    """The outcome: modules whose weight is constrained, and a reason for each that is not."""

    modules: dict[str, nn.Module]
    skipped: dict[str, str]


def select(model: nn.Module, exclude: Sequence[str | nn.Module] = ()) -> Selection:
    """Choose the weights to constrain, by module and never by shape; change nothing.

    Every Linear and (transposed) convolution is chosen, except: the last Linear in registration order, taken for the
    classifier, after which no scale follows (auxiliary heads have classifiers of their own: exclude them); what
    ``exclude`` names; rows with a fan-in under 2, for which no feasible point exists; frozen weights; weights that
    another parametrization computes.

    Args:
        model: any module.
        exclude: module names, ``fnmatch`` patterns of names, or modules; a container excludes all inside it.

    Raises:
        TypeError: ``exclude`` is a single string, an entry is neither string nor module, or a weight is complex or
            sparse.
        ValueError: an entry matches nothing; a weight is uninitialized, has a zero-variance or non-finite row, or is
            shared by two chosen layers; nothing is left to constrain.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 10))
        >>> chosen = select(net)
        >>> list(chosen.modules), chosen.skipped
        (['0.weight'], {'2.weight': 'the last Linear, taken for the classifier'})
    """
    check_module("model", model)
    linears = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    excluded = _excluded(model, exclude)
    modules: dict[str, nn.Module] = {}
    skipped: dict[str, str] = {}
    for name, module in model.named_modules():
        if not isinstance(module, LINEAR_MAPS):
            continue
        reason = _reason(name, module, excluded, linears[-1:])
        key = f"{name}.weight" if name else "weight"
        if reason:
            skipped[key] = reason
        else:
            modules[key] = module
    known = {id(p) for m in model.modules() if isinstance(m, LINEAR_MAPS) for p in m.parameters()}
    for name, parameter in model.named_parameters():
        if id(parameter) not in known and parameter.ndim > 1 and name not in skipped:
            skipped[name] = "not the weight of a Linear or convolution"
    if not modules:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items()) or "it has no such layer"
        raise ValueError(f"model has no weight to constrain ({reasons})")
    _check_tied(modules)
    for name, module in modules.items():
        _check_rows(name, module)
    return Selection(modules, skipped)


def _excluded(model: nn.Module, exclude: Sequence[str | nn.Module]) -> set[int]:
    """The ids of all modules that ``exclude`` names, with all inside them."""
    if isinstance(exclude, (str, nn.Module)):
        raise TypeError(
            f"exclude must be a sequence of names or modules, got {exclude!r}; write exclude=({exclude!r},)"
        )
    named = list(model.named_modules(remove_duplicate=False))
    found: set[int] = set()
    for entry in exclude:
        if isinstance(entry, nn.Module):
            roots = [module for _, module in named if module is entry]
        elif isinstance(entry, str):
            roots = [module for name, module in named if fnmatchcase(name, entry)]
        else:
            raise TypeError(f"exclude must hold names or modules, got {type(entry).__name__} {entry!r}")
        if not roots:
            near = difflib.get_close_matches(str(entry), [name for name, _ in named], 3)
            hint = f"; did you mean {', '.join(map(repr, near))}?" if near else "; see model.named_modules()"
            raise ValueError(f"exclude names {entry!r}, which matches no module of the model{hint}")
        found |= {id(module) for root in roots for module in root.modules()}
    return found


def _reason(name: str, module: nn.Module, excluded: set[int], classifier: list[str]) -> str:
    """Why ``module`` is skipped; empty if it is not."""
    weight = module._parameters.get("weight")
    if id(module) in excluded:
        return "excluded by the caller"
    if name in classifier:
        return "the last Linear, taken for the classifier"
    if parametrize.is_parametrized(module, "weight") or weight is None:
        return "its weight is computed by another parametrization"
    if isinstance(weight, nn.parameter.UninitializedParameter):
        raise ValueError(f"{name}.weight is uninitialized; run one forward pass through the lazy module first")
    if not weight.requires_grad:
        return "frozen (requires_grad is False)"
    if fan_in(module) < 2:
        return f"fan-in {fan_in(module)}: no row of zero mean and fixed norm exists"
    return ""


def _check_tied(modules: dict[str, nn.Module]) -> None:
    owner: dict[int, str] = {}
    for name, module in modules.items():
        other = owner.setdefault(id(module.weight), name)
        if other != name:
            raise ValueError(
                f"{other} and {name} are one tied weight and would be projected twice; exclude one of them"
            )


def _check_rows(name: str, module: nn.Module) -> None:
    assert isinstance(module.weight, Tensor)
    weight = module.weight.detach()
    if weight.layout != torch.strided or not weight.dtype.is_floating_point:
        kind = f"{weight.dtype}, {weight.layout}"
        raise TypeError(f"{name} is {kind}; only dense real weights can be constrained: exclude it")
    stored = layout(module)
    view, dims = row_view(local_part(weight, transposed=stored["transposed"], name=name), **stored)
    if not view.isfinite().all():
        raise ValueError(f"{name} holds non-finite numbers; initialize it again")
    constant = view.amax(dims) == view.amin(dims)
    if constant.any():
        raise ValueError(
            f"{name} has {int(constant.sum())} rows of equal numbers (zero, for example), whose nearest feasible "
            f"point is not unique; initialize them, or exclude {name.removesuffix('.weight')!r}"
        )
    if fan_in(module) == 2:
        warnings.warn(
            f"{name} has fan-in 2: only two points, ±(1, −1) rescaled, are feasible, so it cannot learn; "
            "consider excluding it",
            stacklevel=4,
        )
