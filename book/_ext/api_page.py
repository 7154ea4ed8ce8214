"""The API page is whole: every public name of `cwn_lite` stands on it and speaks for itself, or the build fails.

autodoc writes the entries, book/api.md puts them into groups. Which names there ought to be is up to `__all__`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Collection, Iterator
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging

import cwn_lite

PAGE = "book/api"
METHODS = (FunctionType, classmethod, staticmethod, property, cached_property)


def constant_doc(package: ModuleType, name: str) -> list[str]:
    """Return the lines of the string below a constant's definition, in whichever module of the package that is.

    Example:
        >>> constant_doc(cwn_lite, "C_HE")[0][:28]
        'Squared row norm of the pape'
    """
    for module in sorted(sys.modules):
        if module.startswith(f"{package.__name__}."):
            lines = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", name), [])
            if lines:
                return lines
    return []


def public(package: ModuleType) -> Iterator[tuple[str, bool]]:
    """Yield each name of `__all__`, and each public method and field of its classes; and whether it has a docstring.

    A field speaks through the section Attributes of its class, and is on the page only if it has a line there.
    """
    for name in package.__all__:
        value = getattr(package, name)
        if not callable(value):
            yield name, bool(constant_doc(package, name))
            continue
        yield name, bool(value.__doc__)
        if isinstance(value, type):
            own = {key: bool(member.__doc__) for key, member in vars(value).items() if isinstance(member, METHODS)}
            fields = dict.fromkeys(inspect.get_annotations(value), True)
            yield from ((f"{name}.{key}", speaks) for key, speaks in (fields | own).items() if key[0] != "_")


def problems(package: ModuleType, shown: Collection[str]) -> list[str]:
    """Return what is missing on a page that shows these full names, and what to do about it."""
    found = []
    for name, speaks in public(package):
        full = f"{package.__name__}.{name}"
        if not speaks:
            found.append(f"{full} is public and has no docstring: write one, or make the name private")
        elif full not in shown and "." in name:
            found.append(f"{full} is not on {PAGE}.md: its class wants a line for it under Attributes, or `:members:`")
        elif full not in shown:
            found.append(
                f"{full} is not on {PAGE}.md: add `.. autofunction:: {full}` (autoclass, autodata) to a group there, "
                "or take the name out of `__all__`"
            )
    return found


def describe_constant(app: Sphinx, what: str, name: str, value: object, options: Any, lines: list[str]) -> None:
    """Give a re-exported constant its own words; autodoc looks for them in the wrong module and finds `float`'s."""
    if what == "data" and name.startswith("cwn_lite."):
        lines[:] = [*constant_doc(cwn_lite, name.rpartition(".")[2]), ""]


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of every gap, which `-W` turns into a failed build."""
    if PAGE not in env.found_docs:  # a part of the book is built on its own
        return
    entries = env.get_domain("py").data["objects"].items()
    for problem in problems(cwn_lite, [name for name, entry in entries if entry.docname == PAGE]):
        logging.getLogger(__name__).warning(problem, location=PAGE)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("autodoc-process-docstring", describe_constant)
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
