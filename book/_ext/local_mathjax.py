"""Serve MathJax from the site: copy what the pages use of the `sphinx-mathjax-offline` package.

The package's own extension copies all of MathJax (24 MB); a page needs the TeX reader, its fonts and the
TeX extensions that MathJax loads on demand (2 MB).
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

SCRIPT = "tex-chtml.js"
NEEDED = (SCRIPT, "output/chtml/fonts/woff-v2", "input/tex/extensions")


def mathjax_source() -> Path:
    """Return the folder of the installed MathJax.

    Raises:
        ExtensionError: the package is not installed.
    """
    spec = find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ExtensionError("MathJax is missing: pip install sphinx-mathjax-offline (requirements.txt has it)")
    return Path(spec.origin).parent / "static" / "mathjax"


def copy_mathjax(app: Sphinx) -> None:
    """Put MathJax below the site's `_static` and point the pages at it."""
    if app.builder.format != "html":
        return
    app.config.mathjax_path = f"mathjax/{SCRIPT}"
    source, target = mathjax_source(), Path(app.outdir) / "_static" / "mathjax"
    for name in NEEDED:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("builder-inited", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
