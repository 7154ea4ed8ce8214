"""The variables of torchrun, set by something else: a run alone, or one line that names the variable."""

import socket
from pathlib import Path

import pytest
import torch

from cwn_lite.lab import recipes
from cwn_lite.lab.__main__ import main
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.training import world

RECIPE = recipes.get("digits-bn").but(name="digits-bn-quick", epochs=1, width=4)
TORCHRUN = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipes.RECIPES, RECIPE.name, RECIPE)
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("verb", [["run", RECIPE.name], ["fill", "--minutes", "1", "--only", RECIPE.name]])
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        *(({"WORLD_SIZE": bad}, f"WORLD_SIZE='{bad}'") for bad in ("abc", "0", "-3", "2.0", "1e3", "٢", "9" * 400)),
        *(({**TORCHRUN, "RANK": bad}, f"RANK='{bad}'") for bad in ("x", "2", "-1")),
        *(({**TORCHRUN, "LOCAL_RANK": bad}, f"LOCAL_RANK='{bad}'") for bad in ("x", "2", "-1")),
        *(({**TORCHRUN, "MASTER_PORT": bad}, f"MASTER_PORT='{bad}'") for bad in ("x", "0", "65536")),
        *(({**TORCHRUN, name: ""}, f"without {name}") for name in TORCHRUN if name != "WORLD_SIZE"),
        ({"WORLD_SIZE": "2"}, "without RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT: start with `torchrun"),
        ({"RANK": "1"}, "RANK='1'"),
        ({"RANK": "abc"}, "RANK='abc'"),
        ({"LOCAL_RANK": "1"}, "LOCAL_RANK='1'"),
    ],
)
def test_a_variable_that_is_not_torchruns(
    changes: dict[str, str],
    named: str,
    verb: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    assert main([*verb, "--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs"), "--device", "cpu"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and named in err
    assert not list(tmp_path.iterdir())


ALONE = [
    {},
    {"WORLD_SIZE": "1"},
    {"WORLD_SIZE": ""},
    {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"},
    {"RANK": "0"},
]


@pytest.mark.parametrize("changes", ALONE)
def test_a_process_alone(changes: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    with world.joined(torch.device("cpu")) as (joined, device):
        assert (joined.rank, joined.size, device.type) == (0, 1, "cpu")


def test_processes_that_do_not_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for name, value in {**TORCHRUN, "MASTER_PORT": port}.items():
            monkeypatch.setenv(name, value)
        message = f"the 2 processes of WORLD_SIZE do not meet at localhost:{port}"
        with pytest.raises(LabError, match=message), world.joined(torch.device("cpu")):
            pass
