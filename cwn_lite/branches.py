"""Residual branches of a traced model, and how far its signal grows at the start."""

import math
from collections import defaultdict
from typing import NamedTuple

from torch import fx, nn

from cwn_lite.activations import KNOWN, LINEAR, Moments
from cwn_lite.feeds import Feeds
from cwn_lite.layers import ScaleBias
from cwn_lite.reader import (
    CHOICES,
    HOMOGENEOUS,
    JOINS,
    PRODUCTS,
    QUOTIENTS,
    RESHAPES,
    SUMS,
    UNBENT,
    Reader,
    mean_square,
)
from cwn_lite.rows import TRANSPOSED
from cwn_lite.settings import told


class Branch(NamedTuple):
    """A term of a sum with more linear maps on its way from where the terms part than another term has.

    Attributes:
        scales: name of the last :class:`cwn_lite.ScaleBias` on each way out of the branch -> what the forward
            multiplies it by behind; empty if a way has none.
        last: name of the last layer of the branch, for messages.
        normed: whether it has a norm of another kind on its way.
        room: what numbers in the forward take from the second moment of that to which the branch is added, shared out
            among the branches of the sum; 0 without such a number.
    """

    scales: dict[str, float]
    last: str
    normed: bool
    room: float


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
    calls = [(root, f"{root}.{node.target}".lstrip(".")) for root, graph in feeds.traced for node in graph.nodes]
    for root, graph in feeds.traced:
        reader = _Reader(feeds, root, graph)
        per_sum = [reader.branches(node) for node in graph.nodes if node.target in SUMS]
        if not any(outer != root and called.startswith(f"{root}.") for outer, called in calls):
            counts[root] = max(counts[root], sum(map(len, per_sum)))  # else what calls it has counted them
        for branch in (branch for each in per_sum for branch in each):
            found.setdefault((*sorted(branch.scales), branch.last if not branch.scales else ""), branch)
    return list(found.values()), sum(counts.values())


def equal_paths(feeds: Feeds) -> dict[str, tuple[int, float]]:
    """Return the last scales of sums of paths with as many linear maps each -> number of paths, and factor behind.

    No path is a shortcut there; ``n`` signals of one size add up to one with ``n`` times the second moment.

    Args:
        feeds: of the model.
    """
    found: dict[str, tuple[int, float]] = {}
    for root, graph in feeds.traced:
        reader = _Reader(feeds, root, graph)
        for node in (node for node in graph.nodes if node.target in SUMS):
            found |= reader.equal_paths(node)
    return found


class Scaled(NamedTuple):
    """A linear map, and the scale behind it.

    Attributes:
        layer: the map.
        fed: what the activation before it leaves of a signal; all, where it gets the output of another map, at most
            scaled, summed or joined on the way.
        left: what gates leave of a signal on its way to the map, 1/2 behind squeeze and excitation, with the numbers
            by which the forward multiplies there; 1 without a gate.
        carried: by what maps before this one, with no scale between, have multiplied a second moment.
    """

    layer: nn.Module
    fed: Moments
    left: float
    carried: float = 1.0

    @property
    def stretch(self) -> float:
        """By what the rows multiply a second moment, if that is more than 1; a stride of a transposed map divides it.

        ``c E[f²]``, or ``c Var[f]`` of centred rows: see :func:`cwn_lite.leaky_relu_c`. With strides that multiply to
        ``s`` each output sees ``1/s`` of a row, whose mean is not zero: ``c (E[f²] − E[f]² / s) / s``.
        """
        settings = told(self.layer)
        if settings is None or not settings.spherize:
            return 1.0
        strides = math.prod(self.layer.stride) if isinstance(self.layer, TRANSPOSED) else 1
        seen = self.fed.second - (self.fed.mean**2 / strides if settings.centred(self.layer) else 0.0)
        stretched = settings.c * seen
        return (stretched if stretched > 1 + 1e-6 else 1.0) / strides


def scaled(feeds: Feeds) -> dict[str, Scaled]:
    """Return name of a scale -> the linear map before it, with activations and reshapes between at most.

    Args:
        feeds: of the model.

    Example:
        >>> layers = [nn.Linear(4, 4), ScaleBias(4), nn.Linear(4, 4), ScaleBias(4), nn.ReLU(), nn.Linear(4, 4)]
        >>> {name: pair.fed.second for name, pair in scaled(Feeds(nn.Sequential(*layers))).items()}
        {'1': 0.5, '3': 1.0}
    """
    found: dict[str, Scaled] = {}
    for root, graph in feeds.traced:
        for name, pair in _Reader(feeds, root, graph).scaled().items():
            # Of several readings, what changes least counts.
            other = found.get(name, pair)
            left = min(pair.left, other.left, key=lambda left: abs(math.log(left)))
            fed, carried = min(pair.fed, other.fed, key=lambda fed: fed.second), min(pair.carried, other.carried)
            found[name] = Scaled(pair.layer, fed, left, carried)
    return found


def growth(feeds: Feeds) -> tuple[float, list[str]]:
    """Return the largest second moment that a traced model would make of a signal with second moment 1, and where.

    The places are the layers that multiply it, or that are added there; those of the graph where it grows most.

    A linear map keeps it, but for what its activation left too much of it; a norm makes it 1; a scale, a number and a
    parameter multiply it; a gate quarters it; a sum adds it up.

    Args:
        feeds: of the model.
    """
    found = (_Reader(feeds, root, graph).growth() for root, graph in feeds.traced)
    return max(found, key=lambda each: each[0], default=(1.0, []))


class _Reader(Reader):
    """Reads branches, scales and growth off one graph."""

    def branches(self, node: fx.Node) -> list[Branch]:
        """Return the branches that a sum adds to a stream; none if it is part of a longer sum, or feeds norms alone."""
        ways = self._summed(node)
        maps = {term: self._maps(way) for term, way in ways.items()}
        fewest = min(maps.values(), default=0)
        second, alpha = node.all_input_nodes[-1], node.kwargs.get("alpha")
        factors = dict.fromkeys(ways, self._after(node))
        if isinstance(alpha, int | float) and second in factors:
            factors[second] *= float(alpha)
        longer = [term for term in ways if maps[term] > fewest]
        kept = [factors[term] * self._numbers(term, ways[term]) for term in ways if term not in longer]
        room = max(0.0, 1 - max(map(abs, kept), default=1.0) ** 2) / max(1, len(longer))
        return [self._branch(term, ways[term], factors[term], room) for term in longer]

    def equal_paths(self, node: fx.Node) -> dict[str, tuple[int, float]]:
        """Return the last scales of the terms of a sum -> number of terms and factor, if all have as many maps."""
        ways = self._summed(node)
        maps = {self._maps(way) for way in ways.values()}
        ends = {term: self._last_scales(term, way) for term, way in ways.items()}
        if len(maps) != 1 or 0 in maps or None in ends.values():
            return {}
        after = self._after(node)
        return {name: (len(ways), after * value) for found in ends.values() for name, value in (found or {}).items()}

    def _summed(self, node: fx.Node) -> dict[fx.Node, set[fx.Node]]:
        """Return the terms of a sum and the ways to them; none if it is part of a longer sum, or feeds norms alone."""
        users = self._users(node)
        if node in self._fixed or (len(users) == 1 and users[0].target in SUMS):
            return {}
        if users and all(self._is_norm(user) for user in users):
            return {}
        return self._ways(self._terms(node))

    def _ways(self, terms: list[fx.Node]) -> dict[fx.Node, set[fx.Node]]:
        """Return for each term the nodes on the way to it from where all terms part; empty if they do not."""
        common = set.intersection(*(self._behind[term] | {term} for term in terms))
        if len(terms) < 2 or not common:
            return {}
        fork = max(common, key=self._order.__getitem__)
        return {term: self._between(term, fork) for term in terms}

    def _maps(self, way: set[fx.Node]) -> int:
        """The number of maps on the longest of the paths of a way: those side by side count once."""
        depth: dict[fx.Node, int] = {}
        for node in sorted(way, key=self._order.__getitem__):
            behind = max((depth[each] for each in self._signals[node] if each in depth), default=0)
            depth[node] = behind + self._mixes(node)
        return max(depth.values(), default=0)

    def _terms(self, node: fx.Node) -> list[fx.Node]:
        """The terms of a sum and of the sums that are part of nothing else."""
        terms, front = [], [node]
        while front:
            each = front.pop()
            if each.target in SUMS and (each is node or len(self._users(each)) == 1):
                front += reversed(self._signals[each])
            else:
                terms.append(each)
        return list(dict.fromkeys(terms))

    def _branch(self, end: fx.Node, way: set[fx.Node], factor: float, room: float) -> Branch:
        called = [each for each in way if each.op == "call_module"]
        last = self._name(max(called, key=self._order.__getitem__)) if called else str(end)
        scales = {name: factor * value for name, value in (self._last_scales(end, way) or {}).items()}
        return Branch(scales, last, any(self._is_norm(each) for each in way), room)

    def _last_scales(self, end: fx.Node, way: set[fx.Node]) -> dict[str, float] | None:
        """The last scale on each way to ``end`` and the factor behind it; ``None`` if a way has none.

        Linear maps behind a scale are walked through, as pre-activation has them.
        """
        known: dict[fx.Node, dict[str, float] | None] = {}
        for node in sorted(way, key=self._order.__getitem__):
            before = [each for each in self._signals[node] if each in way]
            if isinstance(self._called(node), ScaleBias):
                known[node] = {self._name(node): 1.0}
                continue
            factor = self._factor(node)
            if node.target in PRODUCTS and len(before) == 2:
                before = [self._gated(*before)]
            elif node.target in SUMS:
                before = [each for each in self._streams(node) if each in way]
                factor *= math.sqrt(len(before))
            elif node.target not in (*JOINS, *CHOICES):
                before = before[:1]  # what else an operation takes are sizes
            found = [known[each] for each in before]
            merged: dict[str, float] = {}
            for scales in found:
                merged |= {name: factor * value for name, value in (scales or {}).items()}
            known[node] = None if not found or None in found else merged
        return known.get(end)

    def _streams(self, node: fx.Node) -> list[fx.Node]:
        """The terms of a sum but for residual branches, which start small by themselves."""
        terms = self._terms(node)
        maps = {term: self._maps(way) for term, way in self._ways(terms).items()}
        return [term for term in terms if not maps or maps[term] == min(maps.values())]

    def maps(self) -> dict[fx.Node, Scaled]:
        """Return linear map -> what feeds it."""
        linear: dict[fx.Node, bool] = {}
        found: dict[fx.Node, Scaled] = {}
        for node in self._graph.nodes:
            before, layer = node.all_input_nodes, self._called(node)
            passes = self._kind(node) in UNBENT or node.target in (*SUMS, *JOINS)
            passes |= node.target in (*PRODUCTS, *QUOTIENTS) and len(self._signals[node]) == 1
            signals = [self._gated(before[0], before[1])] if self._halvings(node) else []
            signals = signals or (self._signals[node] if passes else [])
            linear[node] = self._is_map(node) or (bool(signals) and all(linear[each] for each in signals))
            if layer is not None and self._is_map(node) and before:
                fed = before[0]
                found[node] = Scaled(layer, LINEAR if linear[fed] else self._activation(fed), self._left(fed))
        return found

    def scaled(self) -> dict[str, Scaled]:
        """Return scale -> the map before it."""
        maps = self.maps()
        found: dict[str, Scaled] = {}
        for scale in self._graph.nodes:
            if not isinstance(self._called(scale), ScaleBias):
                continue
            path = self._unscaled(scale)
            own = [maps[node] for node in path if node in maps]
            if own:
                carried = math.prod(pair.stretch for pair in own[1:])
                found[self._name(scale)] = own[0]._replace(carried=carried)
        return found

    def _unscaled(self, node: fx.Node) -> list[fx.Node]:
        """What lies before a node, back to the last scale, norm, sum or product of signals.

        Before the first map it ends where a signal parts: what a stream and its branch have in common is no growth.
        """
        path: list[fx.Node] = []
        while len(self._signals[node]) == 1:
            node = self._signals[node][0]
            if any(map(self._is_map, path)) and len(self._users(node)) > 1:
                break
            number = node.target in (*PRODUCTS, *QUOTIENTS)
            if not (self._is_map(node) or number or self._kind(node) in HOMOGENEOUS | RESHAPES | KNOWN.keys()):
                break
            path.append(node)
        return path

    def growth(self) -> tuple[float, list[str]]:
        """Return the largest second moment in the graph, and the last layers before it grows."""
        maps = self.maps()
        places: list[fx.Node] = []
        moments: dict[fx.Node, float] = {}
        for node in self._graph.nodes:
            signals = self._signals[node]
            inputs = [moments[each] for each in signals]
            module = self._called(node)
            moment = max(inputs, default=1.0)
            if self._is_norm(node) or self._is_gate(node):
                moment = 1.0
            elif isinstance(module, ScaleBias):
                moment *= mean_square(module.weight)
            elif node in maps:
                moment *= maps[node].stretch
            elif node.target in SUMS and len(inputs) == 2:
                alpha = node.kwargs.get("alpha", 1)
                moment = inputs[0] + inputs[1] * (alpha**2 if isinstance(alpha, int | float) else 1)
            elif node.target in PRODUCTS and len(inputs) == 2:
                moment = max((moments[each] for each in signals if not self._is_gate(each)), default=1.0)
            moments[node] = min(moment * self._factor(node) ** 2, 1e30)
            if moments[node] > 1.2 * max(inputs, default=1.0):
                before = [each for each in (*self._behind[node], node) if each.op == "call_module"]
                places += [max(before, key=self._order.__getitem__)] if before else []
        return max(moments.values(), default=1.0), [self._name(node) for node in dict.fromkeys(places)]
