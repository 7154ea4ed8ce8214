"""The table of ideas: where each acts, in four columns. What a column leaves out it shares with all others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

import cwn_lite as cwn

from . import moves
from .directions import Adam, Direction, Mano, Momentum, OverItsSize, SphereMomentum
from .forwards import DyT, column_gain, normalize_rows

SGD_RATES = (0.03, 0.1, 0.3, 1.0)
ANGLES = (0.005, 0.015, 0.045, 0.135)
ADAM_RATES = (0.001, 0.003, 0.01, 0.03)
MANO_RATES = (0.0015, 0.005, 0.015, 0.05)

Move = Callable[[Tensor, Tensor, float], Tensor]


@dataclass(frozen=True)
class Idea:
    """One way to train the rows of a network.

    Attributes:
        title: its name in tables.
        steps: family of its steps, for methods are compared within one: ``sgd``, ``row``, ``adam``, ``matrix``.
        rates: those that it chooses from.
        direction: makes, for each weight, what maps gradients to directions.
        move: maps rows, direction and rate to rows.
        back: maps rows to the rows kept; ``None`` keeps them as they are.
        wrap: what it puts between trained tensor and convolution, given the layer and ``c``.
        norm: what stands behind each convolution.
        c: squared norm of the rows at the start.
        centred: whether they have zero mean then.
        clip: longest gradient of a row, over the norm of the row.
    """

    title: str
    steps: str
    rates: tuple[float, ...] = SGD_RATES
    direction: Callable[[], Direction] = Momentum
    move: Move = moves.descend
    back: Callable[[Tensor], Tensor] | None = None
    wrap: Callable[[nn.Conv2d, float], object] | None = None
    norm: Callable[[int], nn.Module] = cwn.ScaleBias
    c: float = cwn.C_CENTERED
    centred: bool = True
    clip: float | None = None


def _standardize(layer: nn.Conv2d, c: float) -> None:
    cwn.weight_standardization(layer, gain=math.sqrt(c))


def _whole(rows: Tensor) -> Tensor:
    return moves.whole_sphere(rows, cwn.C_HE * len(rows))


_project = partial(cwn.project_rows, c=cwn.C_CENTERED)
_sphere = partial(cwn.project_rows, c=cwn.C_HE, centralize=False)
_HE: dict[str, Any] = {"c": cwn.C_HE, "centred": False}
_spectral = partial(moves.spectral, c=cwn.C_HE)
_centred_spectral = partial(moves.spectral, c=cwn.C_CENTERED)

IDEAS: dict[str, Idea] = {
    "plain": Idea("plain", "sgd", **_HE),
    "bn": Idea("batch norm", "sgd", norm=nn.BatchNorm2d),
    "cwo-printed": Idea("CWO as printed", "sgd", back=partial(cwn.project_rows, c=cwn.C_HE), c=cwn.C_HE),
    "cwo": Idea("CWO, c*", "sgd", back=_project),
    "ws": Idea("scaled WS", "sgd", wrap=_standardize),
    "ws-agc": Idea("scaled WS, clipped", "sgd", wrap=_standardize, clip=0.02),
    "nero": Idea("Nero", "row", ANGLES, partial(OverItsSize, 0.999), moves.relative, _project),
    "req": Idea(
        "fixed rotation",
        "row",
        ANGLES,
        lambda: OverItsSize(0.99, Momentum(), orthogonal=True),
        moves.relative,
        _project,
    ),
    "mano": Idea("Mano", "row", MANO_RATES, Mano, **_HE),
    "ngpt": Idea("nGPT's weights", "adam", ADAM_RATES, Adam, back=_sphere, **_HE),
    "edm2": Idea("EDM2's weights", "adam", ADAM_RATES, Adam, back=_sphere, wrap=normalize_rows, **_HE),
    "cwo-adam": Idea("CWO, c*", "adam", ADAM_RATES, Adam, back=_project),
    "bn-adam": Idea("batch norm", "adam", ADAM_RATES, Adam, norm=nn.BatchNorm2d),
    "dyt": Idea("DyT", "adam", ADAM_RATES, Adam, norm=DyT, **_HE),
    "dyt-2": Idea("DyT, α from 2", "adam", ADAM_RATES, Adam, norm=partial(DyT, alpha=2.0), **_HE),
    "muon": Idea("Muon", "matrix", ANGLES, move=_spectral, **_HE),
    "muown": Idea("Muown", "matrix", ANGLES, move=_spectral, wrap=normalize_rows, **_HE),
    "angular-muown": Idea("AngularMuown", "matrix", ANGLES, move=_spectral, back=_sphere, wrap=normalize_rows, **_HE),
    "macro": Idea("MACRO", "matrix", ANGLES, SphereMomentum, _spectral, _whole, **_HE),
    "md": Idea("MD decoupling", "matrix", ANGLES, move=_spectral, back=_whole, wrap=column_gain, **_HE),
    "bn-turn": Idea("batch norm", "matrix", ANGLES, move=_centred_spectral, norm=nn.BatchNorm2d),
    "ws-turn": Idea("scaled WS", "matrix", ANGLES, move=_centred_spectral, wrap=_standardize),
    "cwo-turn": Idea("CWO recommended", "matrix", ANGLES, move=partial(cwn.turned, coherence_decay=1.0), back=_project),
}
"""Short name -> idea, by family of steps."""
