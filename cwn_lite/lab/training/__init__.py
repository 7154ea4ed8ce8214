"""One run in memory: steps, epochs, evaluation, alone or shared by processes."""

from .trainer import Trainer
from .world import World

__all__ = ["Trainer", "World"]
