"""What every tier shares: which files come first, how nbval runs and compares a notebook, and who runs GPU kernels."""

from __future__ import annotations

import os
from collections.abc import Generator
from importlib.util import find_spec

import pytest

# Figures and explorables are checked by tests/figures and tests/site; `make refresh` strips them from the notebooks.
NOT_STORED = ("text/html", "image/svg+xml")

# Kernels that round otherwise than the processor's own, by the names that PyTorch, oneDNN and MKL give them. What a
# notebook prints may not depend on them.
ARITHMETIC = {
    "native": {},
    "plain": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2"},
}

PRINTED = {"CWN_LITE_STILL": "1"}  # what is compared is what a page shows: figures that stand still


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--arithmetic", choices=ARITHMETIC, default="native", help="the kernels that notebooks run on")


# A module of its own, which no test can load where there is no Triton.
collect_ignore = [] if find_spec("triton") else ["cwn_lite/kernel.py"]


def pytest_configure() -> None:
    """Let Triton interpret kernels where there is no GPU, which it decides when it is loaded."""
    import torch

    if not torch.cuda.is_available():
        os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_collectstart(collector: pytest.Collector) -> None:
    if hasattr(collector, "skip_compare"):  # an nbval notebook
        collector.skip_compare += NOT_STORED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take long files first: processes that share a run take whole files, and a long one at the end leaves all idle.

    Notebooks, then files that visit pages or have a test marked slow, then the others; each in the order it had.
    """
    marked = {item.path for item in items for mark in ("site", "slow") if item.get_closest_marker(mark)}
    items.sort(key=lambda item: 0 if hasattr(item.parent, "skip_compare") else 1 if item.path in marked else 2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Let a notebook's process, which its first cell starts, inherit the arithmetic that was asked for."""
    notebook = hasattr(item.parent, "skip_compare")
    kind = item.config.getoption("--arithmetic") if notebook else "native"
    if kind == "avx2" and not has_avx2():
        pytest.skip("this processor has no AVX2")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ARITHMETIC[kind], **(PRINTED if notebook else {})}.items():
            patch.setitem(os.environ, name, value)
        return (yield)


def has_avx2() -> bool:
    from torch.backends import cpu

    return cpu.get_cpu_capability().startswith("AVX")
