"""A figure with sliders: it computes anew, says what fails, takes nothing from its notebook, and has a still twin."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel
from matplotlib.figure import Figure

from cwn_lite import figures

ALT = "A line from the origin whose slope the reader chooses."
DIALS = {"slope": figures.Dial("slope & sign", (-1, 0, 2), 2), "steps": figures.Dial("steps", (2, 5), 5)}
MODULE = import_module("cwn_lite.figures.live")  # by import_module: the function hides its module


def draw(slope: float, steps: int) -> tuple[Figure, str]:
    fig, ax = plt.subplots()
    if slope == 0:
        raise ArithmeticError("no slope for <you>")
    ax.plot([slope * step for step in range(steps)])
    return fig, f"It ends at {slope * (steps - 1)}; {float(torch.rand(())):.6f} was drawn."


@pytest.fixture(autouse=True)
def no_figure_stays_open() -> object:
    yield
    assert not plt.get_fignums()


@pytest.fixture
def panel() -> Any:
    return figures.live_panel(draw, alt=ALT, **DIALS)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the module see a kernel, as in a notebook."""
    monkeypatch.setattr(MODULE, "get_ipython", lambda: type("Shell", (), {"kernel": object()})())


# ---- the panel ----


def test_each_dial_is_a_labelled_slider_at_its_start(panel: Any) -> None:
    slope, steps, back, state, picture = panel.children
    assert [slope.description, steps.description, back.description] == ["slope & sign", "steps", "Back to the start"]
    assert (slope.value, steps.value) == (2, 5) and [text for text, _ in slope.options] == ["-1", "0", "2"]
    assert not slope.continuous_update
    assert "It ends at 8;" in picture.value and state.value == ""


def test_a_slider_runs_the_code_and_the_text_follows(panel: Any) -> None:
    slope, steps, _, state, picture = panel.children
    before = picture.value
    slope.value = -1
    assert "It ends at -4;" in picture.value and 'aria-label="A line' in picture.value and picture.value != before
    assert state.value == '<p role="status">Shown: slope &amp; sign -1, steps 5.</p>'
    steps.value = 2
    assert "It ends at -1;" in picture.value


def test_what_fails_is_shown_and_raised_and_there_is_a_way_back(panel: Any) -> None:
    slope, steps, back, state, picture = panel.children
    steps.value = 2
    with pytest.raises(ArithmeticError):
        slope.value = 0
    assert picture.value == "", "an old figure would lie"
    assert "ArithmeticError: no slope for &lt;you&gt;" in state.value and 'role="alert"' in state.value
    assert "slope &amp; sign 0, steps 2" in state.value and back.description in state.value
    back.click()
    assert (slope.value, steps.value) == (2, 5)
    assert "It ends at 8;" in picture.value and 'role="status"' in state.value
    slope.value = -1  # the sliders still answer
    assert "It ends at -4;" in picture.value


def test_an_interrupt_leaves_no_figure_of_other_values() -> None:
    def slow(x: float) -> tuple[Figure, str]:
        if x:
            raise KeyboardInterrupt
        return draw(1, 2)

    slider, _, state, picture = figures.live_panel(slow, alt=ALT, x=figures.Dial("x", (0, 1), 0)).children
    with pytest.raises(KeyboardInterrupt):
        slider.value = 1
    assert picture.value == "" and "KeyboardInterrupt" in state.value


def test_going_back_computes_once() -> None:
    asked: list[dict[str, float]] = []

    def counted(**values: float) -> tuple[Figure, str]:
        asked.append(values)
        return draw(1, 2)

    a, b, back, *_ = figures.live_panel(
        counted, alt=ALT, a=figures.Dial("a", (0, 1), 0), b=figures.Dial("b", (0, 1), 0)
    ).children
    a.value, b.value = 1, 1
    back.click()
    assert asked == [{"a": 0, "b": 0}, {"a": 1, "b": 0}, {"a": 1, "b": 1}, {"a": 0, "b": 0}]


def test_the_notebook_s_random_numbers_are_left_alone(panel: Any) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    panel.children[0].value = -1
    assert torch.equal(torch.rand(3), expected)


# ---- what a cell displays ----


def test_without_a_kernel_there_is_the_figure_at_the_start(shown: list[Any]) -> None:
    torch.manual_seed(0)
    figures.live(draw, alt=ALT, **DIALS)
    (bundle,) = shown
    assert bundle.keys() == {"text/html", "text/plain"} and bundle["text/plain"] == ALT
    page = bundle["text/html"]
    assert (
        "<em>In the notebook this figure is live: sliders change the slope &amp; sign and steps, and the code runs "
        "again.</em></figcaption>" in page
    )
    torch.manual_seed(0)
    picture = figures.live_panel(draw, alt=ALT, **DIALS).children[-1].value
    assert page.split(" <em>")[0] == '<figure class="cwn-figure" style="margin:1.5rem 0">' + picture.removesuffix(
        "</figcaption>"
    ), "the still twin is the panel at its start"


def test_with_a_kernel_there_are_both(shown: list[Any], kernel: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MODULE.STILL, raising=False)
    figures.live(draw, alt=ALT, **DIALS)
    assert shown[0][MODULE.VIEW]["model_id"] and "<svg" in shown[0]["text/html"]


def test_for_print_there_is_no_panel(shown: list[Any], kernel: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODULE.STILL, "1")
    figures.live(draw, alt=ALT, **DIALS)
    assert MODULE.VIEW not in shown[0] and "In the notebook" in shown[0]["text/html"]


def test_without_ipywidgets_the_figure_says_so(shown: list[Any], kernel: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MODULE.STILL, raising=False)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.setattr(MODULE, "find_spec", lambda name: None)
    figures.live(draw, alt=ALT, **DIALS)
    assert MODULE.VIEW not in shown[0] and "With ipywidgets installed this figure is live" in shown[0]["text/html"]
    with pytest.raises(ModuleNotFoundError):
        figures.live_panel(draw, alt=ALT, **DIALS)


def test_an_error_at_the_start_stops_the_cell(shown: list[Any]) -> None:
    with pytest.raises(ArithmeticError):
        figures.live(draw, alt=ALT, slope=figures.Dial("slope", (0, 1), 0), steps=DIALS["steps"])
    assert not shown


@pytest.mark.parametrize("returned", [None, "text", (1, "text")])
def test_what_is_no_figure_and_sentence_is_refused(returned: object) -> None:
    with pytest.raises(TypeError, match="must return a figure and a sentence"):
        figures.live(lambda x: returned, alt=ALT, x=figures.Dial("x", (0, 1), 0))  # type: ignore[arg-type, return-value]


def test_a_figure_without_words_or_dials_is_refused() -> None:
    with pytest.raises(ValueError, match="alt is too short"):
        figures.live(draw, alt="A line.", **DIALS)
    with pytest.raises(ValueError, match="give at least one"):
        figures.live(draw, alt=ALT)


@pytest.mark.parametrize(
    ("label", "values", "start", "said"),
    [
        (" ", (0, 1), 0, "label is empty"),
        ("x", (1,), 1, "two or more finite numbers that rise"),
        ("x", (1, 0), 1, "two or more finite numbers that rise"),
        ("x", (0, float("inf")), 0, "two or more finite numbers that rise"),
        ("x", (1, 1.00001), 1, "look alike"),
        ("x", (1, 2), 3, "start of 'x' must be one of"),
    ],
)
def test_a_dial_that_cannot_be_turned_is_refused(label: str, values: Any, start: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        figures.Dial(label, values, start)


# ---- a notebook's kernel, and messages as a front end sends them ----

CELL = f"""
import matplotlib.pyplot as plt
from cwn_lite import figures
def draw(slope):
    if slope == 0:
        raise ArithmeticError("no slope")
    fig, ax = plt.subplots()
    ax.plot([0, slope])
    return fig, f"It ends at {{slope}}."
figures.live(draw, alt="{ALT}", slope=figures.Dial("slope", (0, 1, 2), 1))
"""


def heard(client: BlockingKernelClient, request: str) -> list[dict[str, Any]]:
    """Everything the kernel says until it has done what was asked."""
    found = []
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") == request:
            found.append(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return found


@pytest.mark.slow
def test_a_front_end_moves_a_slider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MODULE.STILL, raising=False)
    manager, client = start_new_kernel()
    try:
        said = heard(client, client.execute(CELL))
        assert not [m["content"]["evalue"] for m in said if m["msg_type"] == "error"]
        (shown,) = (m["content"]["data"] for m in said if m["msg_type"] == "display_data")
        assert {MODULE.VIEW, "text/html", "text/plain"} == shown.keys()
        opened = {m["content"]["comm_id"]: m["content"]["data"]["state"] for m in said if m["msg_type"] == "comm_open"}
        assert opened[shown[MODULE.VIEW]["model_id"]]["_model_name"] == "VBoxModel"
        own = {"@jupyter-widgets/base", "@jupyter-widgets/controls"}  # Colab and VS Code have them without asking
        assert {state["_model_module"] for state in opened.values()} <= own
        (slider,) = (c for c, state in opened.items() if state["_model_name"] == "SelectionSliderModel")

        def move(index: int) -> str:
            content = {"comm_id": slider, "data": {"method": "update", "state": {"index": index}, "buffer_paths": []}}
            message = client.session.msg("comm_msg", content)
            client.shell_channel.send(message)
            answers = heard(client, message["header"]["msg_id"])
            states = [m["content"]["data"].get("state", {}) for m in answers if m["msg_type"] == "comm_msg"]
            return "".join(str(state.get("value", "")) for state in states)

        assert "It ends at 2." in move(2)
        assert "ArithmeticError: no slope" in move(0)
        assert "It ends at 1." in move(1)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
