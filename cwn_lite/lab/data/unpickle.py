"""Read the pickles of CIFAR without running what a pickle could run."""

from __future__ import annotations

import codecs
import io
import pickle
from typing import Any

import numpy as np

# What every pickled array names first. It is asked of an array: numpy 1.26 moved the function to another module.
_reconstruct = np.empty(0).__reduce__()[0]
# The only names that a CIFAR batch refers to, in the spellings of Python 2, numpy 1 and numpy 2.
_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): codecs.encode,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Resolve numpy's array constructors, refuse every other name."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}") from None


def loads(data: bytes) -> Any:
    """Return the object in a pickle of numpy arrays and builtin containers; strings of Python 2 as latin-1.

    Args:
        data: the bytes of the pickle.

    Raises:
        pickle.UnpicklingError: the pickle is damaged or names anything else.

    Example:
        >>> loads(pickle.dumps({"labels": [3, 8]}))
        {'labels': [3, 8]}
    """
    try:
        return _ArraysOnly(io.BytesIO(data), encoding="latin1").load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise pickle.UnpicklingError(f"{type(error).__name__}: {error}") from error
