"""Shared by the unit tier: one thread, one seed, and hypothesis without chance or clock."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

settings.register_profile("house", derandomize=True, deadline=None, max_examples=60, database=None)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _reproducible() -> Iterator[None]:
    """Every test starts from the same random state, on one thread: cores are shared by the test processes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if "torch._dynamo" in sys.modules:  # else the ninth compilation of one function in a process is refused
        torch.compiler.reset()
    yield
    torch.set_num_threads(threads)
