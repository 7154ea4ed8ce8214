"""The rules of the house hold, and each rule notices when it does not."""

from __future__ import annotations

import ast
import graphlib
import json
import re
import statistics
import subprocess
from pathlib import Path

import house
import pytest
import torch
import yaml

import cwn_lite as cwn
from cwn_lite.lab.vision import import_torchvision

ROOT = house.ROOT
PACKAGE = sorted((ROOT / "cwn_lite").rglob("*.py"))
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf8")
VERBS = ("list", "run", "fill", "table")
by_name = pytest.mark.parametrize("path", PACKAGE, ids=lambda path: house.module_name(path))


def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout: nothing says which files are published")
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


# ---- Layers and sizes ----


@by_name
def test_imports_go_one_way(path: Path) -> None:
    assert house.wrong_imports(path.read_text(encoding="utf8"), house.module_name(path)) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("cwn_lite.layers", "import numpy as np"),
        ("cwn_lite.layers", "def f():\n    import torchvision"),
        ("cwn_lite.layers", "from cwn_lite import figures"),
        ("cwn_lite.layers", "from .lab import train"),
        ("cwn_lite.figures.show", "from cwn_lite.lab import results"),
        ("cwn_lite.figures.show", "from ..lab.results import load"),
        ("cwn_lite.lab.training.trainer", "import matplotlib.pyplot"),
        ("cwn_lite.lab.training.trainer", "import cwn_lite.figures"),
        ("cwn_lite.lab.training.trainer", "from book import index"),
    ],
)
def test_an_import_against_the_layers_is_seen(module: str, source: str) -> None:
    assert len(house.wrong_imports(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("cwn_lite.layers", "import math\nfrom torch import nn\nfrom .rows import row_view\nfrom . import checks"),
        (
            "cwn_lite.lab.training.trainer",
            "from ... import project_rows\nfrom ..data import load\nimport numpy, tqdm.auto",
        ),
        ("cwn_lite.lab.__init__", "from . import data"),
    ],
)
def test_imports_along_the_layers_pass(module: str, source: str) -> None:
    assert house.wrong_imports(source, module) == []


@by_name
def test_nothing_private_of_other_libraries_is_imported(path: Path) -> None:
    assert house.private_imports(path.read_text(encoding="utf8"), house.module_name(path)) == []


@pytest.mark.parametrize(
    "source", ["from numpy._core.multiarray import _reconstruct", "import scipy._lib", "from tqdm import _utils"]
)
def test_a_private_import_is_seen(source: str) -> None:
    assert len(house.private_imports(source, "cwn_lite.lab.data.unpickle")) == 1
    assert (
        house.private_imports("from .rows import _view\nfrom torch.nn.modules.conv import _ConvNd", "cwn_lite.layers")
        == []
    )


@by_name
def test_the_rooms_of_the_lab_open_one_way(path: Path) -> None:
    assert house.wrong_rooms(path.read_text(encoding="utf8"), house.module_name(path)) == []


def test_no_two_rooms_open_into_each_other() -> None:
    assert set(house.ROOMS) == {path.parent.name for path in (ROOT / "cwn_lite" / "lab").glob("*/__init__.py")}
    order = list(graphlib.TopologicalSorter(house.ROOMS).static_order())  # raises at a circle
    assert set(order) == set(house.ROOMS)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("cwn_lite.lab.recipes.paper", "from ..data import SHAPES"),
        ("cwn_lite.lab.disk.files", "from .. import results"),
        ("cwn_lite.lab.data.folder", "def f():\n    from cwn_lite.lab.training import Trainer"),
        ("cwn_lite.lab.results.store", "from cwn_lite.lab.cells.fill import missing"),
        ("cwn_lite.lab.seeding", "from .recipes import get"),
        ("cwn_lite.lab.cells.fill", "from ..__main__ import main"),
    ],
)
def test_an_import_into_a_closed_room_is_seen(module: str, source: str) -> None:
    assert len(house.wrong_rooms(source, module)) == 1


@by_name
def test_one_idea_per_file(path: Path) -> None:
    assert not house.too_long(path.read_text(encoding="utf8"))


def test_files_are_short_on_the_whole() -> None:
    assert statistics.median(path.read_text(encoding="utf8").count("\n") for path in PACKAGE) <= 200


def test_a_long_file_is_seen() -> None:
    assert house.too_long("x\n" * 351) and not house.too_long("x\n" * 350)


# ---- Public names ----


def test_public_names_are_documented() -> None:
    assert house.undocumented(vars(cwn)) == []


def test_an_undocumented_name_is_seen() -> None:
    def silent() -> None:
        pass

    def spoken() -> None:
        """Do nothing.

        Example:
            >>> spoken()
        """

    names = {"__all__": ["silent", "spoken", "gone"], "silent": silent, "spoken": spoken, "extra": 1, "_own": 2}
    assert house.undocumented(names) == ["extra", "gone", "silent"]


def test_the_public_names_are_re_exported_one_by_one() -> None:
    tree = ast.parse((ROOT / "cwn_lite" / "__init__.py").read_text(encoding="utf8"))
    aliases = [a for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names]
    assert {alias.asname for alias in aliases} == set(cwn.__all__) == {alias.name for alias in aliases}


# ---- What a stranger reads first ----


def test_the_example_of_the_readme_runs() -> None:
    (example,) = house.fenced((ROOT / "README.md").read_text(encoding="utf8"), "python")
    names: dict[str, object] = {}
    import_torchvision()  # a torch for CPUs alone may come with a torchvision that expects more
    exec(example, names)
    constraint, deployed = names["constraint"], names["deployed"]
    assert isinstance(constraint, cwn.Constraint) and constraint.violation() < 1e-5
    assert isinstance(deployed, torch.nn.Module)
    assert not any(isinstance(module, cwn.ScaleBias) for module in deployed.modules())


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_the_commands_exist(name: str) -> None:
    page = (ROOT / name).read_text(encoding="utf8")
    assert "make test" in page
    assert house.unknown_commands(page, MAKEFILE, VERBS) == []


def test_an_unknown_command_is_seen() -> None:
    page = "Do `make tea` or `make book`, then `python -m cwn_lite.lab brew X`.\n\n```bash\nmake coffee\n```\n"
    assert house.unknown_commands(page, MAKEFILE, VERBS) == [
        "make coffee",
        "make tea",
        "python -m cwn_lite.lab brew",
    ]


def test_help_lists_every_command() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in shown.splitlines() if line.startswith("  make ")} == house.targets(MAKEFILE)


@pytest.mark.equation("eq:index:constraints")
def test_the_two_rules_of_the_front_page() -> None:
    rows = cwn.project_rows(torch.randn(40, 9, dtype=torch.float64), c=3.0)
    assert torch.allclose(rows.square().sum(-1), torch.tensor(3.0, dtype=torch.float64), rtol=1e-12)
    assert rows.sum(-1).abs().max() < 1e-12


def test_the_changelog_knows_this_version() -> None:
    page = (ROOT / "CHANGELOG.md").read_text(encoding="utf8")
    headings = re.findall(r"^## (?:Version )?(\S+)", page, re.MULTILINE)
    assert headings[0] == "Unreleased" and cwn.__version__ in headings


def test_licences_and_citation() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf8"))
    assert citation["version"] == cwn.__version__
    assert citation["references"][0]["authors"][0]["family-names"] == "Ikami"
    assert "MIT License" in (ROOT / "LICENSE").read_text(encoding="utf8")
    assert "CC-BY-4.0" in (ROOT / "LICENSE-text").read_text(encoding="utf8")


# ---- Nothing of one machine ----


def test_no_file_names_a_machine_or_an_index() -> None:
    planted = {ROOT / "tests" / name for name in ("house.py", "test_house.py", "book/test_stored_outputs.py")}
    found = {}
    for path in set(tracked()) - planted:
        text = path.read_bytes().decode("utf8", errors="ignore")
        if words := house.of_one_machine(text):
            found[str(path.relative_to(ROOT))] = words
    assert found == {}


@pytest.mark.parametrize(
    "text", ["open('/home/me/x')", "see /root/.cache", "--index-url x", "https://index.example/simple"]
)
def test_a_machine_is_seen(text: str) -> None:
    assert house.of_one_machine(text)


@pytest.mark.parametrize("text", ["../home/x", "https://example.org/home/x", "paper/workshop", "a/root/b"])
def test_other_paths_pass(text: str) -> None:
    assert house.of_one_machine(text) == []


# ---- The lock and the extras ----


def test_the_lock_covers_what_is_imported() -> None:
    sources = [path.read_text(encoding="utf8") for path in tracked() if path.suffix == ".py"]
    for path in tracked():
        if path.suffix == ".ipynb":
            cells = json.loads(path.read_text(encoding="utf8"))["cells"]
            sources += ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    own = {path.stem for path in tracked() if path.suffix == ".py"} | {
        "cwn_lite",
        "bookcheck",
        "benchmarks",
        "classroom",
    }
    lock = house.pins((ROOT / "requirements.txt").read_text(encoding="utf8"))
    assert house.not_covered(house.libraries(sources, own), set(lock)) == []
    assert "setuptools" in lock  # builds the package without asking an index


@pytest.mark.parametrize(("part", "names"), [("core", [""]), ("lab", ["", "lab"]), ("figures", ["", "lab", "book"])])
def test_the_extras_cover_what_each_part_imports(part: str, names: list[str]) -> None:
    sources = [p.read_text(encoding="utf8") for p in PACKAGE if house.layer(house.module_name(p)) == part]
    asked = set().union(*(house.extras(PYPROJECT)[name] for name in names))
    assert house.not_covered(house.libraries(sources, {"cwn_lite"} | house.WITH_TORCH), asked) == []


def test_a_library_that_nothing_asks_for_is_seen() -> None:
    modules = house.libraries(["import torch\nfrom numpy import array\nimport json, nowhere"], {"own"})
    assert house.not_covered(modules, {"torch"}) == ["nowhere", "numpy"]


@pytest.mark.parametrize(
    "line", ["torch>=2", "torch", "torch==2.13.0+cpu", "torch @ https://example.org/x.whl", "-r x"]
)
def test_a_loose_pin_is_seen(line: str) -> None:
    with pytest.raises(ValueError, match=re.escape(line)):
        house.pins(f"# comment\nnumpy==2.0\n{line}\n")
