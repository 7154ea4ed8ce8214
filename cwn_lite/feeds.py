"""Which layer feeds which, read from a traced forward pass."""

import inspect

from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from cwn_lite.layers import ScaleBias
from cwn_lite.rows import LINEAR_MAPS


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, ScaleBias) or super().is_leaf_module(m, module_qualified_name)


class Feeds:
    """For each module call found by tracing: who made its input, and who uses its output."""

    def __init__(self, model: nn.Module) -> None:
        self.inputs: dict[str, set[str]] = {}
        self.users: dict[str, set[str]] = {}
        self.touched: set[str] = set()  # modules that are, or may be, used in another way than by a traced call
        self._names: dict[int, str] = {id(module): name for name, module in model.named_modules()}
        self._search(model)

    def _search(self, module: nn.Module) -> None:
        """Trace ``module``; where that fails or leaves parts out, trace those parts on their own."""
        seen: set[str] = set()
        try:
            graphs = _trace(module)
        except Exception:  # data-dependent control flow, unsupported arguments: whatever a user's forward may raise
            self.touched |= {self._names[id(child)] for child in module.children()}
        else:
            for graph in graphs:
                self._read(module, graph)
                seen |= {str(node.target) for node in graph.nodes if node.op == "call_module"}
        for name, child in module.named_children():
            if any(child.children()) and not any(target == name or target.startswith(name + ".") for target in seen):
                self._search(child)

    def _read(self, root: nn.Module, graph: fx.Graph) -> None:
        def name(path: str) -> str:
            return self._names[id(root.get_submodule(path))]

        def label(node: fx.Node) -> str:
            if node.op == "call_module":
                return name(str(node.target))
            return {"placeholder": "an input", "output": "the output"}.get(node.op, f"{node.name}()")

        for node in graph.nodes:
            if node.op == "call_module":
                self.inputs.setdefault(label(node), set()).update(label(arg) for arg in node.all_input_nodes)
                self.users.setdefault(label(node), set()).update(label(user) for user in node.users)
            elif node.op == "get_attr":
                self.touched.add(name(str(node.target).rpartition(".")[0]))

    def source(self, scale: str, modules: dict[str, nn.Module]) -> tuple[str, str]:
        """Return the one linear map that ``scale`` can become part of, or no name and the reason."""
        inputs = self.inputs.get(scale)
        if not inputs:
            return "", "its place in the forward pass could not be traced"
        if len(inputs) > 1:
            return "", f"it is fed by several layers: {', '.join(sorted(inputs))}"
        (source,) = inputs
        layer = modules.get(source)
        if not isinstance(layer, LINEAR_MAPS):
            return "", f"it follows {f'{type(layer).__name__} {source}' if layer else source}, no linear map"
        if self.users[source] != {scale}:
            return "", f"{source} also feeds {', '.join(sorted(self.users[source] - {scale}))}"
        if {source, scale} & self.touched:
            return "", f"{source} or its parameters may be used elsewhere too"
        if parametrize.is_parametrized(layer) or not isinstance(layer._parameters.get("weight"), Tensor):
            return "", f"the weight of {source} is parametrized; remove the parametrization first"
        width = getattr(layer, "out_features", None) or getattr(layer, "out_channels", None)
        if width != modules[scale].num_features:
            return "", f"{source} has {width} outputs, not {modules[scale].num_features}"
        return source, ""


def _trace(module: nn.Module) -> list[fx.Graph]:
    """The graph of ``module`` with all its arguments, and the one with those left out that default to None."""
    graphs = [_Tracer().trace(module)]
    parameters = inspect.signature(module.forward).parameters
    absent = {name: None for name, parameter in parameters.items() if parameter.default is None}
    if absent:
        graphs.append(_Tracer().trace(module, concrete_args=absent))
    return graphs
