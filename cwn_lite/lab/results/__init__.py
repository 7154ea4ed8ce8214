"""What came out: files, statistics, tables, and words beside them."""

from .store import Result, check_data, default_root, is_taken, load, of_recipe, path_of, read, write

__all__ = ["Result", "check_data", "default_root", "is_taken", "load", "of_recipe", "path_of", "read", "write"]
