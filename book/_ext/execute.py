"""Execute the notebooks that the build's cache lacks, several at a time; the build itself would take one by one.

What fails is left to the build, which executes it once more and says what is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution

import printed
from chapters import fold_cells

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "_build" / ".jupyter_cache"

Notebook = Any


def missing(cache: Any, paths: Sequence[Path]) -> Iterator[tuple[Path, Notebook]]:
    """Yield the notebooks that the cache does not know, in the form in which the build reads them."""
    for path in paths:
        folded = fold_cells(json.loads(path.read_text(encoding="utf8")))
        notebook = nbformat.reads(json.dumps(folded), as_version=4)
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            yield path, notebook


def execute(paths: Sequence[Path], workers: int, timeout: int, folder: Path) -> None:
    """Fill the cache in a folder; a notebook runs where it lies, its kernel in a process of its own."""
    cache = get_cache(folder)

    def run(path: Path, notebook: Notebook) -> tuple[Path, Any]:
        return path, single_nb_execution(notebook, cwd=str(path.parent), timeout=timeout, allow_errors=False)

    with ThreadPoolExecutor(workers) as pool:
        for done in as_completed([pool.submit(run, *found) for found in missing(cache, paths)]):
            path, result = done.result()
            print(f"{path.name}: {'failed' if result.err else 'executed'} in {result.time:.0f} s", flush=True)
            if result.err is None:
                bundle = CacheBundleIn(result.nb, str(path), data={"execution_seconds": result.time})
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def main(arguments: Sequence[str]) -> int:
    """Execute the named notebooks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("notebooks", type=Path, nargs="*")
    chosen = parser.parse_args(arguments)
    os.environ.update(printed.ENVIRONMENT)
    timeout = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))["execute"]["timeout"]
    execute([path.resolve() for path in chosen.notebooks], chosen.workers, timeout, chosen.cache)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
