"""Import torchvision, also where its compiled operators do not match the torch build."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import torch

# Operators whose fake kernels torchvision registers unguarded when its library could not be loaded.
_UNGUARDED = ("nms", "qnms")
_keep_alive: list[torch.library.Library] = []


def import_torchvision() -> ModuleType:
    """Return torchvision; a CPU-only torch beside a CUDA build of torchvision is no obstacle.

    There, the plain import raises ``operator torchvision::nms does not exist``: the compiled library
    needs CUDA's and is skipped, but two of its operators are used at import. Declaring them is enough
    for models, transforms and data sets. Where the import works, nothing else is done.

    Raises:
        ImportError: torchvision is not installed.

    Example:
        >>> import_torchvision().__name__
        'torchvision'
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in _UNGUARDED:
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _keep_alive.append(library)  # the operators vanish with the object that declared them
    return importlib.import_module("torchvision")
