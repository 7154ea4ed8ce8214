"""A notebook's eyes: what a cell displayed."""

from importlib import import_module
from typing import Any

import pytest


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect what is displayed: the bundle of a raw display, else the object."""
    out: list[Any] = []

    def display(thing: Any, raw: bool = False, metadata: dict[str, Any] | None = None) -> None:
        out.append(thing)

    for name in ("show", "explorable", "live", "quiz", "source"):  # by import_module: the functions hide their modules
        monkeypatch.setattr(import_module(f"cwn_lite.figures.{name}"), "display", display)
    return out
