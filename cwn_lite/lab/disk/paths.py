"""Paths as people type them."""

from __future__ import annotations

from pathlib import Path

from ..errors import LabError


def expand(path: Path | str, what: str = "path") -> Path:
    """Return a path with ``~`` and ``~user`` replaced by the home folder.

    Args:
        path: as it was typed.
        what: what the error calls it, for instance the option.

    Raises:
        LabError: it is empty, holds a NUL character, or names a user who has no home folder here.

    Example:
        >>> expand("runs/today").name
        'today'
    """
    if not str(path) or "\0" in str(path):
        raise LabError(f"{what} {str(path)!r}: no path; give the name of a file or folder")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise LabError(f"{what} {path}: {str(error).rstrip('.')}; give the full path") from error


def check_folder(folder: Path, what: str) -> None:
    """Refuse what is there and no folder; a folder that is not there yet is none of our business.

    Raises:
        LabError: a file lies in its place.
    """
    if folder.exists() and not folder.is_dir():
        raise LabError(f"{what} {folder}: a file, where a folder is expected")
