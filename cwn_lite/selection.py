"""Which weights of a model are constrained, and why the others are not."""

import difflib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.utils import parametrize

from cwn_lite.checks import check_module
from cwn_lite.feeds import Feeds, has_forward
from cwn_lite.report import record, recorded
from cwn_lite.rows import fan_in, is_linear_map
from cwn_lite.settings import Settings
from cwn_lite.weights import check_alone, check_rows

Named = Sequence[str | nn.Module]
"""Modules by name, by ``fnmatch`` pattern of names, or themselves; a container stands for all inside it."""

_HEAD = "taken for the classifier: it feeds the output and no scale follows"
_LAST = "the last Linear, taken for the classifier, since the forward could not be traced; classifier= names another"


@dataclass(frozen=True)
class Selection:
    """The outcome.

    Attributes:
        modules: name of a weight -> the module whose weight is constrained.
        skipped: name of each other weight -> why it is not, in words.
        codes: the same in one word: ``excluded``, ``classifier``, ``parametrized``, ``frozen``, ``fan_in``,
            ``unknown_layer`` or ``unconstrained``.
    """

    modules: dict[str, nn.Module]
    skipped: dict[str, str]
    codes: dict[str, str] = field(default_factory=dict)


def select(
    model: nn.Module, exclude: Named | None = None, *, include: Named | None = None, classifier: Named | None = None
) -> Selection:
    """Choose the weights to constrain, by module and never by shape; change nothing.

    Every Linear, (transposed) convolution and layer of a registered class is chosen, except: classifiers, whose output
    becomes the model's output without a scale, a norm or another such layer behind them, as the traced forward shows
    (where it cannot be traced, the last Linear in registration order, with a warning; where nothing else would be
    left, Linears only); what ``exclude`` names; rows with a fan-in under 2, for which no feasible point exists; frozen
    weights; weights that another parametrization computes. A part of a model has no classifier: say
    ``classifier=()`` there.

    An argument that is not given leaves what an earlier call chose for a layer as it is.

    Args:
        model: any module.
        exclude: layers to leave free.
        include: layers to constrain although they are classifiers.
        classifier: the layers to be taken for classifiers, in the place of those that are found; ``()`` is none.

    Raises:
        TypeError: an argument is a single string, an entry is neither string nor module, or a weight is complex or
            sparse.
        ValueError: an entry matches nothing, or a layer is both excluded and included; a weight is uninitialized,
            without values or made in inference mode, has a non-finite row, or is shared by two chosen layers; nothing
            is left to constrain.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 10))
        >>> chosen = select(net)
        >>> list(chosen.modules), chosen.skipped, chosen.codes
        (['0.weight'], {'2.weight': 'taken for the classifier: it feeds the output and no scale follows'}, \
{'2.weight': 'classifier'})
    """
    check_module("model", model)
    excluded = _named(model, "exclude", () if exclude is None else exclude)
    included = _named(model, "include", () if include is None else include)
    _check_choice(model, excluded, included)
    maps = {name: module for name, module in model.named_modules() if is_linear_map(module)}
    said = {name: recorded(module, "rows") for name, module in maps.items()}
    heads = {}
    if classifier is not None or not all(said.values()):
        heads = _heads(model, classifier)
    modules: dict[str, nn.Module] = {}
    skipped: dict[str, str] = {}
    codes: dict[str, str] = {}
    for name, module in maps.items():
        key = f"{name}.weight" if name else "weight"
        code, reason = "", ""
        before = said[name]
        if id(module) in excluded:
            code, reason = "excluded", "excluded by the caller"
        elif id(module) in included:
            pass
        elif before is not None and before.code == "excluded" and exclude is None:
            code, reason = before.code, before.reason
        elif before is not None and classifier is None:
            # What was no classifier in the model that it came from is none in this one.
            code, reason = (before.code, before.reason) if before.code == "classifier" else ("", "")
        elif id(module) in heads:
            code, reason = "classifier", heads[id(module)]
        if not code:
            code, reason = _obstacle(name, module)
        if code:
            skipped[key], codes[key] = reason, code
        else:
            modules[key] = module
    known = {id(p) for module in maps.values() for p in module.parameters()}
    for key, parameter in model.named_parameters():
        if id(parameter) not in known and parameter.ndim > 1 and key not in skipped:
            skipped[key], codes[key] = "not the weight of a Linear or convolution", "unknown_layer"
    if not modules:
        reasons = "; ".join(f"{key}: {reason}" for key, reason in skipped.items()) or "it has no such layer"
        raise ValueError(f"model has no weight to constrain ({reasons})")
    heads_too = {f"{name}.weight": maps[name] for name in maps if codes.get(f"{name}.weight") == "classifier"}
    check_alone(model, modules, modules | heads_too)
    for key, module in modules.items():
        check_rows(key, module)
    return Selection(modules, skipped, codes)


def note(model: nn.Module, selection: Selection, settings: Settings) -> None:
    """Record on each layer whether its weight is constrained, for :func:`cwn_lite.report` and later calls."""
    for name, module in model.named_modules():
        kind = type(module).__name__
        prefix = f"{name}." if name else ""
        if f"{prefix}weight" in selection.modules:
            spared = settings.centralize and not settings.centred(module)
            kept = ", depthwise: its mean is kept" if spared else ""
            record(module, "rows", kind, "constrained", f"fan-in {fan_in(module)}{kept}")
        elif is_linear_map(module):
            key = f"{prefix}weight"
            record(module, "rows", kind, "free", selection.skipped[key], selection.codes[key])
        else:
            own = [(p, selection.skipped[prefix + p]) for p in module._parameters if prefix + p in selection.skipped]
            if own:
                reasons = "; ".join(f"{parameter}: {reason}" for parameter, reason in own)
                record(module, "rows", kind, "free", reasons, selection.codes[prefix + own[0][0]])


def _heads(model: nn.Module, classifier: Named | None) -> dict[int, str]:
    """The ids of classifiers, with the words for it."""
    if classifier is not None:
        named = _named(model, "classifier", classifier)
        if named and not any(id(module) in named and is_linear_map(module) for module in model.modules()):
            raise ValueError(f"classifier names {list(classifier)}, and none of it is a Linear or convolution")
        return dict.fromkeys(named, "named as a classifier by the caller")
    feeds = Feeds(getattr(model, "_orig_mod", model), modes=(True, False))  # compiled or not
    maps = {name: module for name, module in feeds.modules.items() if is_linear_map(module)}
    linears = [module for module in maps.values() if isinstance(module, nn.Linear)]
    kind = type(feeds.modules[""]).__name__
    found = feeds.heads()
    if not has_forward(feeds.modules[""]) and any("." not in name for name in maps):
        return {id(module): _LAST for module in linears[-1:]}  # what layers beside the parts are for, no forward says
    if found is None:
        failed = next((feeds.failures[part] for part in sorted(feeds.parts()) if part in feeds.failures), None)
        if failed:
            name = next((name for name, module in maps.items() if linears and module is linears[-1]), "")
            taken = (
                f"so {name}, the last Linear, is taken for the classifier and all others are constrained"
                if name
                else "and it has no Linear, so no layer is taken for a classifier and all are constrained"
            )
            warnings.warn(
                f"the forward of {kind} could not be traced ({failed}), {taken}; say classifier=(...) to choose",
                stacklevel=4,
            )
        return {id(module): _LAST for module in linears[-1:]}
    if "" in maps:  # a layer on its own, which no graph shows as a call
        found = {""}
    # Where all maps feed the output, as in a model that is one convolution, only a Linear counts.
    heads = [maps[name] for name in found] if found < maps.keys() else linears
    return {id(module): _HEAD for module in heads}


def _check_choice(model: nn.Module, excluded: set[int], included: set[int]) -> None:
    for name, module in model.named_modules():
        if id(module) in excluded & included:
            raise ValueError(f"{name or 'model'} is named by both exclude and include; name it in one of them")
        own = "weight" in module._parameters and not any(module.children())
        if id(module) in included and own and not is_linear_map(module) and not _is_vector(module):
            kind = type(module).__name__
            raise ValueError(
                f"include names {name}, a {kind}, and which axes of its weight make a row is not known: say so by "
                f"cwn_lite.register_linear_map({kind})"
            )


def _is_vector(module: nn.Module) -> bool:
    weight = module._parameters["weight"]
    return weight is None or weight.ndim < 2


def _named(model: nn.Module, argument: str, entries: Named) -> set[int]:
    """The ids of all modules that ``entries`` name, with all inside them."""
    if isinstance(entries, (str, bytes, nn.Module)) or not isinstance(entries, Iterable):
        raise TypeError(
            f"{argument} must be a sequence of names or modules, got {entries!r}; write {argument}=({entries!r},)"
        )
    named = list(model.named_modules(remove_duplicate=False))
    found: set[int] = set()
    for entry in entries:
        if isinstance(entry, nn.Module):
            roots = [module for _, module in named if module is entry]
        elif isinstance(entry, str):
            roots = [module for name, module in named if fnmatchcase(name, entry)]
        else:
            raise TypeError(f"{argument} must hold names or modules, got {type(entry).__name__} {entry!r}")
        if not roots:
            near = difflib.get_close_matches(str(entry), [name for name, _ in named], 3)
            hint = f"; did you mean {', '.join(map(repr, near))}?" if near else "; see model.named_modules()"
            raise ValueError(f"{argument} names {entry!r}, which matches no module of the model{hint}")
        found |= {id(module) for root in roots for module in root.modules()}
    return found


def _obstacle(name: str, module: nn.Module) -> tuple[str, str]:
    """Why the weight of ``module`` cannot be constrained, as code and words; both empty if it can."""
    weight = module._parameters.get("weight")
    if parametrize.is_parametrized(module, "weight") or weight is None:
        return "parametrized", "its weight is computed by another parametrization"
    if isinstance(weight, nn.parameter.UninitializedParameter):
        raise ValueError(f"{name}.weight is uninitialized; run one forward pass through the lazy module first")
    if not weight.requires_grad:
        return "frozen", "frozen (requires_grad is False)"
    if weight.ndim < 2:
        return "unknown_layer", f"its weight has shape {tuple(weight.shape)}, which has no rows"
    if fan_in(module) < 2:
        return "fan_in", f"fan-in {fan_in(module)}: no row of zero mean and fixed norm exists"
    return "", ""
