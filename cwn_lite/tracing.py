"""The forward pass of a model as graphs, read off a stand-in, so that nothing of the model itself changes."""

import builtins
import copy
import dis
import inspect
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import CodeType
from typing import Any
from unittest import mock

import torch
from torch import Tensor, fx, nn

from cwn_lite.layers import ScaleBias
from cwn_lite.rows import is_linear_map

# What a module keeps its hooks in; those that may change what goes in, comes out, or flows back.
_HOOKS = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
)
_HOOK_FLAGS = (
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks_with_kwargs",
)
_GLOBAL_HOOKS = (
    "_global_forward_pre_hooks",
    "_global_forward_hooks",
    "_global_backward_pre_hooks",
    "_global_backward_hooks",
)
_CONTAINERS = (list, dict, set, deque)


def hooks(module: nn.Module) -> str:
    """Return what stands between ``module`` and the computation of its class: a hook, or a forward of its own.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> handle = layer.register_forward_hook(lambda module, args, out: out.relu())
        >>> hooks(layer), hooks(nn.Linear(2, 2))
        ('a forward hook', '')
    """
    names = {"_forward_pre_hooks": "a forward pre-hook", "_forward_hooks": "a forward hook"}
    for attribute in _HOOKS:
        if getattr(module, attribute):
            return names.get(attribute, "a backward hook")
    return "a forward that was set on the object" if "forward" in vars(module) else ""


def stand_in(model: nn.Module) -> dict[nn.Module, nn.Module]:
    """Return original -> copy for each module of ``model``; what a forward does to a copy, the original never sees.

    Copies hold parameters without storage, copies of all other tensors and of containers, and no hooks. Attributes
    that cannot be copied, such as a lock or a process group, are shared.
    """
    twins = {module: object.__new__(type(module)) for module in model.modules()}
    memo: dict[int, Any] = {id(module): twin for module, twin in twins.items()}
    for module in twins:
        for value in vars(module).values():
            for tensor in value.values() if isinstance(value, dict) else (value,):
                if isinstance(tensor, Tensor) and id(tensor) not in memo:
                    memo[id(tensor)] = _without_storage(tensor)
    for module, twin in twins.items():
        vars(twin).update({name: _copied(name, value, memo) for name, value in vars(module).items()})
    return twins


def _without_storage(tensor: Tensor) -> Tensor:
    if isinstance(tensor, nn.Parameter):
        bare = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
        return nn.Parameter(bare, requires_grad=tensor.requires_grad)
    return tensor.detach().clone()


def _copied(name: str, value: Any, memo: dict[int, Any]) -> Any:
    if name in (*_HOOKS, *_HOOK_FLAGS):
        return OrderedDict()
    if name == "_compiled_call_impl":
        return None
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # whatever a user's object may raise
        return copy.copy(value) if isinstance(value, _CONTAINERS) else value


class _Value(fx.Proxy):
    """A value in a traced forward, which passes for a tensor."""


class Tracer(fx.Tracer):
    """Reads one forward pass of a stand-in; hooks on containers become calls in the graph, with a label.

    Args:
        twins: original -> copy, of :func:`stand_in`.
    """

    def __init__(self, twins: dict[nn.Module, nn.Module]) -> None:
        super().__init__()
        self._twins = twins
        self._hooks = {id(twin): hooks(module) for module, twin in twins.items()}

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """Wrap a node."""
        return _Value(node, self)

    def create_arg(self, a: Any) -> Any:
        """Return the node of a value, before anything asks what kind of a tensor it is."""
        return a.node if type(a) is _Value else super().create_arg(a)

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Answer a check of the input (``assert x.shape[1] == 3``) as if it held; other questions cannot be traced."""
        frame = inspect.currentframe()
        asking = frame.f_back.f_back if frame and frame.f_back else None  # past the proxy's own __bool__
        answer = passes_check(asking.f_code, asking.f_lasti) if asking else None
        return super().to_bool(obj) if answer is None else answer

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether ``m`` is a single call in the graph."""
        if isinstance(m, ScaleBias | torch.jit.ScriptModule) or is_linear_map(m) or "forward" in vars(m):
            return True
        return super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Record or follow the call of ``m``."""
        if m in self._twins:  # reached past the stand-in, by a closure
            m = self._twins[m]
            forward = m.forward
        # Those of a layer are seen on the layer; around a container they stand between the layers in and outside of it.
        hooked = "" if self.is_leaf_module(m, "") else self._hooks.get(id(m), "")
        if hooked:
            args, kwargs = self._past(hooked, m, args), self._past(hooked, m, kwargs)
        out = super().call_module(m, forward, args, kwargs)
        return self._past(hooked, m, out) if hooked else out

    def _past(self, hooked: str, m: nn.Module, values: Any) -> Any:
        def past(value: Any) -> Any:
            if type(value) is not _Value:
                return value
            through = self.create_proxy("call_function", _hook, (value,), {})
            through.node.meta["label"] = f"{hooked} of {self.path_of_module(m)}"
            return through

        return fx.node.map_aggregate(values, past)


def _hook(value: Any) -> Any:
    return value


def trace(module: nn.Module, training: bool | None = None) -> list[fx.Graph]:
    """Return the graphs of ``module``'s forward: with all arguments, and with those left out that default to None.

    A call of a module is one node if it is a layer of torch, a scale, a registered linear map, or has a forward of
    its own on the object. A value that the forward stores on a module is listed in ``node.meta["kept"]``.

    Args:
        module: read, never changed: its attributes, buffers and containers, and those of its class and of the
            functions of its class, are what they were.
        training: the mode to trace; ``None`` takes each module's own.

    Raises:
        Exception: whatever the forward raises, since its control flow depends on data, for example.
    """
    if "forward" in vars(module):
        raise TypeError("its forward was set on the object")
    if any(getattr(nn.modules.module, hooks) for hooks in _GLOBAL_HOOKS):
        raise TypeError("hooks are set for all modules, by torch.nn.modules.module.register_module_..._hook")
    parameters = inspect.signature(module.forward).parameters
    absent = {name: None for name, parameter in parameters.items() if parameter.default is None}
    return [_graph(module, training, arguments) for arguments in ([{}, absent] if absent else [{}])]


def _graph(module: nn.Module, training: bool | None, absent: dict[str, None]) -> fx.Graph:
    twins = stand_in(module)
    if training is not None:
        for twin in twins.values():
            twin.training = training  # not .train(): on a GraphModule that may write a new forward to the class
    tracer = Tracer(twins)
    with _nothing_changes(module), _values_pass_for_tensors():
        graph = tracer.trace(twins[module], concrete_args=absent or None)
    for name, original in module.named_modules():
        for attribute, value in vars(twins[original]).items():
            for found in _values_in(value, set()):
                path = f"{name}.{attribute}" if name else attribute
                found.node.meta.setdefault("kept", []).append(path)
    return graph


def _values_in(value: Any, seen: set[int]) -> Iterator[_Value]:
    if type(value) is _Value:
        yield value
    elif id(value) not in seen and not isinstance(value, Tensor | nn.Module | fx.Tracer | fx.Graph | type):
        seen.add(id(value))
        inside = value.values() if isinstance(value, dict) else value
        if not isinstance(value, dict | list | tuple | set | deque):
            inside = vars(value).values() if hasattr(value, "__dict__") and not callable(value) else ()
        for item in list(inside):
            yield from _values_in(item, seen)


def passes_check(code: CodeType, offset: int) -> bool | None:
    """Return the truth value with which the branch at ``offset`` avoids an exception; ``None`` if neither side raises.

    Example:
        >>> def forward(x):
        ...     assert x
        >>> jump = next(i for i in dis.get_instructions(forward) if "JUMP" in i.opname)
        >>> passes_check(forward.__code__, jump.offset)
        True
    """
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("CACHE", "EXTENDED_ARG", "NOT_TAKEN")]
    here = next((i for i, step in enumerate(steps) if step.offset >= offset), len(steps) - 1)
    here += steps[here].opname == "TO_BOOL"
    jump = steps[here]
    if "JUMP" not in jump.opname or not jump.opname.endswith(("IF_TRUE", "IF_FALSE")):
        return None
    jumps_on = jump.opname.endswith("IF_TRUE")
    target = next((i for i, step in enumerate(steps) if step.offset >= int(jump.argval)), len(steps))
    if _raises(steps[here + 1 :]):
        return jumps_on
    return not jumps_on if _raises(steps[target:]) else None


def _raises(steps: list[dis.Instruction]) -> bool:
    for step in steps:
        if step.opname == "RAISE_VARARGS":
            return True
        if any(word in step.opname for word in ("JUMP", "RETURN", "YIELD", "FOR_ITER")):
            return False
    return False


@contextmanager
def _values_pass_for_tensors() -> Iterator[None]:
    """While this lasts, ``isinstance(value, Tensor)`` is true of a traced value, as it will be of the tensor.

    Python's own ``isinstance`` is exchanged, since C code that met a ``__class__`` of Tensor would read its memory.
    """
    original = builtins.isinstance

    def check(value: Any, kinds: Any) -> bool:
        if type(value) is not _Value:
            return original(value, kinds)
        flat = kinds if type(kinds) is tuple else getattr(kinds, "__args__", (kinds,))
        if any(kind is Tensor or (type(kind) is tuple and check(value, kind)) for kind in flat):
            return True
        return any(original(value, k) for k in flat if type(k) is not tuple and not issubclass(k, Tensor))

    with mock.patch.object(builtins, "isinstance", check):
        yield


@contextmanager
def _nothing_changes(model: nn.Module) -> Iterator[None]:
    """Restore, on leaving, the containers outside of modules that a forward may write to, and the random states."""
    before = [(container, copy.copy(container)) for container in _outside(model)]
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.callback(random.setstate, random.getstate())
        try:
            yield
        finally:
            for container, content in before:
                _restore(container, content)


def _outside(model: nn.Module) -> list[Any]:
    """Containers on the classes of modules, and those that their functions know as globals or from a closure."""
    found: dict[int, Any] = {}
    classes = {cls for module in model.modules() for cls in type(module).__mro__}
    for cls in classes:
        if cls.__module__.partition(".")[0] in ("torch", "builtins"):
            continue
        known = list(vars(cls).values())
        for function in [f for f in known if inspect.isfunction(f)]:
            known += function.__globals__.values()
            known += [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        found.update({id(value): value for value in known if type(value) in _CONTAINERS})
    return list(found.values())


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a variable that has no value yet
        return False


def _restore(container: Any, content: Any) -> None:
    if isinstance(container, dict):
        same = len(container) == len(content) and all(container.get(k) is v for k, v in content.items())
    else:
        same = len(container) == len(content) and all(a is b for a, b in zip(container, content, strict=True))
    if same:
        return
    container.clear()
    (container.extend if isinstance(container, list | deque) else container.update)(content)
