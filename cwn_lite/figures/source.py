"""The library's own code and computed sentences, shown by a cell."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from IPython.display import Markdown, display

from cwn_lite.figures.narrow import narrow


def markdown(text: str) -> None:
    """Display ``text`` as Markdown: how a sentence with a measured number is printed.

    Args:
        text: Markdown, usually an f-string.
    """
    display(Markdown(textwrap.dedent(text).strip()))


def source(obj: Callable[..., Any], *, docstring: bool = False) -> None:
    """Display the source of a function or class of ``cwn_lite``, so that a chapter never holds a second copy.

    Args:
        obj: a function or class defined in ``cwn_lite``.
        docstring: show the docstrings too.

    Raises:
        ValueError: ``obj`` is not from ``cwn_lite``; a chapter shows the library's code only.
    """
    code = source_of(obj, docstring=docstring)
    display({"text/markdown": f"```python\n{code}\n```", "text/plain": code}, raw=True)


def source_of(obj: Callable[..., Any], *, docstring: bool = False) -> str:
    """Return what `source` displays: a comment with the file's name, then the code in the width of a page.

    Args:
        obj: a function or class defined in ``cwn_lite``.
        docstring: keep the docstrings.

    Raises:
        ValueError: ``obj`` is not from ``cwn_lite``.

    Example:
        >>> print(source_of(markdown))
        # cwn_lite/figures/source.py
        def markdown(text: str) -> None:
            display(Markdown(textwrap.dedent(text).strip()))
    """
    obj = inspect.unwrap(obj)
    module = getattr(obj, "__module__", None) or ""
    if module.split(".")[0] != "cwn_lite":
        raise ValueError(f"obj must be defined in cwn_lite, got {obj!r} from {module or 'nowhere'}")
    code = textwrap.dedent(inspect.getsource(obj)).rstrip()
    if not docstring:
        code = _without_docstrings(code)
    return f"# {module.replace('.', '/')}.py\n{narrow(code)}"


def _without_docstrings(code: str) -> str:
    lines = code.splitlines()
    dropped: set[int] = set()
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or ast.get_docstring(node) is None:
            continue
        text = node.body[0]
        first, last = text.lineno - 1, text.end_lineno or text.lineno
        if len(node.body) == 1:  # a body must not be empty
            lines[first] = " " * text.col_offset + "..."
            first += 1
        else:
            while not lines[last].strip():
                last += 1  # the blank lines that follow go too
        dropped.update(range(first, last))
    return "\n".join(line for i, line in enumerate(lines) if i not in dropped)
