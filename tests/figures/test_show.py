"""Figures as inlined SVG: the same bytes each time, at home in any page, never without a text."""

import io
import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from cwn_lite import figures

ALT = "A line that rises from one to three, with a shaded band."


def draw(color: str = "#D55E00") -> Figure:
    with mpl.rc_context():
        figures.use_style()
        fig, ax = plt.subplots()
        ax.plot([1, 2, 3], color=color, marker="o", label="$w^+$ & <co>")
        ax.fill_between([0, 1, 2], [0, 1, 2], [2, 3, 4], alpha=0.2)
        ax.set(xlabel="epoch", ylabel="loss", title="title")
        ax.legend()
    return fig


@pytest.fixture(autouse=True)
def no_figure_stays_open() -> object:
    yield
    assert not plt.get_fignums()


def test_the_same_figure_gives_the_same_bytes() -> None:
    assert figures.to_svg(draw(), alt=ALT) == figures.to_svg(draw(), alt=ALT)


def test_it_is_one_element_without_anything_from_outside() -> None:
    svg = figures.to_svg(draw(), alt=ALT)
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("role") == "img" and root.get("aria-label") == ALT
    assert "width:100%" in root.get("style", "") and "max-width" in root.get("style", "")
    for unwanted in ("<style", "<metadata", "<!--", "<?xml", "xlink", "http://matplotlib", "<text"):
        assert unwanted not in svg
    assert re.findall(r"https?://[^\"]+", svg) == ["http://www.w3.org/2000/svg"]


def test_places_have_two_digits_and_are_where_they_were() -> None:
    plain = io.StringIO()
    fig = draw()
    fig.savefig(plain, format="svg")
    svg = figures.to_svg(fig, alt=ALT)
    before, after = (re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"', text) for text in (plain.getvalue(), svg))
    assert len(before) == len(after) > 10
    for old, new in zip(before, after, strict=True):
        assert [float(at) for at in new] == pytest.approx([float(at) for at in old], abs=0.0051)
    assert not re.search(r' (?:d|x|y)="[^"]*\.\d{3}', svg) and re.search(r"\.\d{3}", plain.getvalue())


def test_the_ink_is_the_page_s_and_no_ground_is_painted() -> None:
    svg = figures.to_svg(draw(), alt=ALT)
    assert "currentColor" in svg
    assert figures.INK not in svg
    assert not re.search(r"#0{3,6}\b|#f{3,6}\b|\bblack\b|\bwhite\b", svg, re.IGNORECASE)
    assert "#d55e00" in svg.lower()


def test_black_drawn_without_the_style_follows_the_theme_too() -> None:
    fig, ax = plt.subplots()
    ax.plot([0, 1], color="black")
    ax.fill([0, 1, 1], [0, 0, 1], color="k")
    svg = figures.to_svg(fig, alt=ALT)
    root = ET.fromstring(svg)
    assert "black" not in svg and "#000000" not in svg
    assert root.get("fill") == "currentColor"  # what matplotlib leaves at SVG's default, black


def test_identifiers_are_referenced_unique_and_never_shared_between_figures() -> None:
    one, two = figures.to_svg(draw(), alt=ALT), figures.to_svg(draw("#0072B2"), alt=ALT)
    ids = [re.findall(r'\bid="([^"]+)"', svg) for svg in (one, two)]
    assert ids[0] and ids[1]
    assert not set(ids[0]) & set(ids[1])
    for names, svg in zip(ids, (one, two), strict=True):
        assert len(names) == len(set(names))
        assert set(names) == set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))


@pytest.mark.parametrize("alt", ["", "   ", "a plot", "x" * 19])
def test_a_figure_without_words_is_refused(alt: str) -> None:
    with pytest.raises(ValueError, match="alt is too short"):
        figures.to_svg(draw(), alt=alt)
    plt.close("all")


def test_alt_must_be_given_and_be_a_string() -> None:
    with pytest.raises(TypeError, match="alt"):
        figures.show(draw())
    with pytest.raises(TypeError, match="alt must be a string"):
        figures.show(draw(), alt=None)
    plt.close("all")


def test_show_displays_the_svg_inline_and_the_words(shown: list[dict[str, str]]) -> None:
    figures.show(draw(), alt=f"  {ALT}\n ", caption='of $c$ & "more"')
    (bundle,) = shown
    assert bundle["text/plain"] == ALT
    assert set(bundle) == {"text/html", "text/plain"}  # as image/svg+xml the site would make it an <img>, ink and all
    page = ET.fromstring(bundle["text/html"])
    assert page.tag == "figure" and len(page) == 2
    assert '<span class="math notranslate nohighlight">\\(c\\)</span> &amp; &quot;more&quot;' in bundle["text/html"]


def test_quotes_in_the_alternative_cannot_leave_their_attribute() -> None:
    hostile = 'Twenty characters" onload="alert(1)" <b> & more'
    assert ET.fromstring(figures.to_svg(draw(), alt=hostile)).get("aria-label") == hostile


def test_the_still_figures_draw() -> None:
    assert len(figures.to_svg(figures.sphere(), alt=ALT)) > 5000
    runs = [
        {
            "method": m,
            "label": figures.LABELS[m],
            "seed": s,
            "curve": [{"epoch": e, "test_error": 50 / e + s} for e in (1, 2)],
        }
        for m in figures.LABELS
        for s in (0, 1)
    ]
    svg = figures.to_svg(figures.curves(runs), alt=ALT).lower()
    assert all(color.lower() in svg for color in figures.COLORS.values())
