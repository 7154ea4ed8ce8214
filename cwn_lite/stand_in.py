"""Copies of a model that share nothing with it that a forward pass could change."""

import copy
import enum
import functools
import types
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
"""Where a module keeps what may change what goes in, comes out, or flows back."""
_HOOK_FLAGS = ("_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs")
_CONTAINERS = (list, dict, set, deque)
# Larger containers hold data and no layers: copying them would take minutes.
LARGEST_CONTAINER = 10_000
_AS_THEY_ARE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, str, bytes, int, float, complex)


class BareParameter(nn.Parameter):
    """A parameter without storage, which notes whether anything was computed with it."""

    used: bool = False

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for value in args:
            if type(value) is cls:
                value.used = True
        return super().__torch_function__(func, types, args, kwargs or {})


def hooks(module: nn.Module) -> str:
    """Return what stands between ``module`` and the computation of its class: a hook, or a forward of its own.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> handle = layer.register_forward_hook(lambda module, args, out: out.relu())
        >>> hooks(layer), hooks(nn.Linear(2, 2))
        ('a forward hook', '')
    """
    # Plain lines, since a fused layer asks at every call.
    if module._forward_pre_hooks:
        return "a forward pre-hook"
    if module._forward_hooks:
        return "a forward hook"
    if module._backward_hooks or module._backward_pre_hooks:
        return "a backward hook"
    return "a forward that was set on the object" if "forward" in vars(module) else ""


class Parameters(dict[str, Any]):
    """The parameters of a module, which note whether one was asked for that is not there."""

    asked: str = ""

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if value is None:
            self.asked = name
        return value


def stand_in(model: nn.Module) -> dict[nn.Module, nn.Module]:
    """Return original -> copy for each module of ``model``; what a forward does to a copy, the original never sees.

    Copies hold parameters without storage, copies of all other tensors, of containers and of objects, and no hooks.
    What cannot be copied, such as a lock, an open file or a process group, and containers of more than
    ``LARGEST_CONTAINER`` entries are shared.

    Args:
        model: read, never changed.
    """
    twins = {module: object.__new__(type(module)) for module in model.modules()}
    copies = _Copies(_without_storage, {id(module): twin for module, twin in twins.items()})
    for module, twin in twins.items():
        for name, value in vars(module).items():
            if name in (*HOOKS, *_HOOK_FLAGS):
                vars(twin)[name] = OrderedDict()
            elif name == "_parameters":
                vars(twin)[name] = Parameters({key: copies.of(parameter) for key, parameter in value.items()})
            else:
                vars(twin)[name] = None if name == "_compiled_call_impl" else copies.of(value)
    return twins


def duplicate(model: nn.Module) -> Any:
    """Return a deep copy of ``model``, also where it keeps results of computations, which torch refuses to copy.

    Args:
        model: read, never changed. Each module of the copy is in the mode of its original.

    Raises:
        Exception: whatever an attribute raises that cannot be copied.
    """
    results = {}
    for module in model.modules():
        for name, value in vars(module).items():
            if name != "_modules":
                results.update({id(t): t.detach().clone() for t in tensors_in(value) if not t.is_leaf})
    twin = copy.deepcopy(model, results)
    for original, copied in zip(model.modules(), twin.modules(), strict=True):
        copied.training = original.training  # the copy of a torch.fx.GraphModule starts in training mode
    return twin


def tensors_in(value: Any, seen: set[int] | None = None) -> Iterator[Tensor]:
    """Yield all tensors in ``value``, in containers and attributes of objects, in order; not those of modules in it.

    Example:
        >>> [t.item() for t in tensors_in({"a": [torch.tensor(1), (torch.tensor(2),)]})]
        [1, 2]
    """
    seen = set() if seen is None else seen
    if isinstance(value, Tensor):
        yield value
    elif id(value) not in seen and not isinstance(value, (nn.Module, *_AS_THEY_ARE)):
        seen.add(id(value))
        for item in inside(value):
            yield from tensors_in(item, seen)


def inside(value: Any) -> list[Any]:
    """Return what a container or object holds; nothing of a larger container than that, a data set."""
    if isinstance(value, _CONTAINERS) and len(value) > LARGEST_CONTAINER:
        return []
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset | deque):
        return list(value)
    slots = [name for kind in type(value).__mro__ for name in _slots(kind)]
    held = [getattr(value, name) for name in slots if hasattr(value, name)]
    return [*held, *(vars(value).values() if hasattr(value, "__dict__") else ())]


def _slots(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ()) if kind.__module__.partition(".")[0] not in ("builtins", "torch") else ()
    return [name for name in ((slots,) if isinstance(slots, str) else slots) if name not in ("__dict__", "__weakref__")]


def _without_storage(tensor: Tensor) -> Tensor:
    if isinstance(tensor, nn.parameter.UninitializedParameter):
        return tensor  # it has no shape yet, and nothing that could change
    if isinstance(tensor, nn.Parameter):
        bare = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
        return BareParameter(bare, requires_grad=tensor.requires_grad)
    return tensor.detach().clone()


class _Copies:
    """Deep copies that never fail: what ``copy.deepcopy`` gives up on is shared, and its surroundings are copied."""

    def __init__(self, tensor: Callable[[Tensor], Tensor], known: dict[int, Any]) -> None:
        self._tensor, self._known = tensor, known
        self._alive: list[Any] = []  # an id is good while its object is

    def of(self, value: Any) -> Any:
        if isinstance(value, _AS_THEY_ARE) or value is None:
            return value
        if id(value) not in self._known:
            self._alive.append(value)
            copied = self._copy(value)
            self._known[id(value)] = copied
        return self._known[id(value)]

    def _copy(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, tuple):
            items = [self.of(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        if isinstance(value, _CONTAINERS):
            try:
                return value if len(value) > LARGEST_CONTAINER else self._container(value)
            except Exception:  # a dict that refuses to be written to, for example
                return self._deepcopied(value)
        if isinstance(value, types.MethodType):
            return types.MethodType(value.__func__, self.of(value.__self__))
        if isinstance(value, functools.partial):
            words = {key: self.of(word) for key, word in value.keywords.items()}
            return functools.partial(self.of(value.func), *map(self.of, value.args), **words)
        if isinstance(value, weakref.ref):
            return weakref.ref(self.of(value())) if id(value()) in self._known else value
        return self._object(value)

    def _container(self, value: Any) -> Any:
        new = self._known[id(value)] = copy.copy(value)  # of the same class, with its own attributes
        if isinstance(value, dict):
            for key, item in value.items():
                new[key] = self.of(item)
        elif isinstance(value, list | deque):
            for i, item in enumerate(value):
                new[i] = self.of(item)
        return new

    def _object(self, value: Any) -> Any:
        if hasattr(type(value), "__del__") or isinstance(value, enum.Enum):
            return value  # a copy that dies would close the file of the original; a name has no copy
        slots = [name for kind in type(value).__mro__ for name in _slots(kind) if hasattr(value, name)]
        own = hasattr(type(value), "__deepcopy__") or not (slots or hasattr(value, "__dict__"))
        if type(value) is object or not (own or slots or vars(value)):
            return value  # a marker, which is asked for by identity and holds nothing
        try:
            if own and not isinstance(value, nn.Module):
                return copy.deepcopy(value, dict(self._known))
            new = self._known[id(value)] = object.__new__(type(value))
            for name in slots:
                object.__setattr__(new, name, self.of(getattr(value, name)))
            if hasattr(value, "__dict__"):
                vars(new).update({name: self.of(item) for name, item in vars(value).items()})
        except Exception:  # whatever a foreign object may raise
            return self._known.setdefault(id(value), value) if own else self._deepcopied(value)
        return new

    def _deepcopied(self, value: Any) -> Any:
        self._known.pop(id(value), None)
        try:
            return copy.deepcopy(value, dict(self._known))
        except Exception:  # a lock, a generator, a process group: shared
            return value
