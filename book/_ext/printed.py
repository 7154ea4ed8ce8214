"""A notebook that is run for print has no kernel behind its page, so its live figures stand still there."""

from __future__ import annotations

import os

from sphinx.application import Sphinx

ENVIRONMENT = {"CWN_LITE_STILL": "1"}
"""What `cwn_lite.figures.live` asks. Kernels inherit it from whatever runs them."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension: for the notebooks that the build itself executes."""
    os.environ.update(ENVIRONMENT)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
