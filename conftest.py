"""What every tier shares: stored notebook outputs are text, so nbval compares text and nothing else."""

import pytest

# Figures and explorables are checked by tests/figures and tests/site; `make refresh` strips them from the notebooks.
NOT_STORED = ("text/html", "image/svg+xml")


def pytest_collectstart(collector: pytest.Collector) -> None:
    if hasattr(collector, "skip_compare"):  # an nbval notebook
        collector.skip_compare += NOT_STORED
