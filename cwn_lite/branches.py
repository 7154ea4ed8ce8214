"""Residual branches of a traced model, and how far its signal grows at the start."""

import math
import operator
from collections import defaultdict
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from cwn_lite.feeds import NORM_FUNCTIONS, Feeds
from cwn_lite.layers import ScaleBias
from cwn_lite.rows import is_linear_map

_ADDS = (operator.add, operator.iadd, torch.add, "add", "add_")
_DIFFERENCES = (operator.sub, operator.isub, torch.sub, "sub", "sub_")
_SUMS = (*_ADDS, *_DIFFERENCES)
_PRODUCTS = (operator.mul, operator.imul, torch.mul, "mul", "mul_")
_QUOTIENTS = (operator.truediv, operator.itruediv, torch.div, torch.true_divide, "div", "div_", "true_divide")
_JOINS = (torch.cat, torch.concat, torch.stack, "cat")
_HALVES = (torch.sigmoid, F.sigmoid, F.hardsigmoid, "sigmoid", "sigmoid_")  # at the start: their inputs are about zero
_GATES = (*_HALVES, torch.softmax, F.softmax, "softmax")
# What keeps or scales a signal, by name, since torchvision's and timm's ways to drop a branch are not torch's own.
_LINEAR = {"ScaleBias", "Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "StochasticDepth", "DropPath"}
_LINEAR |= {"stochastic_depth", "drop_path"}  # the same as functions
# What makes half of half of its input, ReLU6 if that is below 6: modules, functions and methods.
_HOMOGENEOUS = _LINEAR - {"ScaleBias"} | {"ReLU", "ReLU6", "LeakyReLU", "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d"}
_HOMOGENEOUS |= {"dropout", "relu", "relu_", "relu6", "leaky_relu", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"}
_RESHAPES = {"view", "reshape", "unsqueeze", "squeeze", "expand", "expand_as", "flatten", "permute", "contiguous"}
_RESHAPES |= {"getitem", "to", "Flatten"}
_HALF_MODULES = (nn.Sigmoid, nn.Hardsigmoid)
_GATE_MODULES = (*_HALF_MODULES, nn.Softmax)


class Branch(NamedTuple):
    """A term of a sum with more linear maps on its way from where the terms part than another term has.

    Attributes:
        scales: name of the last :class:`cwn_lite.ScaleBias` on each way out of the branch -> what the forward
            multiplies it by behind; empty if a way has none.
        last: name of the last layer of the branch, for messages.
        normed: whether it has a norm of another kind on its way.
    """

    scales: dict[str, float]
    last: str
    normed: bool


def branches(feeds: Feeds) -> tuple[list[Branch], int]:
    """Return the residual branches of a traced model in the order of the forward, and the number of sums they enter.

    Args:
        feeds: of the model. Of several readings of one forward the one with most branches counts.

    Example:
        >>> from cwn_lite.lab.nets.networks import ResNet
        >>> found, count = branches(Feeds(ResNet(8)))
        >>> [branch.last for branch in found], count
        (['3.branch.4', '4.branch.4', '5.branch.4'], 3)
    """
    found: dict[tuple[str, ...], Branch] = {}
    counts: dict[str, int] = defaultdict(int)
    for root, graph in feeds.traced:
        reader = _Reader(feeds, root, graph)
        per_sum = [reader.branches(node) for node in graph.nodes if node.target in _SUMS]
        counts[root] = max(counts[root], sum(map(len, per_sum)))
        for branch in (branch for each in per_sum for branch in each):
            found.setdefault((*sorted(branch.scales), branch.last if not branch.scales else ""), branch)
    return list(found.values()), sum(counts.values())


class Scaled(NamedTuple):
    """A linear map with a scale behind it.

    Attributes:
        layer: the map.
        activated: False where it gets the output of another map, at most scaled, summed or joined on the way.
        left: what gates leave of a signal on its way to the map, 1/2 behind squeeze and excitation, with the numbers
            by which the forward multiplies there; 1 without a gate.
    """

    layer: nn.Module
    activated: bool
    left: float


def scaled(feeds: Feeds) -> dict[str, Scaled]:
    """Return name of a scale -> the linear map right before it.

    Args:
        feeds: of the model.

    Example:
        >>> layers = [nn.Linear(4, 4), ScaleBias(4), nn.Linear(4, 4), ScaleBias(4), nn.ReLU(), nn.Linear(4, 4)]
        >>> {name: pair.activated for name, pair in scaled(Feeds(nn.Sequential(*layers))).items()}
        {'1': True, '3': False}
    """
    found: dict[str, Scaled] = {}
    for root, graph in feeds.traced:
        for name, pair in _Reader(feeds, root, graph).scaled().items():
            # Of several readings, what changes least counts.
            other = found.get(name, pair)
            left = min(pair.left, other.left, key=lambda left: abs(math.log(left)))
            found[name] = Scaled(pair.layer, pair.activated or other.activated, left)
    return found


def growth(feeds: Feeds) -> float:
    """Return the largest second moment that a traced model would make of a signal with second moment 1.

    A linear map keeps it, a norm makes it 1, a scale, a number and a parameter multiply it, a gate quarters it, a sum
    adds it up.

    Args:
        feeds: of the model.
    """
    return max((_Reader(feeds, root, graph).growth() for root, graph in feeds.traced), default=1.0)


class _Reader:
    """Reads one graph."""

    def __init__(self, feeds: Feeds, root: str, graph: fx.Graph) -> None:
        self._feeds, self._graph = feeds, graph
        self._module = feeds.modules[root]
        self._order = {node: i for i, node in enumerate(graph.nodes)}
        self._behind: dict[fx.Node, set[fx.Node]] = {}
        for node in graph.nodes:
            inputs = node.all_input_nodes
            self._behind[node] = set(inputs).union(*(self._behind[each] for each in inputs))

    def branches(self, node: fx.Node) -> list[Branch]:
        """Return the branches that a sum adds to a stream; none if it is part of a longer sum, or feeds norms alone."""
        users = list(node.users)
        if (len(users) == 1 and users[0].target in _SUMS) or (users and all(self._is_norm(user) for user in users)):
            return []
        terms = self._terms(node)
        common = set.intersection(*(self._behind[term] | {term} for term in terms))
        if len(terms) < 2 or not common:
            return []
        fork = max(common, key=self._order.__getitem__)
        ways = {term: self._between(term, fork) for term in terms}
        maps = {term: sum(self._is_map(each) for each in way) for term, way in ways.items()}
        second, alpha = node.all_input_nodes[-1], node.kwargs.get("alpha")
        return [
            self._branch(term, ways[term], float(alpha) if term is second and isinstance(alpha, int | float) else 1.0)
            for term in terms
            if maps[term] > min(maps.values())
        ]

    def _terms(self, node: fx.Node) -> list[fx.Node]:
        """The terms of a sum and of the sums that are part of nothing else."""
        terms, front = [], [node]
        while front:
            each = front.pop()
            if each.target in _SUMS and (each is node or len(each.users) == 1):
                front += reversed(each.all_input_nodes)
            else:
                terms.append(each)
        return list(dict.fromkeys(terms))

    def _branch(self, end: fx.Node, way: set[fx.Node], factor: float) -> Branch:
        called = [each for each in way if each.op == "call_module"]
        last = self._name(max(called, key=self._order.__getitem__)) if called else str(end)
        scales = {name: factor * value for name, value in (self._last_scales(end, way) or {}).items()}
        return Branch(scales, last, any(self._is_norm(each) for each in way))

    def _last_scales(self, end: fx.Node, way: set[fx.Node]) -> dict[str, float] | None:
        """The last scale on each way to ``end`` and the factor behind it; ``None`` if a way has none.

        Linear maps behind a scale are walked through, as pre-activation has them.
        """
        known: dict[fx.Node, dict[str, float] | None] = {}
        for node in sorted(way, key=self._order.__getitem__):
            before = [each for each in node.all_input_nodes if each in way]
            if isinstance(self._called(node), ScaleBias):
                known[node] = {self._name(node): 1.0}
                continue
            factor = self._factor(node)
            if node.target in _PRODUCTS and len(before) == 2:
                before = [self._gated(*before)]
            elif node.target in _SUMS:
                factor *= math.sqrt(len(before))
            elif node.target not in _JOINS:
                before = before[:1]  # what else an operation takes are sizes
            found = [known[each] for each in before]
            merged: dict[str, float] = {}
            for scales in found:
                merged |= {name: factor * value for name, value in (scales or {}).items()}
            known[node] = None if not found or None in found else merged
        return known.get(end)

    def scaled(self) -> dict[str, Scaled]:
        """Return scale -> the map right before it."""
        linear: dict[fx.Node, bool] = {}
        found: dict[str, Scaled] = {}
        for node in self._graph.nodes:
            before = node.all_input_nodes
            called = self._called(node)
            passes = bool(before) and (self._kind(node) in _LINEAR or node.target in (*_SUMS, *_JOINS))
            signals = [self._gated(before[0], before[1])] if self._halvings(node) else before if passes else []
            linear[node] = self._is_map(node) or (bool(signals) and all(linear[each] for each in signals))
            if isinstance(called, ScaleBias) and before and self._is_map(before[0]):
                layer = self._called(before[0])
                assert layer is not None
                fed = before[0].all_input_nodes[:1]
                activated = not any(linear[each] for each in fed)
                found[self._name(node)] = Scaled(layer, activated, math.prod(map(self._left, fed)))
        return found

    def growth(self) -> float:
        """Return the largest second moment in the graph."""
        moments: dict[fx.Node, float] = {}
        for node in self._graph.nodes:
            inputs = [moments[each] for each in node.all_input_nodes]
            module = self._called(node)
            moment = max(inputs, default=1.0)
            if self._is_norm(node) or self._is_gate(node):
                moment = 1.0
            elif isinstance(module, ScaleBias):
                moment *= _mean_square(module.weight)
            elif node.target in _SUMS and len(inputs) == 2:
                alpha = node.kwargs.get("alpha", 1)
                moment = inputs[0] + inputs[1] * (alpha**2 if isinstance(alpha, int | float) else 1)
            elif node.target in _PRODUCTS and len(inputs) == 2:
                kept = [each for each in node.all_input_nodes if each.op != "get_attr" and not self._is_gate(each)]
                moment = max((moments[each] for each in kept), default=1.0)
            moments[node] = min(moment * self._factor(node) ** 2, 1e30)
        return max(moments.values(), default=1.0)

    def _factor(self, node: fx.Node) -> float:
        """The number, or the parameter, by which a node multiplies; for a sum the factor of its second term."""
        others = [*node.args, *node.kwargs.values()]
        numbers = [float(each) for each in others if isinstance(each, int | float)]
        if node.target in _QUOTIENTS and numbers:
            return 1 / numbers[0] if numbers[0] else 1.0
        if node.target in _PRODUCTS:
            parameters = [each for each in node.all_input_nodes if each.op == "get_attr"]
            values = [self._value(str(each.target)) for each in parameters]
            numbers += [math.sqrt(_mean_square(value)) for value in values if isinstance(value, Tensor)]
            return math.prod(numbers) * 0.5 ** self._halvings(node)
        return 1.0

    def _value(self, path: str) -> Any:
        owner, _, name = path.rpartition(".")
        return getattr(self._module.get_submodule(owner), name, None)

    def _gated(self, first: fx.Node, second: fx.Node) -> fx.Node:
        """Of two factors the signal, not its gate or mask."""
        for signal, gate in ((first, second), (second, first)):
            if self._is_gate(gate) or signal in self._behind[gate]:
                return signal
        maps = [sum(self._is_map(each) for each in self._behind[node] | {node}) for node in (first, second)]
        return second if maps[1] > maps[0] else first

    def _left(self, node: fx.Node) -> float:
        """What gates and numbers leave of a signal on its way to ``node``; 1 if there is no gate on it."""
        left, gates = 1.0, 0
        while node.all_input_nodes:
            inputs, halvings = node.all_input_nodes, self._halvings(node)
            known = [each for each in inputs if each.op == "get_attr"]
            if node.target in (*_PRODUCTS, *_QUOTIENTS) and (halvings or len(inputs) - len(known) == 1):
                left, gates = left * abs(self._factor(node)), gates + halvings
                node = self._gated(*inputs) if halvings else next(each for each in inputs if each not in known)
            elif self._kind(node) in _HOMOGENEOUS | _RESHAPES:
                node = inputs[0]
            else:
                break
        return left if gates and left else 1.0

    def _halvings(self, node: fx.Node) -> int:
        """By how many gates that start at about one half a node multiplies a signal."""
        if node.target not in _PRODUCTS or len(node.all_input_nodes) != 2:
            return 0
        first, second = node.all_input_nodes
        signal = self._gated(first, second)
        own = self._behind[second if signal is first else first] - self._behind[signal] - {signal}
        return self._halves(second if signal is first else first) if any(map(self._is_map, own)) else 0

    def _halves(self, gate: fx.Node) -> int:
        """The number of sigmoids that a gate is a product of; 0 if it is something else, or does not start at 1/2.

        In ``x sigmoid(x)`` no linear map makes the sigmoid's input: an activation, of which nothing is said here.
        """
        made = self._unshaped(gate)
        if made.target in _PRODUCTS and len(made.all_input_nodes) == 2:
            both = [self._halves(each) for each in made.all_input_nodes]
            return sum(both) if all(both) else 0
        if not (made.target in _HALVES or isinstance(self._called(made), _HALF_MODULES)):
            return 0
        last = self._called(self._unshaped(made.all_input_nodes[0])) if made.all_input_nodes else None
        bias = getattr(last, "bias", None)
        if isinstance(bias, Tensor) and not bias.is_meta and abs(float(bias.detach().float().mean())) > 1:
            return 0
        return 1

    def _is_gate(self, node: fx.Node) -> bool:
        """Whether a node is a sigmoid or a softmax, or one that was only reshaped."""
        node = self._unshaped(node)
        return node.target in _GATES or isinstance(self._called(node), _GATE_MODULES)

    def _unshaped(self, node: fx.Node) -> fx.Node:
        """What a node was before it was only reshaped."""
        while self._kind(node) in _RESHAPES and node.all_input_nodes:
            node = node.all_input_nodes[0]
        return node

    def _kind(self, node: fx.Node) -> str:
        """The name of a module's class, of a function or of a method; empty if nothing is called."""
        called = self._called(node)
        if called is not None:
            return type(called).__name__
        return str(getattr(node.target, "__name__", node.target)) if node.op.startswith("call_") else ""

    def _called(self, node: fx.Node) -> nn.Module | None:
        return self._module.get_submodule(str(node.target)) if node.op == "call_module" else None

    def _name(self, node: fx.Node) -> str:
        called = self._called(node)
        assert called is not None
        return self._feeds.name(called)

    def _between(self, end: fx.Node, fork: fx.Node) -> set[fx.Node]:
        """The nodes on the way from ``fork`` to ``end``, ``end`` among them."""
        return {n for n in self._behind[end] | {end} if n is not fork and fork in self._behind[n]}

    def _is_map(self, node: fx.Node) -> bool:
        called = self._called(node)
        return called is not None and is_linear_map(called)

    def _is_norm(self, node: fx.Node) -> bool:
        called = self._called(node)
        named = called is not None and not isinstance(called, ScaleBias) and "norm" in type(called).__name__.lower()
        return named or node.target in NORM_FUNCTIONS


def _mean_square(tensor: Tensor) -> float:
    return 1.0 if tensor.is_meta else float(tensor.detach().float().square().mean())
