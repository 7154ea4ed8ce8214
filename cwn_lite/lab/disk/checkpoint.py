"""Checkpoints that know which run they belong to and whether they are whole."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from ..errors import LabError
from .files import naming, write_atomically

MAGIC = b"cwn_lite checkpoint 2\n"


def save(path: Path, state: dict[str, Any], identity: dict[str, Any]) -> None:
    """Write a checkpoint atomically: a line of magic, the SHA-256 of the rest, then state and identity.

    Args:
        path: where to; an older checkpoint is replaced.
        state: tensors and plain values.
        identity: what the run is (recipe hash, seed, data hash); :func:`load` wants the same.
    """
    buffer = io.BytesIO()
    torch.save({"identity": identity, "state": state}, buffer)
    body = buffer.getvalue()
    write_atomically(path, MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body, overwrite=True)


def load(path: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a checkpoint, on the CPU.

    Raises:
        LabError: the file is damaged or belongs to another run; it is left as it is.
    """
    way_out = "move it away to begin this run anew"
    if path.exists() and not path.is_file():  # to read a pipe would be to wait for ever
        raise LabError(f"{path}: a folder or a device, not a checkpoint; {way_out}")
    with naming(path):
        content = path.read_bytes()
    header = len(MAGIC) + 65
    if not content.startswith(MAGIC) or len(content) < header:
        raise LabError(f"{path}: not a checkpoint of this program, or a damaged one; {way_out}")
    body = content[header:]
    if hashlib.sha256(body).hexdigest().encode() != content[len(MAGIC) : header - 1]:
        raise LabError(f"{path}: damaged checkpoint, its checksum does not match; {way_out}")
    try:
        # weights_only: tensors and plain values, no code.
        saved = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
        found, state = dict(saved["identity"]), dict(saved["state"])
    except Exception as error:  # torch raises nearly anything on what it did not write itself
        raise LabError(f"{path}: unreadable checkpoint ({type(error).__name__}); {way_out}") from error
    differing = [key for key in identity if found.get(key) != identity[key]]
    if differing:
        raise LabError(f"{path}: checkpoint of another run (it differs in {', '.join(differing)}); {way_out}")
    return state
