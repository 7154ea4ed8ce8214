"""Which layer feeds which, read from traced forward passes."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from cwn_lite.fused import FusedMap, FusedScaleBias
from cwn_lite.layers import ScaleBias
from cwn_lite.rows import LINEAR_MAPS, is_linear_map
from cwn_lite.stand_in import hooks
from cwn_lite.tracing import UntraceableError, trace

NORM_FUNCTIONS = (F.batch_norm, F.layer_norm, F.group_norm, F.instance_norm, F.rms_norm)
# What a layer runs and reads; a subclass that has one of these of its own may compute something else.
_OWN = (
    "forward",
    "_conv_forward",
    "__call__",
    "_call_impl",
    "_wrapped_call_impl",
    "__getattr__",
    "__getattribute__",
    "weight",
    "bias",
)


class Source(NamedTuple):
    """The linear map that a scale can become part of, or an empty name and why there is none."""

    name: str
    reason: str = ""
    code: str = ""


class Feeds:
    """For each module call found by tracing: who made its input, and who uses its output.

    Args:
        model: read, never changed.
        modes: modes to trace, as for :func:`cwn_lite.tracing.trace`; what holds must hold in each of them.
        verified: what is found will be tried on a real input. Otherwise a Sequential in a part that cannot be traced
            is not trusted: what iterates over it may use its layers' outputs one by one.
    """

    def __init__(self, model: nn.Module, modes: Sequence[bool | None] = (None,), *, verified: bool = False) -> None:
        self.verified = verified
        self.grad: dict[str, set[bool]] = {}
        self.inputs: dict[str, set[str]] = {}
        self.users: dict[str, set[str]] = {}
        self.touched: set[str] = set()  # modules that are, or may be, used in another way than by a traced call
        self.failures: dict[str, str] = {}  # name of a module whose forward could not be traced -> why
        self.traced: list[tuple[str, fx.Graph]] = []  # name of what was traced, and its graph
        self.modules = dict(model.named_modules())
        self._names: dict[int, str] = {id(module): name for name, module in self.modules.items()}
        for training in modes:
            self._search(model, training)

    @property
    def graphs(self) -> list[fx.Graph]:
        """Those of the whole model, where it could be traced."""
        return [graph for name, graph in self.traced if not name]

    def name(self, module: nn.Module) -> str:
        """Return the name of one of the model's modules, the first where it has several."""
        return self._names[id(module)]

    def _search(self, module: nn.Module, training: bool | None) -> None:
        """Trace ``module``; where that fails or leaves parts out, trace those parts on their own."""
        seen: set[str] = set()
        name = self._names[id(module)]
        try:
            readings = trace(module, training)
        except (Exception, UntraceableError) as error:  # whatever a forward may raise
            self._distrust(module)
            if has_forward(module):
                kind = type(error).__name__
                self.failures[name] = textwrap.shorten(f"{kind}: {error}", 200, placeholder=" ...")
        else:
            self.traced += [(name, reading.graph) for reading in readings]
            for reading in readings:
                self._read(module, reading.graph)
                self.touched |= {f"{name}.{used}".lstrip(".").rpartition(".")[0] for used in reading.used}
                seen |= {str(node.target) for node in reading.graph.nodes if node.op == "call_module"}
        for path, child in module.named_children():
            if any(child.children()) and not any(target == path or target.startswith(path + ".") for target in seen):
                self._search(child, training)

    def _distrust(self, module: nn.Module) -> None:
        """Count the children as touched, and those of Sequentials among them, which may be iterated over."""
        for child in module.children():
            self.touched.add(self._names[id(child)])
            if isinstance(child, nn.Sequential) and not self.verified:
                self._distrust(child)

    def _read(self, root: nn.Module, graph: fx.Graph) -> None:
        prefix = self._names[id(root)]

        def name(path: str) -> str:
            return self._names[id(root.get_submodule(path))]

        def label(node: fx.Node) -> str:
            if node.op == "call_module":
                return name(str(node.target))
            ends = {"placeholder": "an input", "output": "the output"}
            return str(node.meta.get("label") or ends.get(node.op, f"{node.name}()"))

        for node in graph.nodes:
            if node.op == "call_module":
                self.inputs.setdefault(label(node), set()).update(label(arg) for arg in node.all_input_nodes)
                self.grad.setdefault(label(node), set()).add(node.meta["grad"])
                users = self.users.setdefault(label(node), set())
                users.update(label(user) for user in node.users)
                users.update(
                    f"{prefix}.{path}".lstrip(".") + ", where it is kept" for path in node.meta.get("kept", ())
                )
            elif node.op == "get_attr":
                self.touched.add(name(str(node.target).rpartition(".")[0]))

    def source(self, scale: str) -> Source:
        """Return the one linear map that ``scale`` can become part of, or no name and the reason."""
        inputs = self.inputs.get(scale)
        if not inputs:
            return Source("", f"its place in the forward pass could not be traced{self._failure(scale)}", "untraced")
        if len(inputs) > 1:
            return Source("", f"it is fed by several layers: {', '.join(sorted(inputs))}", "several_inputs")
        (source,) = inputs
        layer = self.modules.get(source)
        if layer is None or not isinstance(layer, LINEAR_MAPS):
            follows = f"{type(layer).__name__} {source}" if layer is not None else source
            return Source("", f"it follows {follows}, no linear map", "no_linear_map")
        for name in (source, scale):
            if found := hooks(self.modules[name]):
                return Source("", f"{name} has {found}", "hooked")
        if self.users[source] != {scale}:
            return Source("", f"{source} also feeds {', '.join(sorted(self.users[source] - {scale}))}", "other_uses")
        if self.grad[source] != self.grad[scale]:
            return Source("", f"gradients are recorded for one of {source} and {scale} alone", "no_grad")
        if {source, scale} & self.touched:
            why = f"{source} or its parameters may be used elsewhere too"
            return Source("", why + self._failure(source), "other_uses")
        if parametrize.is_parametrized(layer) or not isinstance(layer._parameters.get("weight"), Tensor):
            return Source(
                "", f"the weight of {source} is parametrized; remove the parametrization first", "parametrized"
            )
        if not _is_stock(layer):
            return Source("", f"{source} is a {type(layer).__name__}, which has a forward of its own", "own_forward")
        own = {"scale", "check"} & vars(self.modules[scale]).keys()
        if type(self.modules[scale]) not in (ScaleBias, FusedScaleBias) or own:
            return Source("", "a subclass of ScaleBias may compute something else", "own_forward")
        width = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
        features = self.modules[scale].num_features
        if width != features:
            return Source("", f"{source} has {width} outputs, not {features}", "width")
        return Source(source)

    def heads(self) -> set[str] | None:
        """Return the linear maps whose output becomes the model's without a scale or another map behind them.

        Of a model that has no forward, those of its parts. ``None`` if a forward that counts could not be traced.
        """
        parts = self.parts()
        if not parts or not parts.isdisjoint(self.failures) or not parts <= {name for name, _ in self.traced}:
            return None
        found: set[str] = set()
        for root, graph in ((root, graph) for root, graph in self.traced if root in parts):
            front = [node for node in graph.nodes if node.op == "output"]
            seen = set(front)
            while front:
                node = front.pop()
                module = self.modules.get(f"{root}.{node.target}".lstrip(".")) if node.op == "call_module" else None
                if module is not None and is_linear_map(module):
                    found.add(self._names[id(module)])
                elif not _has_scale(module) and node.target not in NORM_FUNCTIONS:
                    new = set(node.all_input_nodes) - seen
                    seen |= new
                    front += new
        return found

    def parts(self, name: str = "") -> set[str]:
        """Return the module of this name, or, if it has no forward, as a ModuleDict, its parts that have layers."""
        module = self.modules[name]
        if has_forward(module):
            return {name} if any(module.children()) or not name else set()
        children = (self._names[id(child)] for child in module.children())
        return set().union(*(self.parts(child) for child in children))

    def _failure(self, name: str) -> str:
        """Why the module around ``name`` could not be traced, as the end of a sentence."""
        parts = name.split(".")
        for end in range(len(parts) - 1, -1, -1):
            outer = ".".join(parts[:end])
            if outer in self.failures:
                where = f" of {outer}" if outer else ""
                return f" (the forward{where} raised {self.failures[outer]})"
        return ""


def has_forward(module: nn.Module) -> bool:
    """Return whether a module can be called; a ModuleDict, for one, cannot."""
    return type(module).forward is not nn.Module.forward or "forward" in vars(module)


def _is_stock(layer: nn.Module) -> bool:
    """Whether a linear map computes what torch's class of that kind does."""
    base = next(kind for kind in LINEAR_MAPS if isinstance(layer, kind))
    derived = type(layer).__mro__[: type(layer).__mro__.index(base)]
    ours = FusedMap.__module__  # a fused layer counts as what it was
    return not any(own in vars(kind) for kind in derived if kind.__module__ != ours for own in _OWN)


def _has_scale(module: nn.Module | None) -> bool:
    """Whether a called module holds weights that mix its inputs, or a scale per channel: not an activation."""
    if module is None:
        return False
    norm = isinstance(module, ScaleBias) or "norm" in type(module).__name__.lower()
    return norm or any(p.ndim > 1 for p in module.parameters())
