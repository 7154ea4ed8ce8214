"""Image folders: labels go by names that both splits share, and nothing is left out unsaid."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from cwn_lite.lab import data
from cwn_lite.lab.data import folder
from cwn_lite.lab.errors import LabError


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", ["Class3", "class3 ", " class3", "class_3", "zebra", "aardvark"])
def test_a_class_renamed_in_one_split(split: str, name: str, tree: Path) -> None:
    (tree / split / "class3").rename(tree / split / name)
    with pytest.raises(LabError, match="name their classes differently") as error:
        data.load("cifar10", tree)
    assert "'class3'" in str(error.value) and repr(name) in str(error.value) and str(tree) in str(error.value)


def test_names_that_only_look_alike(tree: Path) -> None:
    (tree / "train" / "class3").rename(tree / "train" / "caf\u00e9")
    (tree / "test" / "class3").rename(tree / "test" / "cafe\u0301")
    if not (tree / "test" / "caf\u00e9").exists():  # some file systems hold the two for one name
        with pytest.raises(LabError, match=r"only in train: 'caf\u00e9'; only in test: 'cafe\\u0301'"):
            data.load("cifar10", tree)


def test_a_class_of_one_split_only(tree: Path) -> None:
    shutil.rmtree(tree / "test" / "class3")
    with pytest.raises(LabError, match="only in train: 'class3'"):
        data.load("cifar10", tree)
    (tree / "test" / "class3").write_text("a file in its place")
    with pytest.raises(LabError, match="only in train: 'class3'"):
        data.load("cifar10", tree)
    shutil.rmtree(tree / "train" / "class3")
    with pytest.raises(LabError, match="9 class folders where the recipe expects 10"):
        data.load("cifar10", tree)


def test_hidden_folders_and_files_are_no_content(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = data.load("cifar10", tree).sha256
    (tree / "train" / ".ipynb_checkpoints").mkdir()
    (tree / "train" / "class0" / ".thumbnails").mkdir()
    (tree / "train" / "class0" / "._0.png").write_bytes(b"not an image")
    assert data.load("cifar10", tree).sha256 == before
    assert capsys.readouterr().err == ""
    for split in folder.SPLITS:
        (tree / split / "class9").rename(tree / split / ".class9")
    with pytest.raises(LabError, match=r"9 class folders .*hidden ones do not count"):
        data.load("cifar10", tree)


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".tiff", ".TIF", ".jfif", ".ppm", ".pgm", ".tga", ".jp2", ".ico"])
def test_every_format_that_pillow_knows_is_read(suffix: str, tree: Path) -> None:
    file = tree / "test" / "class0" / "0.png"
    with Image.open(file) as image:
        image.convert("L").save(file.with_name(f"1{suffix}"))
    assert data.load("cifar10", tree).test_labels.tolist()[:3] == [0, 0, 1]


def test_what_is_left_out_is_said(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = data.load("cifar10", tree).sha256
    for name in ("labels.csv", "class0/Thumbs.db", "class0/photo.heic", "class3/0000"):
        (tree / "train" / name).write_bytes(b"?")
    assert data.load("cifar10", tree).sha256 == before
    note = capsys.readouterr().err
    assert note.startswith(f"note: {tree / 'train'}: left out") and note.count("\n") == 1
    assert all(repr(name) in note for name in ("labels.csv", "class0/Thumbs.db", "class0/photo.heic", "class3/0000"))
    for k in range(7):
        (tree / "test" / "class5" / f"{k}.txt").write_bytes(b"?")
    data.load("cifar10", tree)
    assert "'class5/4.txt' and 2 more" in capsys.readouterr().err


def test_pictures_outside_of_the_class_folders(tree: Path) -> None:
    (tree / "train" / "class0" / "deeper").mkdir()
    with pytest.raises(LabError, match="deeper: a folder in a class folder"):
        data.load("cifar10", tree)
    (tree / "train" / "class0" / "deeper").rmdir()
    (tree / "train" / "class0" / "0.png").rename(tree / "train" / "0.png")
    with pytest.raises(LabError, match=r"0\.png: a picture beside the class folders"):
        data.load("cifar10", tree)


def test_links_are_followed(tree: Path) -> None:
    before = data.load("cifar10", tree).sha256
    (tree / "train" / "class0").rename(tree / "elsewhere")
    (tree / "train" / "class0").symlink_to(tree / "elsewhere")
    assert data.load("cifar10", tree).sha256 == before


@pytest.mark.parametrize("target", ["nowhere", "2.png"])
def test_links_that_lead_nowhere(target: str, tree: Path) -> None:
    (tree / "train" / "class0" / "2.png").symlink_to(target)
    with pytest.raises(LabError, match=r"2\.png: no file \(.*broken link"):
        data.load("cifar10", tree)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(tree: Path) -> None:
    os.mkfifo(tree / "train" / "class0" / "2.png")
    with pytest.raises(LabError, match=r"2\.png: no file \(.*a device"):
        data.load("cifar10", tree)


@pytest.mark.parametrize("name", ["with blank", "né\u65e5本", "line\nbreak", "-dash", "a'b\"c"])
def test_any_name_of_a_folder_will_do(name: str, tree: Path) -> None:
    before = data.load("cifar10", tree).sha256
    assert data.load("cifar10", tree.rename(tree.with_name(name))).sha256 == before


def test_a_tree_of_another_shape_is_named(tree: Path) -> None:
    (tree / "test").rename(tree / "valid")
    with pytest.raises(LabError, match="it holds 'train', 'valid'"):
        data.load("cifar10", tree)
    with pytest.raises(LabError, match=r"it holds 'class0', .*and 5 more"):
        data.load("cifar10", tree / "train")
    (tree / "test").write_text("a file")
    with pytest.raises(LabError, match="it holds 'test', 'train', 'valid'"):
        data.load("cifar10", tree)
    with pytest.raises(LabError, match="it is no folder"):
        data.load("cifar10", tree / "test")


def test_a_folder_that_may_not_be_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(LabError, match=r"--data .*train: Permission denied"):
        data.load("cifar10", tree)


def test_paths_as_people_type_them(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tree.parent))
    assert len(data.load("cifar10", "~/tree").train_labels) == 20
    with pytest.raises(LabError, match="~no-such-user-here/x: "):
        data.load("cifar10", "~no-such-user-here/x")
    for path in ("", "nul\0inside"):
        with pytest.raises(LabError, match="no path"):
            data.load("cifar10", path)


def test_a_kind_that_there_is_not() -> None:
    with pytest.raises(LabError, match="'mnist': choose one of cifar10, cifar100, cifar10-half, imagenette64, digits"):
        data.load("mnist")
