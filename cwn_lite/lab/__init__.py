"""The evidence: recipe -> run -> result.

``recipes.get`` names what is trained, ``python -m cwn_lite.lab run`` trains it, ``load`` reads what came out and
``table`` sets it beside the paper's numbers.
"""

from .cells import Options, run
from .recipes import Recipe
from .results import load
from .results.tables import table

__all__ = ["Options", "Recipe", "load", "run", "table"]
