"""What a run is: one record of plain values, the families that the book trains, and a catalogue by name."""

from .catalogue import RECIPES, get, select
from .recipe import METHODS, Recipe

__all__ = ["METHODS", "RECIPES", "Recipe", "get", "select"]
