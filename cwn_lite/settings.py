"""The constraint that is asked for, said once and kept on the layers that it is for."""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from cwn_lite.checks import check_bool, check_positive, check_square
from cwn_lite.projection import C_HE
from cwn_lite.rows import is_depthwise

Centralize = bool | Literal["mixing"]
"""Which rows have zero mean: all, none, or those that mix channels, which a depthwise convolution's do not."""

# Where a layer keeps what was asked for it. A tuple of builtins: see the records of cwn_lite.report.
_ATTRIBUTE = "_cwn_constraint"


class Settings(NamedTuple):
    """What is imposed on each row: ``‖w‖² = c`` if ``spherize``, ``1ᵀw = 0`` if ``centralize`` says so of it."""

    c: float = C_HE
    centralize: Centralize = True
    spherize: bool = True

    def centred(self, module: nn.Module) -> bool:
        """Return whether the rows of a layer are to have zero mean."""
        return not is_depthwise(module) if self.centralize == "mixing" else self.centralize

    def constraints(self, module: nn.Module) -> dict[str, bool]:
        """Return what is imposed on the rows of a layer, as keywords of the projection."""
        return {"centralize": self.centred(module), "spherize": self.spherize}


def settle(
    modules: Iterable[nn.Module],
    c: float | None = None,
    centralize: Centralize | None = None,
    spherize: bool | None = None,
) -> Settings:
    """Complete what a caller says by what was said before of these layers, then by the defaults.

    Args:
        modules: the layers to constrain.
        c: squared row norm; ``None`` is not said.
        centralize: ``None`` is not said.
        spherize: ``None`` is not said.

    Raises:
        TypeError, ValueError: ``c`` is not a positive number that fits the dtype of the weights; a switch is none of
            its values; the layers were told different things before.

    Example:
        >>> layer = nn.Linear(4, 4)
        >>> remember([layer], settle([layer], c=3.0))
        >>> settle([layer], spherize=False)
        Settings(c=3.0, centralize=True, spherize=False)
    """
    if c is not None:
        c = check_positive("c", c)
    if not (centralize is None or (isinstance(centralize, str) and centralize == "mixing")):
        check_bool("centralize", centralize, "True, False or 'mixing'")
    if spherize is not None:
        check_bool("spherize", spherize)
    layers = list(modules)
    before = {vars(layer)[_ATTRIBUTE] for layer in layers if _ATTRIBUTE in vars(layer)} or {tuple(Settings())}
    settled: list[Any] = []
    for i, (name, said) in enumerate(zip(Settings._fields, (c, centralize, spherize), strict=True)):
        values = {told[i] for told in before}
        if said is None and len(values) > 1:
            known = " and ".join(f"{value:g}" if name == "c" else repr(value) for value in sorted(values, key=str))
            raise ValueError(f"{name} was set to {known} for different layers of this model; pass {name}")
        settled.append(values.pop() if said is None else said)
    settings = Settings(float(settled[0]), settled[1], settled[2])
    for dtype in {layer.weight.dtype for layer in layers if settings.spherize}:
        assert isinstance(dtype, torch.dtype)
        check_square("c", settings.c, dtype)
    return settings


def told(module: nn.Module) -> Settings | None:
    """Return what was said of a layer, ``None`` if nothing was."""
    values = vars(module).get(_ATTRIBUTE)
    return None if values is None else Settings(*values)


def remember(modules: Iterable[nn.Module], settings: Settings) -> None:
    """Keep ``settings`` on each layer, for the next call that is not told."""
    for module in modules:
        vars(module)[_ATTRIBUTE] = tuple(settings)
