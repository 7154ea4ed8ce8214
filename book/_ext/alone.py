"""The first cell of a notebook to take away: this file, and a call of `enter_book`. It imports nothing of the book."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def enter_book(repository: str, commit: str, packages: list[str]) -> None:
    """Work in the book's folder: in a checkout where one is found, else in a clone.

    Args:
        repository: what to clone; the environment variable BOOK_REPOSITORY names another one, at its newest commit.
        commit: what of it, the newest if empty.
        packages: what is installed where it is missing.
    """
    missing = []
    for name in packages:
        try:
            importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *missing], check=True)

    if own := os.environ.get("BOOK_REPOSITORY"):
        repository, commit = own, ""
    clone = Path(f"cwn_lite-{commit[:12] or 'newest'}").resolve()
    places = [Path.cwd(), *Path.cwd().parents, clone]
    library = importlib.util.find_spec("cwn_lite")
    if library and library.origin:
        places.insert(0, Path(library.origin).parents[1])
    root = next((place for place in places if (place / "book" / "results").is_dir()), None)
    if root is None:
        root = clone
        if not repository:
            raise RuntimeError("set BOOK_REPOSITORY to the address of the book's repository")
        with tempfile.TemporaryDirectory(dir=".") as folder:  # an interrupted clone leaves nothing
            new = Path(folder, "new")
            subprocess.run(["git", "init", "--quiet", str(new)], check=True)
            git = ["git", "-C", str(new)]
            subprocess.run([*git, "fetch", "--quiet", "--depth=1", repository, commit or "HEAD"], check=True)
            subprocess.run([*git, "checkout", "--quiet", "FETCH_HEAD"], check=True)
            new.rename(root)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    os.chdir(root / "book")
    print("Working in", Path.cwd())
