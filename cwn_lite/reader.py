"""What the operations of a traced forward do to a signal: keep it, multiply it, gate it, or merely ask for its size."""

import math
import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from cwn_lite.activations import KNOWN, RELU, Known, Moments, moments
from cwn_lite.feeds import NORM_FUNCTIONS, Feeds
from cwn_lite.layers import ScaleBias
from cwn_lite.rows import is_linear_map

ADDS = (operator.add, operator.iadd, torch.add, "add", "add_")
DIFFERENCES = (operator.sub, operator.isub, torch.sub, torch.subtract, "sub", "sub_", "subtract", "subtract_")
SUMS = (*ADDS, *DIFFERENCES)
PRODUCTS = (operator.mul, operator.imul, torch.mul, torch.multiply, "mul", "mul_", "multiply", "multiply_")
_DIVIDES = ("div", "div_", "divide", "divide_", "true_divide", "true_divide_")
QUOTIENTS = (operator.truediv, operator.itruediv, torch.div, torch.divide, torch.true_divide, *_DIVIDES)
JOINS = (torch.cat, torch.concat, torch.stack, "cat")
# Of two signals the larger or the smaller.
CHOICES = (torch.maximum, torch.minimum, torch.max, torch.min, "maximum", "minimum", "max", "min")
HALVES = (torch.sigmoid, F.sigmoid, F.hardsigmoid, "sigmoid", "sigmoid_")  # at the start: their inputs are about zero
GATES = (*HALVES, torch.softmax, F.softmax, "softmax")
# What keeps or scales a signal, by name, since torchvision's and timm's ways to drop a branch are not torch's own.
PASSING = {"ScaleBias", "Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "StochasticDepth", "DropPath"}
PASSING |= {"AlphaDropout", "FeatureAlphaDropout", "dropout", "alpha_dropout", "stochastic_depth", "drop_path"}
# What neither mixes channels nor bends a signal, but takes some of it, or means or largest values of neighbours.
_POOLS = ("MaxPool", "AvgPool", "AdaptiveAvgPool", "AdaptiveMaxPool", "ReflectionPad", "ReplicationPad", "ZeroPad")
POOLING = {f"{kind}{n}d" for kind in (*_POOLS, "ConstantPad", "CircularPad") for n in (1, 2, 3)}
POOLING |= {f"{kind}_pool{n}d" for kind in ("max", "avg", "adaptive_avg", "adaptive_max") for n in (1, 2, 3)}
POOLING |= {"Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d", "interpolate", "pad", "PixelShuffle"}
# What makes half of half of its input, ReLU6 if that is below 6: modules, functions and methods.
HOMOGENEOUS = PASSING - {"ScaleBias"} | POOLING | {"ReLU", "ReLU6", "LeakyReLU", "relu", "relu_", "relu6", "leaky_relu"}
RESHAPES = {"view", "reshape", "unsqueeze", "squeeze", "expand", "flatten", "permute", "contiguous"}
RESHAPES |= {"getitem", "to", "Flatten", "Unflatten", "unflatten", "transpose", "swapaxes", "movedim", "clone", "float"}
_LIKE = {"reshape_as", "view_as", "expand_as", "type_as"}  # of what comes second, the size or the dtype alone
RESHAPES |= _LIKE | {"half", "bfloat16", "type", "chunk", "split", "narrow", "roll", "flip", "ChannelShuffle"}
# What lets through all that a linear map made, and bends nothing: no pool, which takes means or the largest.
UNBENT = PASSING | RESHAPES | {kind for kind in POOLING if "max" not in kind.lower() and "avg" not in kind.lower()}
# What computes with weights beside linear maps: attention, and functions of a parameter.
_MIXING = {"MultiheadAttention"}
_FUNCTIONS = {"linear", "matmul", "mm", "einsum"}
_FUNCTIONS |= {f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)}
HALF_MODULES = (nn.Sigmoid, nn.Hardsigmoid)
GATE_MODULES = (*HALF_MODULES, nn.Softmax)
# What is asked of a signal without taking part in it.
_QUESTIONS = {"size", "dim", "ndimension", "numel", "nelement", "stride"}
_ATTRIBUTES = {"shape", "ndim", "dtype", "device", "layout"}


class Reader:
    """Reads one graph.

    Args:
        feeds: of the model.
        root: name of the module that was traced.
        graph: of its forward.
    """

    def __init__(self, feeds: Feeds, root: str, graph: fx.Graph) -> None:
        self._feeds, self._graph = feeds, graph
        self._module = feeds.modules[root]
        self._order = {node: i for i, node in enumerate(graph.nodes)}
        self._signals: dict[fx.Node, list[fx.Node]] = {}
        self._behind: dict[fx.Node, set[fx.Node]] = {}
        fixed: set[fx.Node] = set()
        for node in graph.nodes:
            inputs = node.all_input_nodes[: 1 if self._kind(node) in _LIKE else None]
            inputs = [each for each in inputs if each not in fixed]
            if self._is_fixed(node, inputs):
                fixed.add(node)
            self._signals[node] = inputs
            self._behind[node] = set(inputs).union(*(self._behind[each] for each in inputs))
        self._fixed = fixed

    def _is_fixed(self, node: fx.Node, signals: list[fx.Node]) -> bool:
        """Whether a node is no signal: a parameter, a size, and what is made of these without a linear map."""
        if node.op == "get_attr" or (node.op == "call_method" and node.target in _QUESTIONS):
            return True
        if node.op == "call_function" and node.target is getattr and node.args[1] in _ATTRIBUTES:
            return True
        return node.op.startswith("call_") and not signals and not self._is_map(node)

    def _factor(self, node: fx.Node) -> float:
        """The number by which a node multiplies, or the root of the mean square of the parameter; else 1."""
        if node.target not in (*PRODUCTS, *QUOTIENTS):
            return 1.0
        others = [*node.args, *node.kwargs.values()]
        numbers = [float(each) for each in others if isinstance(each, int | float)]
        known = [self._unshaped(each) for each in node.all_input_nodes if each in self._fixed]
        values = [self._value(str(each.target)) for each in known if each.op == "get_attr"]
        numbers += [math.sqrt(mean_square(value)) for value in values if isinstance(value, Tensor)]
        if node.target in QUOTIENTS:
            return (
                1 / numbers[0]
                if numbers and numbers[0] and self._signals[node][:1] == node.all_input_nodes[:1]
                else 1.0
            )
        return math.prod(numbers) * 0.5 ** self._halvings(node)

    def _numbers(self, end: fx.Node, way: set[fx.Node]) -> float:
        """By what the numbers on a way without sums multiply a signal; 1 if a norm is on it."""
        number, node = 1.0, end
        while node in way and self._signals[node]:
            if self._is_norm(node):
                return 1.0
            number *= abs(self._factor(node))
            signals = self._signals[node]
            node = self._gated(*signals) if node.target in PRODUCTS and len(signals) == 2 else signals[0]
        return number

    def _after(self, node: fx.Node) -> float:
        """By what numbers multiply the output of ``node`` before it is mixed, added or used twice."""
        number = 1.0
        while len(users := self._users(node)) == 1 and len(self._signals[users[0]]) == 1:
            node = users[0]
            if node.target not in (*PRODUCTS, *QUOTIENTS) and self._kind(node) not in HOMOGENEOUS | RESHAPES:
                break
            number *= abs(self._factor(node))
        return number

    def _users(self, node: fx.Node) -> list[fx.Node]:
        """What uses an output as a signal, not for its size."""
        return [each for each in node.users if each not in self._fixed and node in self._signals[each]]

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
            signals = self._signals[node]
            if node.target in (*PRODUCTS, *QUOTIENTS) and (halvings or len(signals) == 1):
                left, gates = left * abs(self._factor(node)), gates + halvings
                node = self._gated(*inputs) if halvings else signals[0]
            elif self._kind(node) in HOMOGENEOUS | RESHAPES:
                node = inputs[0]
            else:
                break
        return left if gates and left else 1.0

    def _halvings(self, node: fx.Node) -> int:
        """By how many gates that start at about one half a node multiplies a signal."""
        if node.target not in PRODUCTS or len(node.all_input_nodes) != 2:
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
        if made.target in PRODUCTS and len(made.all_input_nodes) == 2:
            both = [self._halves(each) for each in made.all_input_nodes]
            return sum(both) if all(both) else 0
        if not (made.target in HALVES or isinstance(self._called(made), HALF_MODULES)):
            return 0
        last = self._called(self._unshaped(made.all_input_nodes[0])) if made.all_input_nodes else None
        bias = getattr(last, "bias", None)
        if isinstance(bias, Tensor) and not bias.is_meta and abs(float(bias.detach().float().mean())) > 1:
            return 0
        return 1

    def _is_gate(self, node: fx.Node) -> bool:
        """Whether a node is a sigmoid or a softmax, or one that was only reshaped."""
        node = self._unshaped(node)
        return node.target in GATES or isinstance(self._called(node), GATE_MODULES)

    def _unshaped(self, node: fx.Node) -> fx.Node:
        """What a node was before it was only reshaped."""
        while self._kind(node) in RESHAPES and node.all_input_nodes:
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

    def _activation(self, node: fx.Node) -> Moments:
        """What the activation leaves through which a signal came last on its way to ``node``."""
        while self._signals[node]:
            kind, signals = self._kind(node), self._signals[node]
            if kind in KNOWN:
                return self._moments(node, KNOWN[kind])
            if node.target in PRODUCTS and len(signals) == 2:
                node = self._gated(*signals)
            elif len(signals) == 1 and (kind in PASSING | POOLING | RESHAPES or node.target in (*PRODUCTS, *QUOTIENTS)):
                node = signals[0]
            else:
                break
        return RELU

    def _moments(self, node: fx.Node, known: Known) -> Moments:
        called = self._called(node)
        value: Any = known.default
        if called is not None:
            value = getattr(called, known.attribute, value)
        elif known.attribute:
            value = node.kwargs.get(known.attribute, node.args[1] if len(node.args) > 1 else value)
        if isinstance(value, fx.Node):
            value = self._value(str(value.target)) if value.op == "get_attr" else known.default
        if isinstance(value, Tensor):
            value = known.default if value.is_meta else float(value.detach().float().mean())
        return moments(lambda z: known.function(z, value)) if isinstance(value, int | float) else RELU

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

    def _mixes(self, node: fx.Node) -> bool:
        """Whether a node computes with weights of rows: a linear map, attention, or a function of a parameter."""
        if self._is_map(node) or self._kind(node) in _MIXING:
            return True
        return self._kind(node) in _FUNCTIONS and any(self._is_weight(each) for each in node.all_input_nodes)

    def _is_weight(self, node: fx.Node) -> bool:
        """Whether a node is a parameter, or made of one."""
        while node in self._fixed and node.op != "get_attr" and node.all_input_nodes:
            node = node.all_input_nodes[0]
        return node.op == "get_attr"

    def _is_norm(self, node: fx.Node) -> bool:
        called = self._called(node)
        named = called is not None and not isinstance(called, ScaleBias) and "norm" in type(called).__name__.lower()
        return named or node.target in NORM_FUNCTIONS


def mean_square(tensor: Tensor) -> float:
    """Return the mean square of a tensor; 1 of one on the meta device."""
    return 1.0 if tensor.is_meta else float(tensor.detach().float().square().mean())
