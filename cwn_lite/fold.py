"""Folding for inference: the scale and bias disappear into the layer before them."""

import copy
import inspect

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from cwn_lite.checks import check_module
from cwn_lite.layers import ScaleBias
from cwn_lite.report import LayerReport, Report
from cwn_lite.rows import LINEAR_MAPS, TRANSPOSED
from cwn_lite.surgery import swap_modules


def fold(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` in which each scale and bias that follows a linear map is part of that map.

    ``γ (Wx + b) + β = (γW) x + (γb + β)``: the copy has plain layers with bias and no normalization left there.

    Which layer follows which is read from the traced forward pass, so a pair is folded only if the linear map feeds
    that scale alone. Parts that cannot be traced, because their control flow depends on data, are searched piece by
    piece; each piece is taken to be called as a whole. A scale that follows no linear map, as in pre-activation
    networks, stays. A Linear in front of a scale is taken to have outputs ``(N, C)``: with further axes, the two act
    on different ones.

    Args:
        model: in eval mode; never modified.

    Returns:
        The copy, in eval mode. Its attribute ``report`` says for each scale whether it was folded, and why not.

    Raises:
        ValueError: a part of ``model`` is in training mode, where the noise cannot be folded.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), ScaleBias(8), nn.ReLU()).eval()
        >>> deployed = fold(net)
        >>> print(deployed.report)
        1  ScaleBias  folded  into 0
        >>> x = torch.randn(2, 3, 5, 5)
        >>> torch.allclose(deployed(x), net(x), atol=1e-6), deployed[0].bias is not None
        (True, True)
    """
    check_module("model", model)
    training = [name or "model" for name, m in model.named_modules() if m.training and isinstance(m, ScaleBias)]
    if training or model.training:
        raise ValueError(f"model is in training mode ({(training or ['model'])[0]}); call model.eval() before folding")
    model = copy.deepcopy(model)
    modules = dict(model.named_modules())
    feeds = _Feeds(model)
    lines, folded = [], {}
    for name, scale in modules.items():
        if not isinstance(scale, ScaleBias):
            continue
        source, reason = feeds.source(name, modules)
        if source:
            _absorb(modules[source], scale)
            folded[id(scale)] = nn.Identity()
        lines.append(
            LayerReport(name, "ScaleBias", "folded" if source else "kept", f"into {source}" if source else reason)
        )
    swap_modules(model, folded)
    # A Module is typed to hold tensors and modules only; a plain attribute is fine.
    model.report = Report(tuple(lines))  # type: ignore[assignment]
    return model


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, ScaleBias) or super().is_leaf_module(m, module_qualified_name)


class _Feeds:
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
        """The one linear map to fold ``scale`` into, or no name and the reason."""
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


@torch.no_grad()
def _absorb(layer: nn.Module, scale: ScaleBias) -> None:
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor) and not isinstance(bias, nn.Module)
    dtype = torch.promote_types(weight.dtype, torch.float32)
    gamma, beta = scale.weight.to(dtype), scale.bias.to(dtype)
    if isinstance(layer, TRANSPOSED):
        shape = (layer.groups, 1, -1) + (1,) * (weight.ndim - 2)
        folded = (weight.to(dtype).unflatten(0, (layer.groups, -1)) * gamma.reshape(shape)).flatten(0, 1)
    else:
        folded = weight.to(dtype) * gamma.reshape(-1, *[1] * (weight.ndim - 1))
    shifted = beta if bias is None else bias.to(dtype) * gamma + beta
    # New parameters, not new values: another layer may hold the same ones.
    layer.weight = nn.Parameter(folded.to(weight.dtype), requires_grad=weight.requires_grad)
    layer.bias = nn.Parameter(shifted.to(weight.dtype), requires_grad=weight.requires_grad)
