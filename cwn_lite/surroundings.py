"""What a forward pass can reach outside of its modules, put back as it was."""

import contextlib
import dis
import inspect
import random
import sys
import types
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from cwn_lite.stand_in import inside

_CONTAINERS = (list, dict, set, deque)
# Packages whose functions are not searched.
_LIBRARIES = ("torch", "torchvision", "numpy", "builtins", "typing", "collections", "functools")
_DEEP = 4


@contextmanager
def kept(model: nn.Module) -> Iterator[None]:
    """Put back, on leaving, what lies around ``model`` and not in it: class attributes, globals, random states.

    Restored are containers on the classes of modules, in closures and in the globals that their functions and the
    functions these call name, with containers in them and attributes of objects; names that these functions assign;
    variables of their closures; and the random states of torch's CPU generator, of ``random`` and of numpy. What other
    threads write to these meanwhile is lost. Not restored: what is reached in another way, such as a global tensor that
    is written to, or an object of a library.

    Args:
        model: its classes are asked.

    Example:
        >>> calls = []
        >>> class Counting(nn.Module):
        ...     __module__ = "mine"
        ...     def forward(self, x):
        ...         calls.append(1)
        >>> with kept(Counting()):
        ...     Counting()(0)
        >>> calls
        []
    """
    before = [(thing, _copied(_content(thing))) for thing in _reached(model)]
    names = [(space, name, space.get(name, _ABSENT)) for space, name in _assigned(model)]
    classes = [(cls, dict(vars(cls))) for cls in _classes(model)]
    cells = [(cell, cell.cell_contents) for function in _functions(model) for cell in _filled(function)]
    numpy = sys.modules.get("numpy")
    states = random.getstate(), numpy.random.get_state() if numpy else None
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(states[0])
        if numpy:
            numpy.random.set_state(states[1])
        for thing, content in before:
            _restore(_content(thing), content)
        for space, name, value in names:
            _put(space, name, value)
        for cls, attributes in classes:
            _restore_class(cls, attributes)
        for cell, value in cells:
            cell.cell_contents = value


def namespaces(model: nn.Module) -> list[dict[str, Any]]:
    """Return the globals of all functions that the forward of ``model`` may run, torch's own layers left out.

    Args:
        model: its classes are asked.
    """
    classes = {cls for module in model.modules() for cls in type(module).__mro__}
    users = [cls for cls in classes if cls.__module__.partition(".")[0] not in ("torch", "builtins")]
    functions = [value for cls in users for value in vars(cls).values() if inspect.isfunction(value)]
    spaces = [vars(torch), *(function.__globals__ for function in (*functions, *_functions(model)))]  # torch.is_tensor
    return list({id(space): space for space in spaces}.values())


_ABSENT = object()


def _put(space: dict[str, Any], name: str, value: Any) -> None:
    if value is _ABSENT:
        space.pop(name, None)
    elif space.get(name) is not value:
        space[name] = value


def _copied(container: Any) -> Any:
    """What a container holds, in one of Python's own: its class may do more when it is copied."""
    if isinstance(container, dict):
        return dict.copy(container)
    return set.copy(container) if isinstance(container, set) else list(container)


def _restore(container: Any, content: Any) -> None:
    if isinstance(container, dict):
        same = len(container) == len(content) and all(container.get(k, _ABSENT) is v for k, v in content.items())
    elif isinstance(container, set):
        same = container == content
    else:
        same = len(container) == len(content) and all(a is b for a, b in zip(container, content, strict=True))
    if not same:
        container.clear()
        (container.extend if isinstance(container, list | deque) else container.update)(content)


def _restore_class(cls: type, before: dict[str, Any]) -> None:
    for name in {*vars(cls), *before}:
        if name.startswith("__") or name == "_abc_impl" or vars(cls).get(name, _ABSENT) is before.get(name, _ABSENT):
            continue
        if name in before:
            setattr(cls, name, before[name])
        else:
            delattr(cls, name)


def _classes(model: nn.Module) -> list[type]:
    found = {cls for module in model.modules() for cls in type(module).__mro__}
    return [cls for cls in found if cls.__module__.partition(".")[0] not in _LIBRARIES]


def _functions(model: nn.Module) -> list[types.FunctionType]:
    """The functions of the classes of modules, and those that they name, in turn."""
    found: dict[int, types.FunctionType] = {}
    front = [value for cls in _classes(model) for value in vars(cls).values()]
    while front:
        value = front.pop()
        if isinstance(value, property):
            value = value.fget
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if not inspect.isfunction(function) or id(function) in found:
            continue
        if function.__module__ and function.__module__.partition(".")[0] in _LIBRARIES:
            continue
        found[id(function)] = function
        front += _named(function)
    return list(found.values())


def _named(function: types.FunctionType) -> list[Any]:
    """What the globals that a function names, and its closure, hold; of a module that it names, what it asks of it."""
    codes = [function.__code__, *(c for c in function.__code__.co_consts if isinstance(c, types.CodeType))]
    names = {name for code in codes for name in code.co_names}
    values = [function.__globals__[name] for name in names if name in function.__globals__]
    for module in [value for value in values if isinstance(value, types.ModuleType)]:
        if module.__name__.partition(".")[0] not in (*_LIBRARIES, *sys.stdlib_module_names):
            values += [getattr(module, name) for name in names if hasattr(module, name)]
    return values + [cell.cell_contents for cell in _filled(function)]


def _filled(function: types.FunctionType) -> list[types.CellType]:
    """The variables of a closure, but for those that have no value yet."""
    filled = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):
            _ = cell.cell_contents
            filled.append(cell)
    return filled


def _assigned(model: nn.Module) -> list[tuple[dict[str, Any], str]]:
    return [
        (function.__globals__, str(step.argval))
        for function in _functions(model)
        for step in dis.get_instructions(function)
        if step.opname == "STORE_GLOBAL"
    ]


def _reached(model: nn.Module) -> list[Any]:
    """Containers, and objects with attributes, that functions of the model know, some levels deep."""
    front = [value for cls in _classes(model) for name, value in vars(cls).items() if not name.startswith("__")]
    front += [value for function in _functions(model) for value in _named(function)]
    found: dict[int, Any] = {}
    for _ in range(_DEEP):
        new = [value for value in front if id(value) not in found and _is_state(value)]
        found.update({id(value): value for value in new})
        front = [item for value in new for item in inside(value)]
    return list(found.values())


def _is_state(value: Any) -> bool:
    if isinstance(value, _CONTAINERS):
        return True
    plain = hasattr(value, "__dict__") and not callable(value) and not isinstance(value, type | types.ModuleType)
    return plain and type(value).__module__.partition(".")[0] not in (*_LIBRARIES, *sys.stdlib_module_names)


def _content(thing: Any) -> Any:
    return thing if isinstance(thing, _CONTAINERS) else vars(thing)
