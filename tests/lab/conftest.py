"""Small data and small recipes, one thread, so that numbers repeat."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cwn_lite.lab import Options, Recipe, data
from cwn_lite.lab.data import Dataset


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return data.load("digits")


@pytest.fixture(scope="session")
def toy() -> Dataset:
    """Sixty 8x8 images of two classes that a glance tells apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = (rng.integers(0, 8, (60, 1, 8, 8)) + 8 * labels[:, None, None, None]).astype(np.uint8)
    split = (images, labels.astype(np.int64))
    return data.build(split, split, lambda sha: "toy")


@pytest.fixture
def tiny() -> Recipe:
    return Recipe.of(
        name="tiny", data="digits", augment="crop4-flip", depth=3, width=4, method="ours", sigma=0.1,
        batch=16, epochs=2, decay_scale_bias=False, weight_decay=1e-3,
    )  # fmt: skip


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(out=tmp_path / "out", runs=tmp_path / "runs", device=torch.device("cpu"), quiet=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An image folder of ten classes: two images of each in ``train``, one in ``test``."""
    root = tmp_path / "tree"
    rng = np.random.default_rng(0)
    for split, count in (("train", 2), ("test", 1)):
        for name in (f"class{k}" for k in range(10)):
            (root / split / name).mkdir(parents=True)
            for k in range(count):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{k}.png")
    return root
