"""Data sets are what their hash says, whatever folder or format they came from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cwn_lite.lab import data
from cwn_lite.lab.data import Dataset, dataset, folder
from cwn_lite.lab.errors import LabError


def test_image_folder(tree: Path) -> None:
    loaded = data.load("cifar10", tree)
    assert loaded.name == "CIFAR-10 (image folder)"
    assert loaded.train_images.shape == (20, 3, 32, 32) and loaded.train_images.dtype == torch.uint8
    assert loaded.train_labels.tolist() == [label for label in range(10) for _ in range(2)]
    with Image.open(tree / "train" / "class3" / "1.png") as image:
        assert torch.equal(loaded.train_images[7].permute(1, 2, 0), torch.from_numpy(np.array(image)))
    pixels = loaded.train_images.double()
    assert torch.allclose(loaded.mean.double(), pixels.mean((0, 2, 3)), atol=1e-4)
    assert torch.allclose(loaded.std.double(), pixels.std((0, 2, 3), correction=0), atol=1e-4)


def test_hash_is_of_pixels_and_labels_not_of_files(tree: Path) -> None:
    before = data.load("cifar10", tree).sha256
    for file in tree.rglob("*.png"):
        with Image.open(file) as image:
            image.save(file.with_suffix(".bmp"))
        file.unlink()
    assert data.load("cifar10", tree).sha256 == before
    file = tree / "test" / "class0" / "0.bmp"
    with Image.open(file) as image:
        pixels = np.array(image)
    pixels[5, 5, 0] ^= 1
    Image.fromarray(pixels).save(file)
    assert data.load("cifar10", tree).sha256 != before


def test_known_hash_gives_the_name(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = data.load("cifar10", tree).sha256
    monkeypatch.setitem(dataset.KNOWN, sha, "CIFAR-10, a variant")
    assert data.load("cifar10", tree).name == "CIFAR-10, a variant"


def test_faulty_folders_are_named(tree: Path) -> None:
    with pytest.raises(LabError, match=r"10 class folders where the recipe expects 100"):
        data.load("cifar100", tree)
    odd = tree / "train" / "class0" / "odd.png"
    Image.new("RGB", (31, 32)).save(odd)
    with pytest.raises(LabError, match=r"odd\.png: 31 x 32 pixels"):
        data.load("cifar10", tree)
    odd.write_bytes(b"no image")
    with pytest.raises(LabError, match=r"odd\.png: damaged"):
        data.load("cifar10", tree)
    odd.unlink()
    for file in (tree / "test" / "class9").iterdir():
        file.unlink()
    with pytest.raises(LabError, match="class9: no images"):
        folder.read(tree, "test", side=32, classes=10)


def test_missing_data_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"give --data with cifar-10-python\.tar\.gz"):
        data.load("cifar10")
    with pytest.raises(LabError, match="no such file or folder"):
        data.load("cifar10", tmp_path / "nowhere")
    with pytest.raises(LabError, match="neither"):
        data.load("cifar10", tmp_path)


def test_digits_are_the_embedded_default(digits: Dataset) -> None:
    # Pinned: results on other pixels or another split would not compare.
    assert digits.sha256 == "bf4f5eb0431b9ee04c996abe2fff1cff541bafd8f9dfc33e37f3cb80b7fb84dd"
    assert digits.record["train"] == 1348 and digits.record["test"] == 449
    for labels in (digits.train_labels, digits.test_labels):
        counts = labels.bincount(minlength=10)
        assert counts.min() > 0.8 * counts.max()
