"""Files that are either whole or absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def naming(path: Path, draft: Path | None = None) -> Iterator[None]:
    """Name ``path`` in an error of the block that names no file, as that of a full disk, or only the draft of it.

    Args:
        path: what the block works on.
        draft: a file that stands in for it.

    Raises:
        OSError: that of the block.

    Example:
        >>> try:
        ...     with naming(Path("seed-0.json")):
        ...         raise OSError(28, "No space left on device")
        ... except OSError as error:
        ...     print(error)
        [Errno 28] No space left on device: 'seed-0.json'
    """
    try:
        yield
    except OSError as error:
        if error.filename is None or error.filename == str(draft):
            error.filename = str(path)
        raise


def write_atomically(path: Path, content: bytes, *, overwrite: bool) -> None:
    """Write a file so that a crash at any moment leaves the old file, the new one or none.

    Args:
        path: where to; its folder is made.
        content: what.
        overwrite: whether an existing file may be replaced.

    Raises:
        FileExistsError: ``path`` exists and ``overwrite`` is false.
        OSError: the folder cannot be written; the error names ``path``.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming(path, draft):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            if overwrite:
                draft.replace(path)
            else:
                os.link(draft, path)  # unlike a rename, a link never replaces
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)


def check_writable(folder: Path) -> None:
    """Make ``folder`` and write a small file in it, to learn of a full or read-only disk before the work.

    Raises:
        OSError: it cannot be written; the error names it.
    """
    probe = folder / f".probe.{os.getpid()}.tmp"
    with naming(folder, probe):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with probe.open("wb") as stream:
                stream.write(b"probe")
        finally:
            probe.unlink(missing_ok=True)


def keep_out_of_git(folder: Path) -> None:
    """Give a new folder a ``.gitignore`` of all that will lie in it; one with content of its own stays as it is.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        write_atomically(folder / ".gitignore", b"*\n", overwrite=True)


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the system has a way to."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
