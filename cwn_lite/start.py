"""How a residual network starts without normalization: its branches small, so that the stream does not explode."""

import math
import warnings

import torch
from torch import nn

from cwn_lite.activations import LINEAR, RELU
from cwn_lite.branches import Branch, Scaled, branches, equal_paths, growth, scaled
from cwn_lite.checks import check_module, check_nonnegative, some
from cwn_lite.feeds import Feeds
from cwn_lite.layers import ScaleBias
from cwn_lite.reader import mean_square
from cwn_lite.report import record, recorded
from cwn_lite.rows import layout, to_rows
from cwn_lite.settings import Settings, told

# Growth of a second moment that is worth a warning: that of four branches that each add as much as there is.
_MUCH = 16.0
_SPREAD = 0.04
"""Deviation of scales, over their mean, of a start at random: twice that of DCGAN's."""
_START = "call cwn_lite.scale_branches(model) before training"
_BARE = "have no scale to start small: divide by the root of their number in the forward, or give them a ScaleBias"


def scale_branches(model: nn.Module, scale: float | None = None) -> tuple[str, ...]:
    """Start the last scale of each residual branch at ``1 / √L`` for ``L`` branches, in place.

    With ``x + f(x) / √L`` at each of ``L`` branches whose ``f`` keeps the second moment, that of the stream grows by
    ``(1 + 1/L)^L < e`` in the mean; with plain sums it doubles each time. Branches are found by tracing the forward:
    terms of a sum (``+``, ``-``, ``torch.add``, ``torch.sub``, their methods) with more linear maps on their way than
    the shortcut has. :func:`cwn_lite.report` names them. A number by which the forward multiplies a branch counts, and
    so does that several scales end it: together they make ``1 / √L``, with a scale of at most 1. Where the forward
    makes the stream smaller, as ``(x + f(x)) / √2`` does, a branch starts larger by as much as is lost. In a sum of
    ``n`` paths with as many maps each, where none is a shortcut, the last scale of each starts at ``1 / √n``.

    The squared norm ``c`` that :func:`cwn_lite.replace_batchnorm` was told makes up for what a ReLU takes away. Where
    less is taken the scale behind starts smaller. Behind a linear map that gets another's output, with no activation
    between, it is ``1 / √c``, as in the linear bottlenecks of MobileNets. Behind rows that keep their mean
    (``centralize="mixing"``, or none) it is ``√(2/c)``: 2 is what such a row wants behind a ReLU. Behind a leaky ReLU,
    PReLU, ELU, CELU or SELU of second moment ``E[f²]`` it is ``1 / √(c E[f²])``, or of centred rows
    ``1 / √(c Var[f])``, if that is below 1; all other activations are taken for a ReLU. Behind a transposed
    convolution with strides, of whose rows each output sees a part, it is larger. A map without a scale of its own, as
    the depthwise one of a separable convolution, counts at the next scale behind it; activations may lie between.
    Where such a scale ends a branch the factors are multiplied.

    Behind a map that gets what a gate has multiplied, as those do that follow squeeze and excitation, it is twice as
    large: a sigmoid of about zero is one half, and the signals of a deep network of such blocks would all but vanish.
    Numbers in the forward beside the gate count. A gate at the end of a branch counts as the number 1/2. A gate is a
    sigmoid or a hard sigmoid that gets a linear map's output, of a mean bias of at most 1; between it and the next map
    there may be ReLUs, pools and reshapes, and in all traced modes it must be there.

    A branch that ends without a scale stays as it is. With a norm of another kind inside, as in a transformer, it does
    not double the stream; others are named in a warning, and so are scales that lie where the forward could not be
    traced. Sums that are written in other ways (``einsum``, ``addcmul``, a sum over a stack) are not seen.

    Args:
        model: after :func:`cwn_lite.replace_batchnorm`, before training from scratch.
        scale: start branches at this value instead, at least 0. At 0 the layers of a branch get no gradient until its
            last scale has moved.

    Returns:
        Names of the scales that were set.

    Raises:
        TypeError: ``model`` is no module, or ``scale`` no number.
        ValueError: ``scale`` is negative, not finite or beyond the dtype of a scale, or there is no scale at all in
            the model. Nothing is changed when an error is raised.

    Example:
        >>> class Block(nn.Module):
        ...     def __init__(self) -> None:
        ...         super().__init__()
        ...         self.conv, self.scale = nn.Conv2d(4, 4, 3, padding=1), ScaleBias(4)
        ...     def forward(self, x):
        ...         return x + self.scale(self.conv(x))
        >>> net = nn.Sequential(*(Block() for _ in range(4)))
        >>> scale_branches(net), net[0].scale.weight[0].item()
        (('0.scale', '1.scale', '2.scale', '3.scale'), 0.5)

    Reference: Zhang, Dauphin, Ma, Fixup, ICLR 2019; De and Smith, SkipInit, NeurIPS 2020, for the factor; Brock, De,
    Smith, Simonyan, ICML 2021, who double what gates have halved.
    """
    check_module("model", model)
    if scale is not None:
        scale = check_nonnegative("scale", scale)
    every = {name: module for name, module in model.named_modules() if isinstance(module, ScaleBias)}
    if not every:
        raise ValueError("model has no ScaleBias: call replace_batchnorm first")
    feeds = Feeds(model, modes=(False, True))
    found, count = branches(feeds)
    starts: dict[str, float] = {}
    for branch in found:
        for name, factor in branch.scales.items():
            start = min(1.0, math.sqrt(1 / count + branch.room) / abs(factor or 1.0))
            start = start if scale is None else scale
            starts[name] = min(start, starts.get(name, start))
    for name, start in starts.items():
        dtype = every[name].weight.dtype
        if start > torch.finfo(dtype).max:
            raise ValueError(f"scale must fit {name}, which is of {dtype}, got {scale}")
    words = dict.fromkeys(starts, f"last scale of a residual branch, one of {count}")
    for name, (paths, factor) in equal_paths(feeds).items():
        if name not in starts:  # else it ends a branch that is such a sum
            starts[name] = min(1.0, paths**-0.5 / abs(factor or 1.0))
            words[name] = f"one of {paths} equal paths of a sum"
    for name, pair in scaled(feeds).items():
        keeping, why = _keeps(pair)
        if keeping != 1 and (scale is None or name not in starts):
            starts[name] = starts.get(name, 1.0) * keeping
            words[name] = ", and ".join([*filter(None, [words.get(name)]), why])
    with torch.no_grad():
        for name, start in starts.items():
            every[name].weight.fill_(start)
            line = f"{words[name]}: starts at {start:.3g}"
            record(every[name], "start", type(every[name]).__name__, "started", line)
    bare = _bare(feeds, found)
    ends = {name for branch in found for name in branch.scales}
    _warn_of_what_is_left(feeds, tuple(every), bare, ends)
    return tuple(starts)


def _keeps(pair: Scaled) -> tuple[float, str]:
    """The factor behind a map with which it keeps the second moment, and why; 1 where ``c`` is what does it."""
    settings = told(pair.layer)
    if settings is None or not settings.spherize:
        return 1.0, ""
    factor, reasons = (pair.stretch * pair.carried) ** -0.5, []
    if pair.stretch > 1:
        activated = "behind an activation that leaves more than a ReLU"
        kept = activated if settings.centred(pair.layer) or pair.fed != RELU else "behind rows that keep their mean"
        reasons = ["behind a map that no activation feeds" if pair.fed == LINEAR else kept]
    elif pair.stretch < 1:
        reasons = ["behind a transposed convolution with strides"]
    if pair.carried != 1:
        reasons.append("behind maps that no scale follows")
    if pair.left != 1:
        factor, reasons = factor / pair.left, [*reasons, "behind what a gate halves"]
    return factor, ", ".join(reasons)


def _warn_of_what_is_left(feeds: Feeds, scales: tuple[str, ...], bare: list[str], ends: set[str]) -> None:
    unknown: dict[str, list[str]] = {}
    for part in feeds.failures:
        if type(feeds.modules[part]).forward is nn.Sequential.forward:
            continue  # it adds nothing itself, and what it calls was traced, or is named, on its own
        inside = [name for name in scales if name.startswith(f"{part}." if part else "")]
        if inside and not ends.intersection(inside) and not any(set(inside) <= set(o) for o in unknown.values()):
            unknown[part] = inside
    if unknown:
        parts = [part or "the model" for part in unknown]
        why = feeds.failures[next(iter(unknown))]
        named = some([name for inside in unknown.values() for name in inside])
        warnings.warn(
            f"the forward of {some(parts)} could not be traced ({why}), so whether branches end in {named} is not "
            "known: set the scales there yourself",
            stacklevel=3,
        )
    if bare:
        warnings.warn(
            f"residual branches that end in {some(bare)} {_BARE}",
            stacklevel=3,
        )


def warn_of_starts(model: nn.Module, settings: Settings) -> None:
    """Warn of what a model that was just made would do to its signal: see :func:`constrain`.

    Args:
        model: with its batch norms replaced. One whose scales differ between channels by more than a start at random
            has them has been trained, and is left alone; so is one that is sharded already.
        settings: the constraint.
    """
    scales = [module.weight.detach() for module in model.modules() if isinstance(module, ScaleBias)]
    # Of a model that processes share, the rows of a scale are not all here, and to gather them is not worth it.
    if not scales or any(weight.is_meta or hasattr(weight, "placements") for weight in scales):
        return
    if any(float(weight.float().std(correction=0)) > _SPREAD * float(weight.float().mean().abs()) for weight in scales):
        return
    feeds = Feeds(model)
    _warn_of_inputs(feeds)
    _warn_of_frozen_rows(feeds, settings)
    _warn_of_growth(feeds)


def _warn_of_inputs(feeds: Feeds) -> None:
    first = []
    for node in (node for graph in feeds.graphs for node in graph.nodes if node.op == "call_module"):
        scale = feeds.modules[str(node.target)]
        if isinstance(scale, ScaleBias) and recorded(scale, "norm") is not None and node.all_input_nodes:
            before = node.all_input_nodes[0]
            while before.op.startswith("call_") and len(before.all_input_nodes) == 1:
                if before.op == "call_module" and any(True for _ in feeds.modules[str(before.target)].parameters()):
                    break
                before = before.all_input_nodes[0]
            if before.op == "placeholder":
                first.append(feeds.name(scale))
    if first:
        warnings.warn(
            f"the batch norm that was {some(list(dict.fromkeys(first)))} standardized the model's input, which its "
            "scale and bias do not: standardize the data",
            stacklevel=4,
        )


def _warn_of_frozen_rows(feeds: Feeds, settings: Settings) -> None:
    frozen = {}
    for name, pair in scaled(feeds).items():
        weight = getattr(pair.layer, "weight", None)
        if settings.spherize and isinstance(weight, nn.Parameter) and not weight.requires_grad and weight.numel():
            square = float(to_rows(weight.detach().float(), **layout(pair.layer)).square().sum(1).mean())
            if not 0.5 < square * mean_square(feeds.modules[name].weight) / settings.c < 2:
                frozen[feeds.name(pair.layer)] = square
    if frozen:
        warnings.warn(
            f"no batch norm is behind the frozen {some(list(frozen))} any more: with rows of a squared norm of "
            f"{min(frozen.values()):.2g} to {max(frozen.values()):.2g}, not {settings.c:.3g}, they change the size of "
            "the signal; keep the batch norms of what is frozen, by calling replace_batchnorm on the part that trains",
            stacklevel=4,
        )


def _warn_of_growth(feeds: Feeds) -> None:
    grown, where = growth(feeds)
    found, _ = branches(feeds) if grown > _MUCH else ([], 0)
    if grown <= _MUCH + sum(branch.normed for branch in found):  # what begins with a norm adds no more than 1
        return
    free = {name for name, module in feeds.modules.items() if isinstance(module, ScaleBias) and not _is_started(module)}
    full = [names for branch in found if (names := [name for name in branch.scales if name in free])]
    bare = _bare(feeds, found)
    equal = [name for name, (paths, factor) in equal_paths(feeds).items() if name in free and paths * factor**2 > 1]
    wide = [name for name, pair in scaled(feeds).items() if name in free and pair.stretch * pair.carried > 1]
    cause, ways = "residual branches", f" ({len(full or bare)} branches: "
    if full:
        named = some([name for names in full for name in names])
        ways += f"{named}): {_START}, or start the last scale of each branch at 0"
    elif bare:
        ways += f"{some(bare)}): they {_BARE}"
    elif equal:
        cause, ways = "sums of equal paths", f" (that end in {some(equal)}): {_START}"
    elif wide:
        cause = "rows of this squared norm"
        fed = any(pair.stretch > 1 for name, pair in scaled(feeds).items() if name in wide)
        why = "what feeds them leaves more of it than a ReLU" if fed else "no scale follows some of them"
        ways = f", since {why} (before {some(wide)}): {_START}, or choose c by cwn_lite.leaky_relu_c"
    else:
        cause, ways = "sums, or maps that no scale follows,", f" (at {some(where)}): they {_BARE}"
    warnings.warn(
        f"without normalization, {cause} would make the second moment of the signal grow about {grown:.3g}-fold{ways}",
        stacklevel=4,
    )


def _bare(feeds: Feeds, found: list[Branch]) -> list[str]:
    """The ends of branches that have no scale. One that ends in a scale is a stream of its own, with branches in it."""
    bare = [branch.last for branch in found if not (branch.scales or branch.normed)]
    return [last for last in bare if not isinstance(feeds.modules.get(last), ScaleBias)]


def _is_started(scale: nn.Module) -> bool:
    assert isinstance(scale, ScaleBias)
    return recorded(scale, "start") is not None and float(scale.weight.detach()[0]) <= 1
