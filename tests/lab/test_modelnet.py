"""ModelNet40's HDF5 release: read as stored, or refused in one line that names the file."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from cwn_lite.lab.data import modelnet
from cwn_lite.lab.data.clouds import load_clouds
from cwn_lite.lab.errors import LabError

NAMES = [f"class{k:02d}" for k in range(40)]


def write(file: Path, seed: int, n: int = 40, points: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Write one file as the release has it; small clouds of n consecutive classes."""
    clouds = np.random.default_rng(seed).standard_normal((n, points, 3)).astype(np.float32)
    labels = (np.arange(n) * 7 % 40).astype(np.uint8)[:, None]
    with h5py.File(file, "w") as opened:
        opened.create_dataset("data", data=clouds, compression="gzip")
        opened.create_dataset("label", data=labels, compression="gzip")
    return clouds, labels.ravel()


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / modelnet.FOLDER
    folder.mkdir()
    for k, split in enumerate(["train0", "train1", "train2", "test0"]):
        write(folder / f"ply_data_{split}.h5", k)
    listed = [f"data/{modelnet.FOLDER}/ply_data_train{k}.h5" for k in (2, 0, 1)]
    (folder / "train_files.txt").write_text("\n".join(listed) + "\n")
    (folder / "test_files.txt").write_text(f"data/{modelnet.FOLDER}/ply_data_test0.h5\n")
    (folder / "shape_names.txt").write_text("\n".join(NAMES) + "\n")
    return folder


def test_what_is_stored_is_read(release: Path) -> None:
    clouds = load_clouds("modelnet40", release)
    stored = [write(release / "again.h5", k) for k in (2, 0, 1, 3)]
    assert np.array_equal(clouds.train_points, np.concatenate([points for points, _ in stored[:3]]))
    assert np.array_equal(clouds.train_labels, np.concatenate([labels for _, labels in stored[:3]]))
    assert np.array_equal(clouds.test_points, stored[3][0]) and np.array_equal(clouds.test_labels, stored[3][1])
    assert clouds.train_points.is_contiguous() and str(clouds.train_points.dtype) == "torch.float32"
    assert str(clouds.train_labels.dtype) == "torch.int64"
    assert clouds.class_names == tuple(NAMES)
    assert clouds.record == {"name": "ModelNet40", "sha256": clouds.sha256, "train": 120, "test": 40}
    assert load_clouds("modelnet40", release.parent).sha256 == clouds.sha256


def test_without_lists_files_come_by_number(release: Path) -> None:
    (release / "train_files.txt").unlink()
    (release / "test_files.txt").unlink()
    for k in range(3, 11):
        write(release / f"ply_data_train{k}.h5", k)
    found = [file.name for file in modelnet.files(release, "train")]
    assert found == [f"ply_data_train{k}.h5" for k in range(11)]
    assert len(load_clouds("modelnet40", release).train_labels) == 440
    (release / "ply_data_train4.h5").unlink()
    with pytest.raises(LabError, match=r"ply_data_train4\.h5: no such file; download"):
        load_clouds("modelnet40", release)
    (release / "ply_data_test0.h5").unlink()
    with pytest.raises(LabError, match=r"no files ply_data_test\*\.h5; download"):
        modelnet.files(release, "test")


def test_labels_and_numbers_of_other_types(release: Path) -> None:
    before = load_clouds("modelnet40", release)
    for k, name in enumerate(["train0", "train1", "train2", "test0"]):
        with h5py.File(release / f"ply_data_{name}.h5", "r+") as opened:
            points, labels = opened["data"][()], opened["label"][()]
            del opened["data"], opened["label"]
            opened["data"] = points.astype([">f4", "f8", "f4", "f8"][k])
            opened["label"] = labels.ravel().astype(["i8", "u2", ">i4", "i1"][k])
    assert load_clouds("modelnet40", release).sha256 == before.sha256


@pytest.mark.parametrize("kept", [0, 7, 100, 1500, -1000, -1])
def test_a_file_that_was_cut_short(kept: int, release: Path) -> None:
    file = release / "ply_data_train1.h5"
    file.write_bytes(file.read_bytes()[:kept])
    refused(release, file, "damaged or no HDF5 file")


@pytest.mark.parametrize("content", [b"a text", b"\0" * 4000, b"\x89HDF\r\n\x1a\n" + b"\xff" * 2000])
def test_no_hdf5(content: bytes, release: Path) -> None:
    file = release / "ply_data_test0.h5"
    file.write_bytes(content)
    refused(release, file, "damaged or no HDF5 file")


def refused(release: Path, file: Path, said: str) -> None:
    with pytest.raises(LabError) as error:
        load_clouds("modelnet40", release)
    text = str(error.value)
    assert text.startswith(f"{file}: ") and said in text and "\n" not in text
    assert text.endswith("download modelnet40_ply_hdf5_2048.zip again")


def test_scrambled_files_are_read_or_refused(release: Path) -> None:
    """Whatever a byte is changed to, the file is read or refused: nothing else is raised."""
    file, rng, count = release / "x.h5", np.random.default_rng(0), 0
    write(file, 0)
    whole = file.read_bytes()
    for _ in range(150):
        content = bytearray(whole)
        content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
        file.write_bytes(content)
        try:
            modelnet.read_file(file, 40)
        except LabError as error:
            count += 1
            assert str(error).startswith(f"{file}: ")
    assert count > 10


WRONG = {
    "no data": (None, np.zeros((40, 1), np.uint8), "no numbers by the name 'data', it holds 'label'"),
    "no labels": (np.zeros((40, 16, 3), np.float32), None, "no numbers by the name 'label', it holds 'data'"),
    "nothing": (None, None, "no numbers by the name 'data', it holds nothing"),
    "words": (np.array([b"a", b"b"]), np.zeros((2, 1), np.uint8), "no numbers by the name 'data'"),
    "planes": (np.zeros((40, 16, 2), np.float32), np.zeros((40, 1), np.uint8), "(n, points, 3) floats are expected"),
    "no points": (np.zeros((40, 0, 3), np.float32), np.zeros((40, 1), np.uint8), "(n, points, 3) floats are expected"),
    "bytes": (np.zeros((40, 16, 3), np.uint8), np.zeros((40, 1), np.uint8), "'data' is uint8 of shape (40, 16, 3)"),
    "fewer labels": (np.zeros((40, 16, 3), np.float32), np.zeros((39, 1), np.uint8), "(40, 1) integers are expected"),
    "float labels": (np.zeros((40, 16, 3), np.float32), np.zeros((40, 1)), "'label' is float64 of shape (40, 1)"),
    "label 40": (np.zeros((40, 16, 3), np.float32), np.full((40, 1), 40), "labels 40 to 40, but shape_names.txt"),
    "label -1": (np.zeros((40, 16, 3), np.float32), np.full((40, 1), -1), "labels -1 to -1"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_hdf5_that_holds_something_else(case: str, release: Path) -> None:
    points, labels, said = WRONG[case]
    file = release / "ply_data_train0.h5"
    with h5py.File(file, "w") as opened:
        for name, content in (("data", points), ("label", labels)):
            if content is not None:
                opened[name] = content
    refused(release, file, said)


def test_coordinates_that_are_not_finite(release: Path) -> None:
    file = release / "ply_data_train0.h5"
    with h5py.File(file, "r+") as opened:
        opened["data"][7, 3, 1] = np.nan
    refused(release, file, "cloud 7 has coordinates that are not finite")
    with h5py.File(file, "r+") as opened:
        clouds = opened["data"][:].astype(np.float64)
        clouds[7, 3, 1] = 1e300  # finite, but not where the lab counts
        del opened["data"]
        opened["data"] = clouds
    refused(release, file, "cloud 7 has coordinates that are not finite")


def test_a_group_in_the_place_of_data(release: Path) -> None:
    file = release / "ply_data_train0.h5"
    with h5py.File(file, "w") as opened:
        opened.create_group("data")
    refused(release, file, "no numbers by the name 'data'")


def test_a_claim_of_a_terabyte_is_not_tried(release: Path) -> None:
    file = release / "ply_data_train0.h5"
    with h5py.File(file, "w") as opened:
        opened.create_dataset("data", shape=(1 << 28, 2048, 3), dtype="f4", chunks=(1, 2048, 3))
    refused(release, file, f"'data' claims {(1 << 28) * 2048 * 3} numbers")


def test_numbers_of_points_that_differ(release: Path) -> None:
    write(release / "ply_data_train1.h5", 0, points=17)
    refused(release, release, "files with 16 and 17 points per cloud")
    write(release / "ply_data_train1.h5", 0)
    write(release / "ply_data_test0.h5", 0, points=17)
    refused(release, release, "16 points per cloud to train on, 17 to test on")


def test_classes_without_clouds(release: Path) -> None:
    for k in range(3):
        write(release / f"ply_data_train{k}.h5", k, n=38)
    refused(release, release, "no clouds to train on of 'class26', 'class33', which shape_names.txt names")


def test_names_of_classes(release: Path) -> None:
    (release / "shape_names.txt").write_text("\n".join([*NAMES, "more"]))
    refused(release, release, "no clouds to train on of 'more'")
    (release / "shape_names.txt").unlink()
    refused(release, release / "shape_names.txt", "no such file")


def test_files_that_are_missing(release: Path) -> None:
    (release / "ply_data_train1.h5").unlink()
    refused(release, release / "ply_data_train1.h5", "no such file")
    (release / "test_files.txt").write_text("\n")
    (release / "ply_data_train1.h5").write_bytes((release / "ply_data_train0.h5").read_bytes())
    refused(release, release, "no files ply_data_test*.h5")


def test_other_numbers_of_classes(release: Path) -> None:
    (release / "shape_names.txt").write_text("\n".join(NAMES[:39]))
    refused(release, release / "ply_data_train2.h5", "labels 0 to 39, but shape_names.txt names 39 classes")
    for name in ("train0", "train1", "train2", "test0"):
        with h5py.File(release / f"ply_data_{name}.h5", "r+") as opened:
            opened["label"][...] = np.minimum(opened["label"][()], 38)
    with pytest.raises(LabError, match="39 classes where ModelNet40 has 40"):
        load_clouds("modelnet40", release)


def test_without_h5py_the_way_to_it_is_said(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(LabError, match=r"ply_data_train2\.h5: to read it, install h5py: pip install h5py"):
        load_clouds("modelnet40", release)
