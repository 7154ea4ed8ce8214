"""One recipe with one seed: trained, resumed, recorded; and many of them, the most wanted first."""

from .cell import Options, run

__all__ = ["Options", "run"]
