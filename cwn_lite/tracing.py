"""The forward pass of a model as graphs, read off a stand-in, so that nothing of the model itself changes."""

import dis
import inspect
import itertools
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from cwn_lite.layers import ScaleBias
from cwn_lite.rows import is_linear_map
from cwn_lite.stand_in import HOOKS, BareParameter, Parameters, hooks, inside, stand_in
from cwn_lite.surroundings import kept, namespaces

# torch.fx exchanges parts of torch while it traces: one trace at a time, and other threads see torch as it was.
_ONE_AT_A_TIME = threading.RLock()
# Optional arguments of which all combinations are traced; of more, only all and none.
_MOST_OPTIONAL = 3


_GIVEN = object()


class UntraceableError(BaseException):
    """A forward asked a traced value for what only a number could tell. No Exception: a forward may catch those."""


class Reading(NamedTuple):
    """One traced forward.

    Attributes:
        graph: values that the forward stored on a module are listed in ``node.meta["kept"]``; ``node.meta["label"]``
            names what is no call of the forward's own; ``node.meta["grad"]`` says whether gradients are recorded.
        used: names of parameters with which something was computed past the attributes of their modules.
    """

    graph: fx.Graph
    used: set[str]


class _Value(fx.Proxy):
    """A value in a traced forward, which passes for a tensor."""

    def __getattr__(self, name: str) -> Any:
        # An input may be anything; what a layer returns is a tensor, and a forward may ask what it has.
        if self.node.op != "placeholder" and not hasattr(Tensor, name):
            raise AttributeError(f"'Tensor' object has no attribute '{name}'")
        return super().__getattr__(name)

    def _refuse(self, *_: Any) -> Any:
        raise UntraceableError("symbolically traced variables cannot be used as inputs to control flow")

    __len__ = __int__ = __float__ = __index__ = __complex__ = _refuse


class Tracer(fx.Tracer):
    """Reads one forward pass of a stand-in; hooks on containers become calls in the graph, with a label.

    Args:
        twins: original -> copy, of :func:`cwn_lite.stand_in.stand_in`.
    """

    def __init__(self, twins: dict[nn.Module, nn.Module]) -> None:
        super().__init__()
        self._twins = twins
        self._hooks = {id(twin): hooks(module) for module, twin in twins.items()}
        self._thread = threading.get_ident()

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """Wrap a node."""
        return _Value(node, self)

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        """Note the mode of gradients beside what is computed."""
        node = super().create_node(*args, **kwargs)
        node.meta["grad"] = torch.is_grad_enabled()
        return node

    def create_arg(self, a: Any) -> Any:
        """Return the node of a value, before anything asks what kind of a tensor it is."""
        return a.node if type(a) is _Value else super().create_arg(a)

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Answer a check of the input (``assert x.shape[1] == 3``) as if it held; other questions cannot be traced."""
        frame = inspect.currentframe()
        asking = frame.f_back.f_back if frame and frame.f_back else None  # past the proxy's own __bool__
        answer = passes_check(asking.f_code, asking.f_lasti) if asking else None
        if answer is None:
            raise UntraceableError("symbolically traced variables cannot be used as inputs to control flow")
        return answer

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        """Unpack a value where the number of parts is known from the code that asks."""
        try:
            return super().iter(obj)
        except fx.proxy.TraceError as error:
            raise UntraceableError(str(error)) from error

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether ``m`` is a single call in the graph."""
        if isinstance(m, ScaleBias | torch.jit.ScriptModule) or is_linear_map(m) or "forward" in vars(m):
            return True
        return super().is_leaf_module(m, module_qualified_name)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: Any) -> Any:
        """Return a value for a parameter; other threads go on reading theirs."""
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Record or follow the call of ``m``."""
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
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


def trace(module: nn.Module, training: bool | None = None) -> list[Reading]:
    """Read ``module``'s forward with each combination of its switches and optional arguments.

    A call of a module is one node if it is a layer of torch, a scale, a registered linear map, or has a forward of
    its own on the object. Arguments without a default, and optional ones that are given, are taken to be tensors.

    Args:
        module: read, never changed, nor is what :func:`cwn_lite.surroundings.kept` lists.
        training: the mode to trace; ``None`` takes each module's own.

    Raises:
        UntraceableError: the control flow of the forward depends on data.
        Exception: whatever the forward raises, or that the forward cannot be told from its class.
    """
    if "forward" in vars(module):
        raise TypeError("its forward was set on the object")
    if any(hasattr(type(part), "__del__") for part in module.modules()):
        raise TypeError("a module has __del__, which a copy of it would run")
    if any(getattr(nn.modules.module, f"_global{attribute}") for attribute in HOOKS):
        raise TypeError("hooks are set for all modules, by torch.nn.modules.module.register_module_..._hook")
    return [_read(module, training, fixed, seed) for seed, fixed in enumerate(_fixed_arguments(module))]


def _fixed_arguments(module: nn.Module) -> list[dict[str, Any]]:
    """The arguments that are no tensors: switches either way, optional ones left out or not, others as by default."""
    parameters = inspect.signature(module.forward).parameters
    given = {name: p.default for name, p in parameters.items() if p.default is not inspect.Parameter.empty}
    optional = [name for name, default in given.items() if default is None]
    switches = {name: default for name, default in given.items() if isinstance(default, bool)}
    others = {name: default for name, default in given.items() if default is not None and name not in switches}
    choices: list[list[tuple[str, Any]]] = [
        [(name, not default), (name, default)] for name, default in switches.items()
    ]
    choices += [[(name, _GIVEN), (name, None)] for name in optional]
    if len(choices) > _MOST_OPTIONAL:
        chosen = [tuple(pair[i] for pair in choices) for i in (0, 1)]
    else:
        chosen = list(itertools.product(*choices))
    return [others | {name: value for name, value in pairs if value is not _GIVEN} for pairs in chosen]


def _read(module: nn.Module, training: bool | None, left_out: dict[str, Any], seed: int) -> Reading:
    with _ONE_AT_A_TIME, kept(module):
        twins = stand_in(module)
        if training is not None:
            for twin in twins.values():
                twin.training = training  # not .train(): on a GraphModule that may write a new forward to the class
        torch.default_generator.manual_seed(seed)  # a path that is drawn is not always the same one
        random.seed(seed)
        with _values_pass_for_tensors(namespaces(module)), torch.inference_mode(False), torch.enable_grad():
            graph = Tracer(twins).trace(twins[module], concrete_args=left_out or None)
    used = set()
    for name, original in module.named_modules():
        for attribute, value in vars(twins[original]).items():
            for found in _values_in(value, set()):
                path = f"{name}.{attribute}" if name else attribute
                found.node.meta.setdefault("kept", []).append(path)
        parameters = twins[original]._parameters
        owns = [own for own, p in parameters.items() if isinstance(p, BareParameter) and p.used]
        if isinstance(parameters, Parameters) and parameters.asked:
            owns.append(parameters.asked)
        used |= {f"{name}.{own}".lstrip(".") for own in owns}
    return Reading(graph, used)


# A module of Python leads to all that it imports: a sharded layer holds one, and with it all of torch.
_NOT_LOOKED_INTO = (Tensor, nn.Module, fx.Tracer, fx.Graph, type, ModuleType)


def _values_in(value: Any, seen: set[int]) -> Iterator[_Value]:
    if type(value) is _Value:
        yield value
    elif id(value) not in seen and not isinstance(value, _NOT_LOOKED_INTO):
        seen.add(id(value))
        for item in [] if callable(value) else inside(value):
            yield from _values_in(item, seen)


def passes_check(code: CodeType, offset: int) -> bool | None:
    """Return the truth value with which the branch at ``offset`` avoids an exception; ``None`` if neither side raises.

    Nor is there one where the exception may be caught by the same function.

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
    if (
        "JUMP" not in jump.opname
        or not jump.opname.endswith(("IF_TRUE", "IF_FALSE"))
        or _is_guarded(code, steps[:here])
    ):
        return None
    jumps_on = jump.opname.endswith("IF_TRUE")
    target = next((i for i, step in enumerate(steps) if step.offset >= int(jump.argval)), len(steps))
    if _raises(steps[here + 1 :]):
        return jumps_on
    return not jumps_on if _raises(steps[target:]) else None


def _is_guarded(code: CodeType, before: list[dis.Instruction]) -> bool:
    """Whether the place behind ``before`` is in a ``try`` (or a ``with``, which looks the same)."""
    table = getattr(dis, "_parse_exception_table", None)  # Python 3.11 and newer; before, a block begins with SETUP
    if table is None or not hasattr(code, "co_exceptiontable"):
        return any(step.opname.startswith("SETUP_") for step in before)
    offset = before[-1].offset if before else 0
    return any(entry.start <= offset < entry.end for entry in table(code))


def _raises(steps: list[dis.Instruction]) -> bool:
    for step in steps:
        if step.opname == "RAISE_VARARGS":
            return True
        if any(word in step.opname for word in ("JUMP", "RETURN", "YIELD", "FOR_ITER")):
            return False
    return False


@contextmanager
def _values_pass_for_tensors(spaces: list[dict[str, Any]]) -> Iterator[None]:
    """While this lasts, ``isinstance(value, Tensor)`` is true of a traced value, as it will be of the tensor.

    A name in the modules of user code hides Python's own. No ``__class__`` of Tensor on the value, whose memory C code
    would then read; and nothing in ``builtins``, of which a part of torch that is imported meanwhile may keep a table.
    """

    def check(value: Any, kinds: Any) -> bool:
        if type(value) is not _Value:
            return isinstance(value, kinds)
        flat = kinds if type(kinds) is tuple else getattr(kinds, "__args__", (kinds,))
        if any(kind is Tensor or (type(kind) is tuple and check(value, kind)) for kind in flat):
            return True
        others = [k for k in flat if type(k) is not tuple and not (isinstance(k, type) and issubclass(k, Tensor))]
        return any(isinstance(value, k) for k in others)

    before = [space.get("isinstance") for space in spaces]
    try:
        for space in spaces:
            space["isinstance"] = check
        yield
    finally:
        for space, own in zip(spaces, before, strict=True):
            if own is None:
                del space["isinstance"]
            else:
                space["isinstance"] = own
