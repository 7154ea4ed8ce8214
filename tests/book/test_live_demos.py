"""The figures with sliders: which chapters have one, at the ends of all ranges, and in a kernel as a reader has it."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from bookcheck.apart import apart
from bookcheck.demos import CALL, cells, judge
from bookcheck.pages import BOOK, chapters
from bookcheck.planting import ALT, Notebook, code, notebook
from nbclient import NotebookClient

WIDGET = "jupyter.widget"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def has_demo(path: Path) -> bool:
    return any(CALL.search("".join(cell["source"])) for cell in read(path)["cells"] if cell["cell_type"] == "code")


DEMOS = [path for path in chapters() if has_demo(path)]


def test_four_chapters_have_one() -> None:
    assert {path.stem for path in DEMOS} >= {"signals", "equilibrium", "starting", "stepping"}


@pytest.mark.slow
@pytest.mark.parametrize("path", DEMOS, ids=lambda path: path.name)
def test_every_end_of_every_slider(path: Path) -> None:
    assert apart(judge, path) == []


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.name)
def test_no_notebook_stores_a_widget(path: Path) -> None:
    stored = read(path)
    kept = [stored["metadata"], *({**cell, "source": ""} for cell in stored["cells"])]
    assert WIDGET not in json.dumps(kept)


@pytest.mark.slow
def test_in_a_kernel_a_panel_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a copy to take away runs: these cells stand in it as they are."""
    monkeypatch.delenv("CWN_LITE_STILL", raising=False)
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_code_cell(cell.source) for cell in cells(read(BOOK / "signals.ipynb"))]
    NotebookClient(made, timeout=120, resources={"metadata": {"path": str(BOOK)}}).execute()
    shown = [out["data"] for cell in made.cells for out in cell.outputs if out["output_type"] == "display_data"]
    assert ["application/vnd.jupyter.widget-view+json" in data and "text/html" in data for data in shown] == [True]
    assert WIDGET in json.dumps(made.metadata), "the front end was told of the sliders"


# ---- planted faults ----

DRAW = """
import matplotlib.pyplot as plt
from cwn_lite import figures
def draw(x):
    fig, ax = plt.subplots()
    ax.plot([0, 1], [0, {y}])
    return fig, f"The end is at {{x}}."
"""
LIVE = f"figures.live(draw, alt='{ALT}', x=figures.Dial('x', (0, 1, 2), 1))"


def planted(y: str) -> Notebook:
    return notebook(code(DRAW.format(y=y), "setup"), code("1 / 0"), code(LIVE))


def test_a_planted_demo_passes() -> None:
    assert judge(planted("x")) == []


@pytest.mark.parametrize(
    ("y", "problem"),
    [
        ("1 / x", "draw at x=0: ZeroDivisionError: division by zero"),
        ("1 / (2 - x)", "draw at x=2: ZeroDivisionError"),
        ("float('nan' if x == 2 else 1)", "draw at x=2: the figure has no data, or some that are not finite"),
        ("__import__('random').random()", "the same values give another figure"),
    ],
)
def test_a_fault_at_an_end_is_seen(y: str, problem: str) -> None:
    assert any(found.startswith(problem) or problem in found for found in judge(planted(y)))


def test_a_slider_that_changes_nothing_is_seen() -> None:
    dead = notebook(code(DRAW.format(y="1").replace("{x}", "one"), "setup"), code(LIVE))
    assert judge(dead) == ["draw: some settings look alike, so a slider changes nothing"]


def test_a_notebook_without_one_is_seen() -> None:
    assert judge(notebook(code("x = 1"))) == ["no call of figures.live"]
