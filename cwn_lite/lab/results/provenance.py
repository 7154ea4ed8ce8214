"""Which code ran, and on what."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

PACKAGE = Path(__file__).resolve().parents[2]


def source() -> dict[str, Any]:
    """Return commit and dirtiness of the source tree, and the hash of the library.

    ``commit`` and ``dirty`` are ``None`` where the package is not under git, an installed one for instance.
    ``dirty`` looks at the package alone: new results beside it do not count.
    """
    commit = dirty = None
    # An environment inside a repository is not that repository's code: ask for the very file.
    if _git("ls-files", "--error-unmatch", "__init__.py") is not None:
        commit = _git("rev-parse", "HEAD")
        status = _git("status", "--porcelain", "--", ".")
        dirty = None if status is None else bool(status)
    return {"commit": commit, "dirty": dirty, "library_sha": library_sha()}


def library_sha() -> str:
    """Return the SHA-256 over the sources that a run executes: the core, and the lab with its sub-packages."""
    digest = hashlib.sha256()
    for path in sorted([*PACKAGE.glob("*.py"), *(PACKAGE / "lab").rglob("*.py")]):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0")
        digest.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


def environment(device: torch.device) -> dict[str, Any]:
    """Return versions, device and precision; nothing that names the machine or its user."""
    cuda = device.type == "cuda"
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # its own class of string would not load from a checkpoint
        "cuda": torch.version.cuda if cuda else None,
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if cuda else _processor(),
        "precision": "bfloat16 autocast" if cuda else "float32",
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def checkout() -> Path | None:
    """Return the root of the checkout that the package is imported from, ``None`` for an installed package."""
    root = PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "book").is_dir() else None


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(PACKAGE), *arguments], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
