"""The fragment around an interactive figure: whole, safe, and readable before any script has run."""

import json
import math
import re
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cwn_lite import figures
from cwn_lite.figures.curves import over_epochs
from cwn_lite.figures.explorable import MODULES, bundle, to_json

ALT = "A sphere cut by a plane through its centre, and one projected step."
NAMES = sorted(path.stem for path in MODULES.glob("*.js") if "export function render(" in path.read_text("utf-8"))


def data_of(page: str) -> Any:
    (text,) = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


@pytest.mark.parametrize("name", NAMES)
def test_the_fragment_asks_nothing_of_the_network(name: str) -> None:
    page = figures.explorable_html(name, {}, alt=ALT)
    assert not re.search(r"""\bsrc=|@import|\burl\(|\bfetch\(|\bimport\b[ (]|from ["']""", page)
    assert set(re.findall(r"https?://[^\"' ]+", page)) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", NAMES)
def test_two_fragments_are_equal_and_hold_no_identifiers(name: str) -> None:
    one = figures.explorable_html(name, {"a": 1}, alt=ALT)
    assert one == figures.explorable_html(name, {"a": 1}, alt=ALT)
    assert not re.search(r"\sid=", one)


def test_elements_are_closed_in_order() -> None:
    class Nesting(HTMLParser):
        open: ClassVar[list[str]] = []

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag not in {"input", "br", "path", "circle"}:
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag not in {"path", "circle"}:
                assert self.open.pop() == tag

    parser = Nesting()
    parser.feed(figures.explorable_html("projection-sphere", {"x": "<b>"}, alt=ALT, caption="see `w`"))
    assert not parser.open


def test_data_come_back_as_they_went_in_and_cannot_end_their_script() -> None:
    data = {"text": '</script><script>alert("&\u2028")</script><!--', "list": [1, 2.5, True, None], "n": {"t": (1, 2)}}
    page = figures.explorable_html("projection-sphere", data, alt=ALT)
    assert page.count("</script") == 2
    assert data_of(page) == {**data, "n": {"t": [1, 2]}}


def test_numbers_that_json_lacks_become_null() -> None:
    assert to_json([math.nan, math.inf, -math.inf, 1.5]) == "[null,null,null,1.5]"


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        to_json({"x": object()})


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    assert {"explosion", "learning-curves", "projection-sphere"} <= set(NAMES)
    with pytest.raises(ValueError, match=re.escape(f"name must be one of {NAMES}, got 'sphere'")):
        figures.explorable_html("sphere", {}, alt=ALT)
    with pytest.raises(ValueError, match="name must be one of"):  # a module, but no figure
        figures.explorable_html("shared", {}, alt=ALT)


def test_alt_is_required_and_escaped() -> None:
    with pytest.raises(ValueError, match="alt is too short"):
        figures.explorable_html("projection-sphere", {}, alt="sphere")
    page = figures.explorable_html("projection-sphere", {}, alt='Sphere & plane, "cut" <through> the centre.')
    assert 'data-alt="Sphere &amp; plane, &quot;cut&quot; &lt;through&gt; the centre."' in page


def test_without_scripts_there_is_a_figure_or_its_words() -> None:
    assert f"<p>{ALT}</p>" in figures.explorable_html("projection-sphere", {}, alt=ALT)
    page = figures.explorable_html("projection-sphere", {}, alt=ALT, static=figures.sphere())
    assert f'<div class="explorable-static"><svg role="img" aria-label="{ALT}"' in page
    assert "<noscript>" in page


@pytest.mark.parametrize("file", ["shared.js", "space.js", "projection-sphere.css", "quiz.css"])
def test_a_file_that_the_package_lacks_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str) -> None:
    question = figures.Question("?", [figures.Choice("a", True, "b"), figures.Choice("c", False, "d")])

    def draw() -> str:
        page = figures.explorable_html("projection-sphere", {}, alt=ALT, static=figures.sphere())
        return page + figures.quiz_html(question)

    for path in MODULES.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(import_module("cwn_lite.figures.explorable"), "MODULES", tmp_path)
    assert "mount(" in draw()
    (tmp_path / file).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(f"{file}'")):
        draw()


def test_a_bundle_holds_each_module_once_and_imports_nothing() -> None:
    code = bundle("projection-sphere")
    assert code.count("export function mount(") == code.count("export function project(") == 1
    assert not re.search(r"^\s*import\b", code, re.MULTILINE)
    assert code.index("export function h(") < code.index("export function render(")


@pytest.mark.parametrize("path", sorted(MODULES.glob("*.[jc]s*")), ids=lambda path: path.name)
def test_no_module_is_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350


def test_explorable_displays_page_and_words(shown: list[dict[str, str]]) -> None:
    figures.explorable("projection-sphere", {"c": 3}, alt=ALT, caption="Drag $w$.")
    (bundle_,) = shown
    assert bundle_["text/plain"] == ALT
    assert bundle_["text/html"] == figures.explorable_html("projection-sphere", {"c": 3}, alt=ALT, caption="Drag $w$.")


def test_the_summary_of_runs_is_numpy_s() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 5))
    values[1, 3:] = np.nan
    runs = [{"curve": [{"epoch": e + 1, "x": float(v)} for e, v in enumerate(row)]} for row in values]
    for row, column in zip(over_epochs(runs, "x"), values.T, strict=True):
        column = column[np.isfinite(column)]
        assert row["n"] == len(column)
        expected = (column.mean(), column.std(ddof=1), column.min(), column.max())
        assert (row["mean"], row["std"], row["min"], row["max"]) == pytest.approx(expected, rel=1e-13)


def test_curves_say_what_is_missing() -> None:
    with pytest.raises(ValueError, match="metric must be one of"):
        figures.curves([{"method": "bn", "curve": []}], "accuracy")
    with pytest.raises(ValueError, match="runs is empty"):
        figures.curves([])


def many_runs() -> list[dict[str, object]]:
    """Six methods, the last best; of one, all runs were lost before they had a value."""
    return [
        {"method": m, "label": m, "seed": s, "status": status, "curve": curve}
        for i, m in enumerate(list(figures.LABELS)[:7])
        for s in (0, 1)
        for status, curve in [
            ("diverged", []) if i == 6 else ("done", [{"epoch": e, "test_error": 50 / e - i} for e in (1, 2, 3)])
        ]
    ]


def test_many_still_curves_have_a_panel_each() -> None:
    runs = many_runs()
    fig = figures.curves(runs)
    names = list(figures.LABELS)
    assert [ax.get_title("left") for ax in fig.axes] == [*reversed(names[:6]), f"{names[6]}\n2 of 2 diverged"]
    assert [len(ax.lines) for ax in fig.axes] == [7] * 7
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in fig.axes}) == 1
    # Seen on a phone 360 pixels wide, with the page's margins, letters of 10 points are more than ten pixels high.
    assert 10 * 336 / (72 * fig.get_figwidth()) > 10
    assert len(figures.curves(runs, together=True).axes) == 1
    assert len(figures.curves(runs[:10]).axes) == 1
    plt.close("all")
