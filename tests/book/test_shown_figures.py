"""Figures are drawn by the book's own functions and have a text alternative."""

from pathlib import Path

import pytest
from bookcheck.figures import check
from bookcheck.pages import all_paths, from_markdown, from_notebook, load
from bookcheck.planting import ALT, CHAPTER, code, notebook


@pytest.mark.parametrize("path", all_paths(), ids=lambda path: path.name)
def test_book(path: Path) -> None:
    assert check(load(path)) == []


def test_planted_chapter() -> None:
    assert check(from_notebook(CHAPTER)) == []


@pytest.mark.parametrize(
    "source",
    [
        "plt.show()",
        "fig.show()",
        "display(fig)",
        "show(fig)",
        "figures.show(fig, alt='too short')",
        "figures.show(fig, alt=text)",
        f"explorable('sphere', data, alt=f'{{a}}{'b' * 20}{{c}}')",
    ],
)
def test_bad_code(source: str) -> None:
    assert len(check(from_notebook(notebook(code(source))))) == 1


@pytest.mark.parametrize(
    "source",
    [
        f"figures.show(fig, alt='{ALT}')",
        f"show(fig, alt=('{ALT[:30]}' '{ALT[30:]}'))",
        f"explorable('x', alt=f'{ALT} At {{x:.2f}}.')",
        "plt.plot(x)",
    ],
)
def test_good_code(source: str) -> None:
    assert check(from_notebook(notebook(code(source)))) == []


def test_figure_that_showed_itself() -> None:
    output = {"output_type": "display_data", "data": {"text/plain": "<Figure size 640x480 with 1 Axes>"}}
    assert "without figures.show" in check(from_notebook(notebook(code("plt.plot(x)", outputs=[output]))))[0]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("![](a.svg)", 1),
        ("![A sphere](a.svg)", 1),
        ("![A sphere that is cut by a plane](a.svg)", 0),
        ("<img src='a.svg'>", 1),
        ('<img src="a.svg" alt="A sphere that is cut by a plane">', 0),
        ("```{image} a.svg\n:width: 50%\n```", 1),
        ("```{figure} a.svg\n:alt: A sphere that is cut by a plane\n\nCaption.\n```", 0),
        ("`![](a.svg)`", 0),
    ],
)
def test_images(text: str, count: int) -> None:
    assert len(check(from_markdown(text))) == count
