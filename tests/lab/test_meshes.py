"""OFF meshes: sampled by area, read with the quirks of ModelNet's files, refused by name and line."""

from pathlib import Path

import numpy as np
import pytest

from cwn_lite.lab.data import meshes
from cwn_lite.lab.data.area import on_triangles
from cwn_lite.lab.data.clouds import load_clouds
from cwn_lite.lab.errors import LabError

# A tetrahedron with three corners on the axes and one at 0.
TETRAHEDRON = "OFF\n4 4 6\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n"
VERTICES = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
FACES = [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]


@pytest.fixture
def modelnet(tmp_path: Path) -> Path:
    """A tree of 40 classes: two meshes of each in ``train``, one in ``test``."""
    root = tmp_path / "ModelNet40"
    for k in range(40):
        for split, count in (("train", 2), ("test", 1)):
            folder = root / f"class{k:02d}" / split
            folder.mkdir(parents=True)
            for j in range(count):
                apex = f"0 0 {1 + k + 40 * j + 80 * (split == 'test')}"
                (folder / f"{j}.off").write_text(TETRAHEDRON.replace("0 0 1", apex))
    return root


@pytest.mark.parametrize(
    "text",
    [
        TETRAHEDRON,
        TETRAHEDRON.replace("OFF\n4", "OFF4"),
        TETRAHEDRON.replace("OFF\n", "OFF "),
        TETRAHEDRON.replace("\n", "\r\n"),
        "\n# made by hand\n\n" + TETRAHEDRON.replace("1 0 0\n", "1 0 0  # east\n\n").replace("4 4 6", " 4\t4 0 "),
        TETRAHEDRON.replace("4 4 6", "4 4").replace("3 1 2 3", "3 1 2 3 255 0 0"),
        TETRAHEDRON.replace("1 0 0", "1.0e0 -0 .0") + "trailing words are nobody's business\n",
        "\ufeff" + TETRAHEDRON,
    ],
)
def test_one_mesh_in_many_spellings(text: str) -> None:
    vertices, triangles = meshes.parse(text)
    assert np.array_equal(vertices, VERTICES) and triangles.tolist() == FACES


def test_polygons_become_fans() -> None:
    square = "OFF\n5 2 0\n0 0 0\n1 0 0\n2 1 0\n1 2 0\n0 1 0\n5 0 1 2 3 4\n2 0 1\n"
    assert meshes.parse(square)[1].tolist() == [[0, 1, 2], [0, 2, 3], [0, 3, 4]]


def test_points_lie_on_the_triangles_by_area() -> None:
    corners = VERTICES[np.array(FACES)]
    points, normals = on_triangles(corners, 200_000, np.random.default_rng(0))
    slanted = normals.sum(1) > 1
    assert np.allclose(points[slanted].sum(1), 1)
    assert (np.abs(points[~slanted]).min(1) == 0).all() and points.min() >= -1e-15
    assert slanted.mean() == pytest.approx(3**0.5 / (3 + 3**0.5), abs=0.005)
    assert points[slanted].mean(0) == pytest.approx([1 / 3] * 3, abs=0.005)
    assert points[slanted].var(0) == pytest.approx([1 / 18] * 3, abs=0.002)  # uniform, not heaped at a corner
    mirrored = on_triangles(corners[:, ::-1], 10, np.random.default_rng(0))[1]
    assert np.allclose(mirrored, -normals[:10]) or (mirrored.sum(1) < -0.9).any()


def test_a_cloud_is_upright_and_in_the_unit_sphere(tmp_path: Path) -> None:
    tower = tmp_path / "tower.off"
    tower.write_text(TETRAHEDRON.replace("0 0 1", "0 0 9"))  # ModelNet's z points up
    cloud = meshes.cloud(tower)
    assert cloud.shape == (2048, 3) and cloud.dtype == np.float32
    assert np.abs(cloud.mean(0)).max() < 1e-6
    assert np.linalg.norm(cloud, axis=1).max() == pytest.approx(1, abs=1e-6)
    assert np.ptp(cloud, axis=0).argmax() == 1
    # The tip is above the base, and the turn keeps right and left: the base grows along x and along -z.
    tip, base = cloud[cloud[:, 1].argmax()], cloud[cloud[:, 1] < cloud[:, 1].min() + 0.1]
    assert tip[1] > 0.9 and base[:, 0].mean() > tip[0] and base[:, 2].mean() < tip[2]


def test_points_depend_on_the_file_alone(tmp_path: Path) -> None:
    first, second = tmp_path / "a.off", tmp_path / "b.off"
    first.write_text(TETRAHEDRON)
    second.write_text(TETRAHEDRON)
    assert np.array_equal(meshes.cloud(first, 50), meshes.cloud(second, 50))
    second.write_text(TETRAHEDRON + "# another file\n")
    assert not np.array_equal(meshes.cloud(first, 50), meshes.cloud(second, 50))


@pytest.mark.parametrize("unit", ["e-200", "e-320", "e150", "e308"])
def test_any_unit_of_length_will_do(unit: str, tmp_path: Path) -> None:
    file = tmp_path / "x.off"
    one = "1" if unit != "e308" else "-1"  # also from one end of the numbers to the other
    far = TETRAHEDRON.replace("1 0 0", f"{one}{unit} 0 0").replace("0 1 0", f"0 1{unit} 0")
    file.write_text(far.replace("0 0 1", f"0 0 1{unit}"))
    cloud = meshes.cloud(file, 500)
    assert np.linalg.norm(cloud, axis=1).max() == pytest.approx(1) and np.ptp(cloud, axis=0).min() > 0.5


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("OFF", "PLY", "no OFF mesh: its first line must begin with 'OFF'"),
        ("OFF", "COFF", "no OFF mesh"),
        (TETRAHEDRON, "", "no OFF mesh"),
        (TETRAHEDRON, "\0\1\2", "no OFF mesh"),
        (TETRAHEDRON, "OFF", "line 1: numbers of vertices and faces expected, '' found"),
        ("4 4 6", "four 4 6", "line 2: numbers of vertices and faces expected, 'four 4 6' found"),
        ("4 4 6", "4", "line 2: numbers of vertices and faces"),
        ("4 4 6", "-4 4 6", "line 2: numbers of vertices and faces"),
        ("OFF", "OFF BINARY", "line 1: numbers of vertices and faces expected, 'BINARY' found"),
        ("4 4 6", "4 5 6", "cut short: 8 lines of data where its header promises 4 vertices and 5 faces"),
        ("4 4 6", "4 999999999999 6", "cut short: 8 lines of data"),
        ("4 4 6", "4 9999999999999999999 6", "line 2: no file has that many"),
        ("3 1 2 3\n", "", "cut short: 7 lines"),
        ("3 1 2 3\n", "3 1 2", "line 10: a face, its number of corners and these, expected, '3 1 2' found"),
        ("3 1 2 3", "x 1 2 3", "line 10: a face"),
        ("3 1 2 3", "3 1 2 3.5", "line 10: a face"),
        ("3 1 2 3", "-3 1 2 3", "line 10: a face"),
        ("3 1 2 3", "3 1 2 4", "line 10: corner 4 of a face, but there are vertices 0 to 3"),
        ("3 1 2 3", "3 1 2 -1", "line 10: corner -1 of a face"),
        ("0 1 0", "0 1", "line 5: three finite coordinates of a vertex expected, '0 1' found"),
        ("0 1 0", "0 one 0", "line 5: three finite coordinates"),
        ("0 1 0", "0 nan 0", "line 5: three finite coordinates of a vertex expected, '0 nan 0' found"),
        ("0 1 0", "0 1e999 0", "line 5: three finite coordinates"),
        ("0 1 0", "0 -inf 0", "line 5: three finite coordinates"),
        ("4 4 6", "4 0 0", "no area in 0 triangles"),
        (TETRAHEDRON, "OFF\n3 1 0\n0 0 0\n1 1 1\n2 2 2\n3 0 1 2\n", "no area in 1 triangles"),
        (TETRAHEDRON, "OFF\n3 1 0\n7 7 7\n7 7 7\n7 7 7\n3 0 1 2\n", "no area in 1 triangles"),
        (
            TETRAHEDRON,
            "OFF\n3 1 0\n0 0\n1 0\n0 1\n3 0 1 2\n",
            "line 3: three finite coordinates of a vertex expected, '0 0'",
        ),
        (TETRAHEDRON, "OFF\n9 1 0\n0\n1\n2\n5\n1\n2\n8\n2\n1\n3 0 1 2\n", "line 3: three finite coordinates"),
        (TETRAHEDRON, "OFF\n0 0 0\n", "no area in 0 triangles"),
        (TETRAHEDRON, "OFF\n0 1 0\n3 0 1 2\n", "line 3: corner 0 of a face, but there are no vertices"),
    ],
)
def test_what_is_refused(old: str, new: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "x.off"
    assert old in TETRAHEDRON
    file.write_text(TETRAHEDRON.replace(old, new))
    with pytest.raises(LabError) as error:
        meshes.cloud(file)
    assert str(error.value).startswith(f"{file}: {said}") and "\n" not in str(error.value)


def test_scrambled_files_are_read_or_refused(tmp_path: Path) -> None:
    file, rng, refused = tmp_path / "x.off", np.random.default_rng(0), 0
    for k in range(300):
        content = bytearray(TETRAHEDRON.encode())
        if k % 3 == 0:
            content = content[: rng.integers(len(content))]
        else:
            content[rng.integers(len(content))] = rng.integers(256)
        file.write_bytes(content)
        try:
            meshes.cloud(file, 8)
        except LabError as error:
            refused += 1
            assert str(error).startswith(str(file))
    assert refused > 100


def test_a_whole_tree(modelnet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clouds = load_clouds("modelnet40", modelnet)
    assert clouds.name == "ModelNet40 (OFF meshes)"
    assert clouds.train_points.shape == (80, 2048, 3) and clouds.test_points.shape == (40, 2048, 3)
    assert clouds.train_labels.tolist() == [k // 2 for k in range(80)]
    assert clouds.test_labels.tolist() == list(range(40))
    assert clouds.class_names[:2] == ("class00", "class01")
    first = meshes.cloud(modelnet / "class00" / "train" / "1.off")
    assert np.array_equal(clouds.train_points[1], first)
    assert capsys.readouterr().err == ""
    (modelnet / ".cache").mkdir()
    (modelnet / "README.txt").write_text("hello")
    (modelnet / "class00" / "train" / ".DS_Store").write_text("?")
    (modelnet / "class03" / "test" / "0.obj").write_text("?")
    assert load_clouds("modelnet40", str(modelnet)).sha256 == clouds.sha256
    note = capsys.readouterr().err
    assert note.startswith(f"note: {modelnet}: left out") and note.count("\n") == 1
    assert "0.obj" in note and "DS_Store" not in note
    (modelnet / "class00" / "train" / "1.off").write_text(TETRAHEDRON.replace("0 0 1", "0 0 7"))
    assert load_clouds("modelnet40", modelnet).sha256 != clouds.sha256


def test_trees_that_are_refused(modelnet: Path) -> None:
    only = modelnet / "class05" / "test" / "0.off"
    only.rename(only.with_suffix(".txt"))
    with pytest.raises(LabError, match=r"class05.test: no OFF meshes in this class folder"):
        load_clouds("modelnet40", modelnet)
    only.with_suffix(".txt").unlink()
    only.parent.rmdir()
    with pytest.raises(LabError, match=r"class05: no folder 'test' beside 'train'"):
        load_clouds("modelnet40", modelnet)
    (modelnet / "class05").rename(modelnet / ".class05")
    with pytest.raises(LabError, match=r"39 classes where ModelNet40 has 40: 'class00', .* and 34 more"):
        load_clouds("modelnet40", modelnet)


def test_what_is_no_file_is_not_waited_for(modelnet: Path) -> None:
    (modelnet / "class00" / "train" / "2.off").mkdir()
    with pytest.raises(LabError, match=r"2\.off: no file \(a folder"):
        load_clouds("modelnet40", modelnet)


def test_paths_without_point_clouds(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="this recipe trains on ModelNet40: give --data with the folder modelnet40_ply"):
        load_clouds("modelnet40")
    with pytest.raises(LabError, match="no such folder; give the folder modelnet40_ply"):
        load_clouds("modelnet40", tmp_path / "nowhere")
    (tmp_path / "ModelNet40").mkdir()
    with pytest.raises(LabError, match=r"neither the folder .*; it holds 'ModelNet40'"):
        load_clouds("modelnet40", tmp_path)
    with pytest.raises(LabError, match="it holds nothing"):
        load_clouds("modelnet40", tmp_path / "ModelNet40")
    with pytest.raises(LabError, match="'cubes': choose one of shapes, modelnet40"):
        load_clouds("cubes")


def test_a_folder_that_may_not_be_read(modelnet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(LabError, match=r"--data .*ModelNet40: Permission denied"):
        load_clouds("modelnet40", modelnet)
