"""The build, which runs on the processor's own kernels, prints what is stored; `make arithmetic` runs on others."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from bookcheck.built import EXECUTED, differences, executed
from bookcheck.pages import notebooks
from bookcheck.planting import code, markdown, notebook


@pytest.fixture(scope="module")
def built() -> list[dict[str, Any]]:
    if not EXECUTED.is_dir():
        pytest.skip("the book is not built: run `make book`")
    return executed()


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.name)
def test_book(path: Path, built: list[dict[str, Any]]) -> None:
    found = differences(json.loads(path.read_text(encoding="utf-8")), built)
    assert not found, "\n".join([path.name, *found])


def shown(**data: str | list[str]) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": {k.replace("_", "/"): v for k, v in data.items()}}


def printed(text: str | list[str], name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


STORED = notebook(
    markdown("# A page"),
    code("print(1)\nprint(2)", outputs=[printed("1\n2\n")]),
    code("show()", outputs=[shown(text_plain="alt")]),
    code("markdown()", outputs=[shown(text_markdown=["a\n", "2.5 to 2.5\n", "b"], text_plain="<Markdown>")]),
)
OTHER = notebook(code("print(3)", outputs=[printed("3\n")]))


def run(cell: int, *outputs: dict[str, Any]) -> dict[str, Any]:
    """The notebook as a build leaves it, one cell with other outputs."""
    built = deepcopy(STORED)
    built["cells"][cell]["outputs"] = list(outputs)
    return built


@pytest.mark.parametrize(
    ("cell", "outputs", "lines"),
    [
        (1, [printed("1\n"), printed("3\n")], ["- 2", "+ 3"]),
        (1, [], ["- [stdout]", "- 1", "- 2", "- "]),
        (1, [printed("1\n2")], ["- "]),
        (1, [printed("1\n2\n"), {"output_type": "error", "ename": "E", "evalue": "x", "traceback": []}], ["+ E: x"]),
        (2, [shown(text_plain="another alt", text_html="<b>")], ["- alt", "+ another alt"]),
        (2, [shown(text_plain="alt"), shown(text_plain="alt")], ["+ [text/plain]", "+ alt"]),
        (3, [shown(text_markdown="a\n2.4 to 2.6\nb", text_plain="<Markdown>")], ["- 2.5 to 2.5", "+ 2.4 to 2.6"]),
    ],
)
def test_another_text_is_seen(cell: int, outputs: list[dict[str, Any]], lines: list[str]) -> None:
    (found,) = differences(STORED, [OTHER, run(cell, *outputs)])
    assert found.startswith(f"cell {cell} ")
    assert found.splitlines()[1:] == lines


@pytest.mark.parametrize(
    ("cell", "outputs"),
    [
        (1, [printed("1\n"), printed(["2", "\n"])]),  # a stream may come in pieces
        (1, [printed("1\n2\n"), printed("a warning", "stderr")]),
        (2, [shown(text_plain="alt", text_html="<svg/>", **{"image_svg+xml": "<svg/>"})]),
        (3, [shown(text_markdown="a\n2.5 to 2.5\nb", text_plain=["<Mark", "down>"])]),
    ],
)
def test_the_same_text_passes(cell: int, outputs: list[dict[str, Any]]) -> None:
    assert differences(STORED, [run(cell, *outputs), OTHER]) == []


@pytest.mark.parametrize("built", [[], [OTHER], [notebook(*STORED["cells"][:-1])]])
def test_a_build_of_other_cells_is_seen(built: list[dict[str, Any]]) -> None:
    assert differences(STORED, built) == ["the build has not executed these cells: run `make book`"]
