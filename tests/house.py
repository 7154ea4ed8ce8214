"""The rules of the house as functions: each returns what breaks it, so that a planted fault can be shown to it."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import tomllib

ROOT = Path(__file__).parents[1]
MOST_LINES = 350
# Comes with torch's builds for GPUs, where alone it is imported.
WITH_TORCH = {"triton"}
# Layer of cwn_lite -> the other layers and the libraries it may import.
LAYERS = {
    "core": ({"core"}, {"torch"} | WITH_TORCH),
    "figures": ({"figures", "core"}, {"torch", "matplotlib", "cycler", "IPython", "numpy", "ipywidgets"}),
    "lab": (
        {"lab", "core"},
        {"torch", "torchvision", "numpy", "PIL", "tqdm", "sklearn", "scipy", "filelock", "h5py"},
    ),
}
# Room of the lab -> the rooms it may import; the ground floor, which any may import, is what lies in `lab` itself.
ROOMS = {
    "disk": set(),
    "measure": set(),
    "recipes": set(),
    "data": {"disk", "recipes"},
    "augment": {"disk"},
    "nets": {"recipes", "data", "measure"},
    "training": {"recipes", "data", "augment", "nets", "measure"},
    "since": {"data", "nets", "training", "measure"},
    "results": {"disk", "recipes", "data"},
    "cells": {"disk", "recipes", "data", "training", "measure", "results"},
}
# A repository that works anywhere names no folder of one machine and no package index: pip is told by its user.
MACHINE = re.compile(r"(?<![\w.~:/-])/(?:home|root|Users|work|workspace|mnt|opt|srv)/[\w.]")
INDEX = re.compile(r"(?:extra-)?index-url|find-links|https?://\S+/(?:simple|whl|packages)\b", re.IGNORECASE)


def imports(source: str, module: str) -> list[str]:
    """Return the full names of the modules that a module's source imports, relative ones resolved."""
    package = module.split(".")
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            # `from package import module` imports that module too.
            names += [f"{origin}.{alias.name}" for alias in node.names]
    return names


def layer(module: str) -> str:
    """Return the layer that a module of cwn_lite belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else "core"


def module_name(path: Path) -> str:
    """Return the module that a file below the root is; a package counts as its `__init__`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def wrong_imports(source: str, module: str) -> list[str]:
    """Return the imports that go against the layers."""
    layers, libraries = LAYERS[layer(module)]
    found = []
    for name in imports(source, module):
        top = name.split(".")[0]
        allowed = layer(name) in layers if top == "cwn_lite" else top in libraries | sys.stdlib_module_names
        if not allowed:
            found.append(f"{module} imports {name}")
    return found


def private_imports(source: str, module: str) -> list[str]:
    """Return the imports of what another library keeps to itself, which its next version may have moved.

    Torch is not asked: the base of its batch norms has no other name.
    """
    own = {"cwn_lite", "torch", "__future__"}
    names = [name for name in imports(source, module) if name.split(".")[0] not in own]
    return [name for name in names if any(part.startswith("_") for part in name.split("."))]


def room(module: str) -> str | None:
    """Return the room of the lab that a module belongs to, ``None`` for the ground floor and all outside the lab."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["cwn_lite", "lab"] and len(parts) > 2 and parts[2] in ROOMS else None


def wrong_rooms(source: str, module: str) -> list[str]:
    """Return the imports by which a module of the lab enters a room that is not open to its own.

    The command line and what the lab exports may enter all, the rest of the ground floor none.
    """
    own = room(module)
    entries = ("cwn_lite.lab.__main__", "cwn_lite.lab.__init__")
    if not module.startswith("cwn_lite.lab.") or module in entries:
        return []
    open_rooms = {None, own} | (ROOMS[own] if own else set())
    found = imports(source, module)
    return [f"{module} imports {name}" for name in found if room(name) not in open_rooms or name.startswith(entries)]


def too_long(source: str) -> bool:
    """Whether a file holds more than one idea can need."""
    return source.count("\n") > MOST_LINES


def fenced(markdown: str, language: str) -> list[str]:
    """Return the code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL)


def targets(makefile: str) -> set[str]:
    """Return the commands of a Makefile."""
    return set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))


def unknown_commands(markdown: str, makefile: str, verbs: Iterable[str]) -> list[str]:
    """Return the commands that a page tells its reader to type and that do not exist."""
    made = re.findall(r"\bmake ([a-z]+)", " ".join([*fenced(markdown, "bash"), *re.findall(r"`([^`\n]+)`", markdown)]))
    lab = re.findall(r"python -m cwn_lite\.lab ([a-z]+)", markdown)
    return [f"make {name}" for name in made if name not in targets(makefile)] + [
        f"python -m cwn_lite.lab {name}" for name in lab if name not in set(verbs)
    ]


def of_one_machine(text: str) -> list[str]:
    """Return what ties a text to one machine or one package index."""
    return [match.group() for pattern in (MACHINE, INDEX) for match in pattern.finditer(text)]


def canonical(name: str) -> str:
    """Return the spelling of a distribution's name that indexes compare."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(requirements: str) -> dict[str, str]:
    """Return name -> version of an exact lock; a marker may say where a pin holds.

    Raises:
        ValueError: a line is no exact pin.
    """
    found = {}
    for line in requirements.splitlines():
        if line.strip() and not line.startswith("#"):
            match = re.fullmatch(r"([\w.-]+)==([\w.]+)(; \w+ == \"\w+\")?", line.strip())
            if match is None:
                raise ValueError(f"not an exact pin: {line!r}")
            found[canonical(match[1])] = match[2]
    return found


def libraries(sources: Iterable[str], own: set[str]) -> set[str]:
    """Return the top-level modules that sources import from elsewhere."""
    tops = {name.split(".")[0] for source in sources for name in imports(source, "own.own.own.own")}
    return tops - own - {"own"} - set(sys.stdlib_module_names) - {"__future__"}


def not_covered(modules: Iterable[str], names: set[str]) -> list[str]:
    """Return the modules that none of the named distributions provides."""
    providers = importlib.metadata.packages_distributions()
    return sorted(m for m in modules if not names & {canonical(d) for d in providers.get(m, [])})


def extras(pyproject: str) -> dict[str, set[str]]:
    """Return extra -> names of the distributions it asks for; the empty name has the hard dependencies."""
    project = tomllib.loads(pyproject)["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {extra: {canonical(re.split(r"[<>=\[ ]", r)[0]) for r in asked} for extra, asked in groups.items()}


def undocumented(namespace: dict[str, object]) -> list[str]:
    """Return the names of `__all__` that are not there or say nothing, and public names that `__all__` lacks."""
    public = namespace["__all__"]
    assert isinstance(public, list)
    modules = {name for name, value in namespace.items() if type(value).__name__ == "module"}
    open_names = {name for name in namespace if not name.startswith("_")} - modules
    silent = [name for name in public if not _speaks(namespace.get(name))]
    return sorted({*silent, *(open_names ^ set(public))})


def _speaks(value: object) -> bool:
    """Whether a class says what it is, and a function shows how it is used."""
    if isinstance(value, type):
        return bool(value.__doc__)
    return "Example:" in (value.__doc__ or "") if callable(value) else value is not None
