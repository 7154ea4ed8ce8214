"""How a residual network starts without normalization: its branches small, so that the stream does not explode."""

import warnings

import torch
from torch import nn

from cwn_lite.branches import Scaled, branches, growth, scaled
from cwn_lite.checks import check_module, check_nonnegative, some
from cwn_lite.feeds import Feeds
from cwn_lite.layers import ScaleBias
from cwn_lite.projection import C_HE
from cwn_lite.report import record, recorded
from cwn_lite.settings import told

# Growth of a second moment that is worth a warning: that of four branches that each add as much as there is.
_MUCH = 16.0
_BARE = "have no scale to start small: divide by the root of their number in the forward, or give them a ScaleBias"


def scale_branches(model: nn.Module, scale: float | None = None) -> tuple[str, ...]:
    """Start the last scale of each residual branch at ``1 / √L`` for ``L`` branches, in place.

    With ``x + f(x) / √L`` at each of ``L`` branches whose ``f`` keeps the second moment, that of the stream grows by
    ``(1 + 1/L)^L < e`` in the mean; with plain sums it doubles each time. Branches are found by tracing the forward:
    terms of a sum with more linear maps on their way than the shortcut has. :func:`cwn_lite.report` names them. A
    number by which the forward multiplies a branch counts, and so does that several scales end it: together they make
    ``1 / √L``, with a scale of at most 1.

    A scale behind a linear map that gets another's output, with no activation between, starts at ``1 / √c``, as those
    do in the linear bottlenecks of MobileNets: a squared row norm of ``c`` makes up for what an activation takes away,
    and here nothing is taken. ``c`` is what :func:`cwn_lite.replace_batchnorm` was told. Where such a scale ends a
    branch the two factors are multiplied. Behind rows that keep their mean (``centralize="mixing"``, or none) it is
    ``√(2/c)``: 2 is what such a row wants behind a ReLU. Behind a map that gets what a gate has multiplied, as those
    do that follow squeeze and excitation, it is twice as large: a sigmoid of about zero is one half, and the signals
    of a deep network of such blocks would all but vanish. Numbers in the forward beside the gate count. A gate at the
    end of a branch counts as the number 1/2. A gate is a sigmoid or a hard sigmoid that gets a linear map's output, of
    a mean bias of at most 1; between it and the next map there may be ReLUs, pools and reshapes, and in all traced
    modes it must be there.

    A branch that ends without a scale stays as it is. With a norm of another kind inside, as in a transformer, it does
    not double the stream; others are named in a warning, and so are scales that lie where the forward could not be
    traced.

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
            start = min(1.0, count**-0.5 / abs(factor or 1.0)) if scale is None else scale
            starts[name] = min(start, starts.get(name, start))
    for name, start in starts.items():
        dtype = every[name].weight.dtype
        if start > torch.finfo(dtype).max:
            raise ValueError(f"scale must fit {name}, which is of {dtype}, got {scale}")
    words = dict.fromkeys(starts, f"last scale of a residual branch, one of {count}")
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
    bare = [branch.last for branch in found if not (branch.scales or branch.normed)]
    _warn_of_what_is_left(feeds, set(every), bare, set(starts))
    return tuple(starts)


def _keeps(pair: Scaled) -> tuple[float, str]:
    """The factor behind a map with which it keeps the second moment, and why; 1 where ``c`` is what does it."""
    settings = told(pair.layer)
    if settings is None or not settings.spherize:
        return 1.0, ""
    factor, reasons = 1.0, []
    if not pair.activated:
        factor, reasons = settings.c**-0.5, ["behind a map that no activation feeds"]
    elif not settings.centred(pair.layer):
        factor, reasons = min(1.0, (C_HE / settings.c) ** 0.5), ["behind rows that keep their mean"]
    if pair.left != 1:
        factor, reasons = factor / pair.left, [*reasons, "behind what a gate halves"]
    return factor, ", ".join(reasons)


def _warn_of_what_is_left(feeds: Feeds, scales: set[str], bare: list[str], started: set[str]) -> None:
    for part, why in feeds.failures.items():
        if type(feeds.modules[part]).forward is nn.Sequential.forward:
            continue  # it adds nothing itself, and what it calls was traced, or is named, on its own
        inside = {name for name in scales if name.startswith(f"{part}." if part else "")}
        if inside and not inside & started:
            warnings.warn(
                f"the forward of {part or 'the model'} could not be traced ({why}), so whether branches end in "
                f"{some(sorted(inside))} is not known: set these scales yourself",
                stacklevel=3,
            )
            break
    if bare:
        warnings.warn(
            f"residual branches that end in {some(bare)} {_BARE}",
            stacklevel=3,
        )


def warn_of_growth(model: nn.Module) -> None:
    """Warn if the scales of a model that was just made let the second moment of its signal explode.

    Args:
        model: with its batch norms replaced. One whose scales differ between channels has been trained, and is left
            alone; so is one that is sharded already.
    """
    scales = [module.weight.detach() for module in model.modules() if isinstance(module, ScaleBias)]
    # Of a model that processes share, the rows of a scale are not all here, and to gather them is not worth it.
    if not scales or any(weight.is_meta or hasattr(weight, "placements") for weight in scales):
        return
    if any(bool((weight != weight[0]).any()) for weight in scales):
        return
    feeds = Feeds(model)
    grown = growth(feeds)
    if grown <= _MUCH:
        return
    found, _ = branches(feeds)
    known = dict(model.named_modules())
    full = [names for branch in found if (names := [name for name in branch.scales if not _is_started(known[name])])]
    bare = [branch.last for branch in found if not (branch.scales or branch.normed)]
    if full:
        number, named = len(full), some([name for names in full for name in names])
        way_out = "call cwn_lite.scale_branches(model) before training, or start the last scale of each branch at 0"
    elif bare:
        number, named, way_out = len(bare), some(bare), f"they {_BARE}"
    else:
        return  # what is left has norms of another kind inside, and does not double a stream
    warnings.warn(
        "without normalization, residual branches would make the second moment of the signal grow about "
        f"{grown:.3g}-fold ({number} branches: {named}): {way_out}",
        stacklevel=3,
    )


def _is_started(scale: nn.Module) -> bool:
    assert isinstance(scale, ScaleBias)
    return recorded(scale, "start") is not None and float(scale.weight.detach()[0]) < 1
