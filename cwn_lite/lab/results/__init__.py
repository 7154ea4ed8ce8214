"""What came out: files, statistics, tables, and words beside them."""

from .store import Result, default_root, is_taken, load, of_recipe, path_of, read, write

__all__ = ["Result", "default_root", "is_taken", "load", "of_recipe", "path_of", "read", "write"]
