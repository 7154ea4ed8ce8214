"""What each chapter has and misses."""

from __future__ import annotations

import re

import pytest
from test_tables import result

from cwn_lite.lab import recipes
from cwn_lite.lab.__main__ import main
from cwn_lite.lab.results import chapters, load


def test_every_recipe_belongs_to_a_chapter_that_exists() -> None:
    named = {chapters.wanted(recipe)[0] for recipe in recipes.RECIPES.values()}
    assert named == set(chapters.WANTED)
    with pytest.raises(KeyError):
        chapters.wanted(recipes.get("points-bn").but(name="of-no-family"))


def test_the_first_of_several_patterns_counts() -> None:
    assert chapters.wanted(recipes.get("versus-digits-gn")) == ("cifar", 10)
    assert chapters.wanted(recipes.get("noise-search-digits-sgd-none")) == ("ablations", 1)


def test_a_result_takes_a_cell_off_the_list() -> None:
    def line(text: str) -> tuple[int, int]:
        match = re.search(r"^otherdata\s+(\d+) of (\d+) cells", text, re.MULTILINE)
        assert match
        return int(match[1]), int(match[2])

    none, all_ = line(chapters.progress([]))
    assert none == 0 and "missing: points-ours seed 0" in chapters.progress([])
    one = chapters.progress([result(recipes.get("points-ours"), 0, 30.0), result(recipes.get("points-ours"), 9, 30.0)])
    assert line(one) == (1, all_), "a seed that the chapter does not ask for counts nothing"
    assert "missing: points-ours seed 1" in one


def test_list_ends_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out.endswith(chapters.progress(load()) + "\n")
    assert main(["list", "points-bn"]) == 0
    assert "What the chapters" not in capsys.readouterr().out
