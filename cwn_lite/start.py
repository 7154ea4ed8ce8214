"""How a residual network starts without normalization: its branches small, so that the stream does not explode."""

import math
import operator
import warnings
from typing import NamedTuple

import torch
from torch import fx, nn

from cwn_lite.checks import check_module, check_nonnegative
from cwn_lite.feeds import NORM_FUNCTIONS, Feeds
from cwn_lite.layers import ScaleBias
from cwn_lite.report import record
from cwn_lite.rows import is_linear_map

_ADDS = (operator.add, operator.iadd, torch.add, "add", "add_")
_PRODUCTS = (operator.mul, operator.imul, torch.mul, "mul", "mul_")
_QUOTIENTS = (operator.truediv, operator.itruediv, torch.div, "div", "div_")
_JOINS = (*_ADDS, torch.cat, torch.concat, torch.stack, "cat")
# Growth of the stream's second moment that is worth a warning: as of four branches that each add as much as there is.
_MUCH = 16.0


class Branch(NamedTuple):
    """A residual branch: ``x + f(x)``, where ``f`` has more linear maps on its way than the shortcut.

    Attributes:
        scales: names of the last :class:`cwn_lite.ScaleBias` on each way out of ``f``; empty if a way has none.
        last: name of the last layer of ``f``, for messages.
        normed: whether ``f`` has a norm of another kind on its way.
        factor: product of the numbers by which the forward multiplies behind the scales.
    """

    scales: tuple[str, ...]
    last: str
    normed: bool
    factor: float = 1.0


def scale_branches(model: nn.Module, scale: float | None = None) -> tuple[str, ...]:
    """Start the last scale of each residual branch at ``1 / √L`` for ``L`` branches, in place.

    With ``x + f(x) / √L`` at each of ``L`` branches whose ``f`` keeps the second moment, that of the stream grows by
    ``(1 + 1/L)^L < e`` in the mean; with plain sums it doubles each time. Branches are found by tracing the forward,
    and :func:`cwn_lite.report` names them. A model without residual branches is left as it is.

    A number by which the forward multiplies a branch counts: together they make ``1 / √L``, with a scale of at most 1.

    Args:
        model: after :func:`cwn_lite.replace_batchnorm`, before training.
        scale: start at this value instead, at least 0. At 0 the layers of a branch get no gradient until its last
            scale has moved.

    Returns:
        Names of the scales that were set.

    Raises:
        TypeError: ``model`` is no module, or ``scale`` no number.
        ValueError: ``scale`` is negative or not finite, or there is no scale at all in the model. Nothing is changed
            when an error is raised.

    A branch that ends without a scale stays as it is: with a norm of another kind inside, as in a transformer, it
    does not double the stream; others are named in a warning.

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

    Reference: Zhang, Dauphin, Ma, Fixup, ICLR 2019; De and Smith, SkipInit, NeurIPS 2020, for the factor.
    """
    check_module("model", model)
    if scale is not None:
        scale = check_nonnegative("scale", scale)
    if not any(isinstance(module, ScaleBias) for module in model.modules()):
        raise ValueError("model has no ScaleBias: call replace_batchnorm first")
    found = branches(Feeds(model))
    bare = [branch.last for branch in found if not (branch.scales or branch.normed)]
    found = [branch for branch in found if branch.scales]
    starts: dict[str, float] = {}
    for branch in found:
        start = min(1.0, len(found) ** -0.5 / abs(branch.factor or 1.0)) if scale is None else scale
        starts |= dict.fromkeys(branch.scales, start)
    with torch.no_grad():
        for name, start in starts.items():
            module = model.get_submodule(name)
            assert isinstance(module, ScaleBias)
            module.weight.fill_(start)
            words = f"last scale of a residual branch, one of {len(found)}: starts at {start:.3g}"
            record(module, "start", type(module).__name__, "started", words)
    if bare:
        warnings.warn(
            f"residual branches that end in {', '.join(bare[:3])}{', …' * (len(bare) > 3)} have no scale to start "
            "small: divide by the root of their number in the forward, or give them a ScaleBias",
            stacklevel=2,
        )
    return tuple(starts)


def branches(feeds: Feeds) -> list[Branch]:
    """Return the residual branches of a traced model, in the order of the forward.

    Args:
        feeds: of the model.

    Example:
        >>> from cwn_lite.lab.models import ResNet
        >>> [branch.last for branch in branches(Feeds(ResNet(8)))]
        ['3.branch.4', '4.branch.4', '5.branch.4']
    """
    found: dict[str, Branch] = {}
    for root, graph in feeds.traced:
        reader = _Reader(feeds, root, graph)
        for node in graph.nodes:
            if node.target in _ADDS and (branch := reader.branch(node)):
                found.setdefault(branch.last, branch)
    return list(found.values())


def warn_of_growth(model: nn.Module, found: list[Branch]) -> None:
    """Warn where the last scales make the stream of a residual network explode.

    Args:
        model: with its batch norms replaced.
        found: its branches.
    """
    growth, loud = 1.0, []
    found = [branch for branch in found if branch.scales or not branch.normed]
    for branch in found:
        scales = [model.get_submodule(name) for name in branch.scales]
        squares = [float(scale.weight.detach().square().mean()) for scale in scales if isinstance(scale, ScaleBias)]
        square = branch.factor**2 * (sum(squares) / len(squares) if squares else 1.0)
        growth *= 1 + square
        if square > 1 / len(found):
            loud.append(branch.scales[0] if branch.scales else branch.last)
    if growth > _MUCH:
        names = ", ".join(loud[:3]) + (f" and {len(loud) - 3} more" if len(loud) > 3 else "")
        warnings.warn(
            f"without normalization, {len(found)} residual branches would make the second moment of their stream grow "
            f"about {growth:.3g}-fold ({names}): call cwn_lite.scale_branches(model) before training, or start the "
            "last scale of each branch at 0",
            stacklevel=3,
        )


def _is_norm(module: nn.Module | None) -> bool:
    return module is not None and "norm" in type(module).__name__.lower()


class _Reader:
    """Finds branches in one graph."""

    def __init__(self, feeds: Feeds, root: str, graph: fx.Graph) -> None:
        self._feeds, self._root = feeds, root
        self._order = {node: i for i, node in enumerate(graph.nodes)}
        self._behind: dict[fx.Node, set[fx.Node]] = {}
        for node in graph.nodes:
            inputs = node.all_input_nodes
            self._behind[node] = set(inputs).union(*(self._behind[each] for each in inputs))

    def branch(self, join: fx.Node) -> Branch | None:
        """Return the branch that ``join`` adds to a stream, or ``None`` if it is no such sum."""
        if len(join.all_input_nodes) != 2:
            return None
        first, second = join.all_input_nodes
        common = (self._behind[first] | {first}) & (self._behind[second] | {second})
        if not common:
            return None
        fork = max(common, key=self._order.__getitem__)
        lengths = {end: self._maps(end, fork) for end in (first, second)}
        if lengths[first] == lengths[second]:
            return None
        end = max(lengths, key=lengths.__getitem__)
        way = self._between(end, fork)
        self._factor = 1.0
        scales = self._last_scales(end, way)
        called = [node for node in way if self._module(node) is not None]
        last = self._name(max(called, key=self._order.__getitem__)) if called else str(end)
        normed = any(node.target in NORM_FUNCTIONS or _is_norm(self._module(node)) for node in way)
        return Branch(tuple(sorted(scales)) if scales else (), last, normed, self._factor)

    def _module(self, node: fx.Node) -> nn.Module | None:
        return self._feeds.modules.get(self._name(node)) if node.op == "call_module" else None

    def _name(self, node: fx.Node) -> str:
        return f"{self._root}.{node.target}".lstrip(".")

    def _between(self, end: fx.Node, fork: fx.Node) -> set[fx.Node]:
        """The nodes on the way from ``fork`` to ``end``, ``end`` among them."""
        return {n for n in self._behind[end] | {end} if n is not fork and fork in self._behind[n]}

    def _maps(self, end: fx.Node, fork: fx.Node) -> int:
        modules = [self._module(node) for node in self._between(end, fork)]
        return sum(module is not None and is_linear_map(module) for module in modules)

    def _last_scales(self, node: fx.Node, way: set[fx.Node]) -> set[str] | None:
        """Walk back from the end of a branch to the first scale on each way; ``None`` if a way has none."""
        if node not in way:
            return None
        if isinstance(self._module(node), ScaleBias):
            return {self._name(node)}
        before = [each for each in node.all_input_nodes if each in way]
        numbers = [each for each in node.args if isinstance(each, int | float)]
        if node.target in _PRODUCTS and numbers:
            self._factor *= numbers[0]
        elif node.target in _QUOTIENTS and numbers == [node.args[1]]:
            self._factor /= numbers[0] or math.inf
        if node.target in _PRODUCTS and len(before) == 2:
            # A gate computed from what it multiplies, as in squeeze and excitation.
            first, second = before
            before = [first if first in self._behind[second] else second]
        elif node.target not in _JOINS:
            before = before[:1]  # what else an operation takes are sizes
        found = [self._last_scales(each, way) for each in before]
        if not found or None in found:
            return None
        return set().union(*(names for names in found if names))
