"""Files that are either whole or absent."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UNSUPPORTED = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
# What a link is answered where there are none. A folder that may not be written says EACCES.
_NO_LINKS = (errno.EPERM, errno.EMLINK, *_UNSUPPORTED)


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
                _publish(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)


def _publish(draft: Path, path: Path) -> None:
    """Give a finished draft its name, never replacing a file."""
    try:
        os.link(draft, path)  # unlike a rename, a link never replaces
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        return
    # FAT, network shares and mounted drives know no hard links. Who creates the name owns it.
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        draft.replace(path)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def check_writable(folder: Path) -> None:
    """Make ``folder``, write a small file in it and publish it, to learn of a disk that cannot before the work.

    Raises:
        OSError: it cannot be written; the error names it.
    """
    probe = folder / f".probe.{os.getpid()}.tmp"
    published = probe.with_suffix(".published")
    with naming(folder, probe):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with probe.open("wb") as stream:
                stream.write(b"probe")
            published.unlink(missing_ok=True)
            _publish(probe, published)
        finally:
            probe.unlink(missing_ok=True)
            published.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder of which the caller holds the lock.

    Args:
        folder: such as that of a cell.

    Raises:
        OSError: a file cannot be removed.
    """
    for draft in folder.glob(".*.tmp"):
        draft.unlink(missing_ok=True)


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
    except OSError as error:
        if error.errno not in (errno.EINVAL, *_UNSUPPORTED):  # file systems whose folders know no such thing
            raise
    finally:
        os.close(handle)
