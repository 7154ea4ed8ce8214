"""CIFAR's own format, on archives made here: read whole, refused by name when truncated, altered or foreign."""

import dataclasses
import gzip
import hashlib
import importlib.util
import io
import pickle
import struct
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from cwn_lite.lab import data
from cwn_lite.lab.data import archive, unpickle
from cwn_lite.lab.data.archive import ARCHIVES, Archive
from cwn_lite.lab.errors import LabError


def python2_pickle(array: np.ndarray, labels: list[int], key: str) -> bytes:
    """Write a batch as Python 2 did: protocol 2, byte strings as opcode U, numpy under its name of then."""

    def text(value: str) -> bytes:
        return b"U" + bytes([len(value)]) + value.encode()

    raw = array.tobytes()
    body = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text("b") + b"\x87R"
    body += b"(K\x01" + b"".join(b"J" + struct.pack("<i", n) for n in array.shape) + b"\x86"
    body += b"cnumpy\ndtype\n" + text("u1") + b"K\x00K\x01\x87R"
    body += b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    body += b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    numbers = b"]" + b"(" + b"".join(b"K" + bytes([n]) for n in labels) + b"e"
    return b"\x80\x02}(" + text("data") + body + text(key) + numbers + b"u."


def make(path: Path, kind: str, per_batch: int = 4) -> tuple[Archive, np.ndarray, list[int]]:
    """Write an archive with random images; return its description, the training images and labels."""
    rng = np.random.default_rng(1)
    original = ARCHIVES[kind]
    sums: dict[str, str] = {}
    images, labels = [], []
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name in [*original.train, *original.test]:
            batch = rng.integers(0, 256, (per_batch, 3072), dtype=np.uint8)
            batch_labels = rng.integers(0, 10, per_batch).tolist()
            content = python2_pickle(batch, batch_labels, original.label_key)
            sums[name] = hashlib.md5(content).hexdigest()
            info = tarfile.TarInfo(f"{original.folder}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            if name in original.train:
                images.append(batch)
                labels += batch_labels
    described = dataclasses.replace(
        original,
        train={name: sums[name] for name in original.train},
        test={name: sums[name] for name in original.test},
    )
    return described, np.concatenate(images), labels


@pytest.mark.parametrize("kind", ["cifar10", "cifar100"])
@pytest.mark.parametrize("extracted", [False, True])
def test_reads_archive_and_extracted_folder(kind: str, extracted: bool, tmp_path: Path) -> None:
    path = tmp_path / ARCHIVES[kind].file
    described, images, labels = make(path, kind)
    if extracted:
        with tarfile.open(path) as tar:
            tar.extractall(tmp_path, filter="data")
        path.unlink()
    found = archive.locate(tmp_path, described)  # the folder that holds it, as torchvision's `root`
    assert found is not None
    train, test = archive.read(found, described)
    assert np.array_equal(train[0].reshape(-1, 3072), images)
    assert train[1].tolist() == labels
    assert test[0].shape == (4, 3, 32, 32) and test[0].dtype == np.uint8


def test_truncated_archive_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    described, _, _ = make(path, "cifar10", 40)
    whole = path.read_bytes()
    for part in (0.999, 0.6, 0.1, 0.0):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(LabError, match=r"cifar-10-python\.tar\.gz: .*(damaged|missing)"):
            archive.read(path, described)


def test_altered_member_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    make(path, "cifar10")
    with pytest.raises(LabError, match="data_batch_1 is altered"):
        archive.read(path, ARCHIVES["cifar10"])
    with pytest.raises(LabError, match="data_batch_1 is altered"):
        data.load("cifar10", path)


def test_missing_member_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    described, _, _ = make(path, "cifar10")
    with tarfile.open(path) as tar:
        tar.extractall(tmp_path, filter="data")
    (tmp_path / described.folder / "data_batch_3").unlink()
    with pytest.raises(LabError, match="data_batch_3 missing"):
        archive.read(tmp_path / described.folder, described)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_members_that_are_no_files_are_not_followed(kind: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    for target in ("test_batch", "../../passwords"):
        with tarfile.open(path, "w:gz") as tar:
            info = tarfile.TarInfo("batches/test_batch")
            info.type, info.linkname = kind, target
            tar.addfile(info)
        with pytest.raises(LabError, match="test_batch missing; download"):
            archive.read(path, ARCHIVES["cifar10"])


def test_a_member_larger_than_any_batch_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    info = tarfile.TarInfo("batches/test_batch")
    info.size = 1 << 40
    path.write_bytes(gzip.compress(info.tobuf() + b"\0" * 1024))
    with pytest.raises(LabError, match="test_batch has 1099511627776 bytes"):
        archive.read(path, ARCHIVES["cifar10"])


def test_an_archive_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    make(path, "cifar10")

    def refused(*arguments: object, **settings: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(tarfile, "open", refused)
    with pytest.raises(LabError, match=rf"^--data {path}: Permission denied$"):
        data.load("cifar10", path)


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1 + 1",)


def test_pickles_run_no_code() -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"builtins\.eval"):
        unpickle.loads(pickle.dumps(Malicious()))
    for name in (b"cposix\nsystem\n", b"cnumpy\nload\n", b"cbuiltins\ngetattr\n"):
        with pytest.raises(pickle.UnpicklingError):
            unpickle.loads(b"\x80\x02" + name + b"U\x02id\x85R.")


def test_pickles_of_python_3_are_read_too() -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    loaded = unpickle.loads(pickle.dumps({"data": array, "labels": [1, 2]}, protocol=2))
    assert np.array_equal(loaded["data"], array)


@pytest.mark.parametrize("absent", ["numpy._core", "numpy.core"])
def test_pickles_are_read_whatever_numpy_calls_its_parts(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 1.26 there is no ``numpy._core``, and some day there may be no ``numpy.core``."""
    for name in (absent, f"{absent}.multiarray"):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it fails now
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{absent}.multiarray")
    spec = importlib.util.spec_from_file_location("unpickle_anew", unpickle.__file__)
    assert spec is not None and spec.loader is not None
    anew = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(anew)
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    loaded = anew.loads(python2_pickle(array, [3, 8], "labels"))
    assert np.array_equal(loaded["data"], array) and loaded["labels"] == [3, 8]


@pytest.mark.parametrize("home", ["numpy.core", "numpy._core"])
def test_pickles_of_every_numpy_are_read(home: str) -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    content = python2_pickle(array, [3, 8], "labels")
    assert content.count(b"numpy.core.multiarray") == 1
    loaded = unpickle.loads(content.replace(b"numpy.core", home.encode()))
    assert np.array_equal(loaded["data"], array)


def test_batch_that_is_no_batch_is_refused(tmp_path: Path) -> None:
    described = ARCHIVES["cifar100"]
    folder = tmp_path / described.folder
    folder.mkdir()
    content = pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "fine_labels": [1]})
    sums = dict.fromkeys(("train", "test"), hashlib.md5(content).hexdigest())
    for name in sums:
        (folder / name).write_bytes(content)
    altered = dataclasses.replace(described, train={"train": sums["train"]}, test={"test": sums["test"]})
    with pytest.raises(LabError, match="2 images but 1 labels"):
        archive.read(folder, altered)
