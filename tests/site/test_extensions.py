"""What `book/_ext` does to pages and notebooks, each on a small case; the built book is in the other files."""

from __future__ import annotations

import io
import json
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import api_page
import chapter_links
import chapter_numbers
import chapters
import dedupe_scripts
import hero
import lean_pages
import nbformat
import paper_numbers
import pytest
import readme
import refresh
import stacked_tables
import student
import yaml
from docutils import nodes
from docutils.utils import new_document
from origin import Origin
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import docutils_namespace

from cwn_lite.lab.results.finals import finals_table

ROOT = Path(__file__).parents[2]
SOLUTION = "def f(x):\n    y = x\n    ### BEGIN SOLUTION\n    y = y + 1\n    return y\n    ### END SOLUTION"


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    numbered = [{**cell, "id": f"cell-{i}"} for i, cell in enumerate(cells)]
    return {"cells": numbered, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def code(source: str, *tags: str, outputs: list[Any] | None = None) -> dict[str, Any]:
    head = {"cell_type": "code", "execution_count": 3, "outputs": outputs or []}
    return {**head, "metadata": {"tags": list(tags)}, "source": source.splitlines(keepends=True)}


def text(source: str, *tags: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {"tags": list(tags)}, "source": [source]}


# ---- student ----


def test_links_in_html_lead_to_pages_on_the_site() -> None:
    body = '<a href="signals.ipynb">Signals</a> <a href="signals.ipynb" download="x">take it</a> signals.ipynb'
    assert chapter_links.to_pages(body) == body.replace('signals.ipynb">S', 'signals.html">S')


def test_student_gets_the_stub_and_not_the_answer() -> None:
    output = {"output_type": "stream", "name": "stdout", "text": ["2\n"]}
    whole = notebook(
        text("task", "exercise"), code(SOLUTION, "solution"), code("f(1)", outputs=[output]), text("why", "solution")
    )
    before = json.dumps(whole)
    cells = student.strip(whole)["cells"]
    assert json.dumps(whole) == before
    assert ["".join(cell["source"]) for cell in cells] == [
        "task",
        'def f(x):\n    y = x\n    raise NotImplementedError("your turn")',
        "f(1)",
    ]
    assert [cell.get("outputs") for cell in cells] == [None, [], []]
    nbformat.validate(nbformat.from_dict(student.strip(whole)))


def test_student_gets_each_of_several_stubs() -> None:
    assert student.strip_source(f"{SOLUTION}\n\n{SOLUTION}\nz = 1").count(student.STUB) == 2


@pytest.mark.parametrize(
    "cell",
    [
        code("x = 1", "solution"),
        code(SOLUTION),
        code("### BEGIN SOLUTION\nx = 1", "solution"),
        code(SOLUTION + "\n### END SOLUTION", "solution"),
    ],
)
def test_a_solution_that_would_leak_or_stay_is_refused(cell: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cell 0: the tag"):
        student.strip(notebook(cell))


# ---- chapters ----


def test_solutions_are_folded_on_the_page() -> None:
    cells = chapters.fold_cells(notebook(code("x", "solution", "hide-input"), code("y", "grader"), code("z")))["cells"]
    assert [cell["metadata"]["tags"] for cell in cells] == [
        ["solution", "hide-input", "cwn-solution"],
        ["grader", "hide-input", "cwn-grader"],
        [],
    ]
    assert cells[0]["metadata"]["mystnb"]["code_prompt_show"] == "Show a solution"


def test_without_a_repository_no_other_host_is_named() -> None:
    assert "http" not in chapters.links("book/a", "../", Origin())


def test_links_follow_the_repository() -> None:
    line = chapters.links("book/a", "../", Origin("https://github.com/someone/fork", "12ab"))
    colab = "https://colab.research.google.com/github/someone/fork/blob/gh-pages"
    assert f'href="{colab}/notebooks/exercises/a.ipynb"' in line
    assert 'href="https://github.com/someone/fork/blob/12ab/book/a.ipynb"' in line
    assert "colab" not in chapters.links("book/a", "../", Origin("https://example.org/fork"))


def test_links_are_to_what_there_is() -> None:
    assert chapters.links("book/a", "../", Origin()).count(".ipynb") == 4
    assert "solved" not in chapters.links("book/a", "../", Origin(), solutions=False)
    line = chapters.links("book/a", "../", Origin(), exercises=False)
    assert "This page as a notebook" in line and "solved" not in line


def test_the_origin_is_read_where_the_site_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPOSITORY_URL", "https://github.com/someone/fork.git/")
    app = cast("Sphinx", SimpleNamespace(config=SimpleNamespace(html_baseurl="https://someone.github.io/fork/")))
    found = Origin.of(app)
    assert (found.repository, found.site) == ("https://github.com/someone/fork", "https://someone.github.io/fork")


# ---- numbers of the paper ----

TABLES = {
    "table9": {"a": {"0.4": Decimal("4.50"), "0": {"4": Decimal(1)}, "none": None}, "lr": Decimal("0.1")},
    "settings": {"lr": Decimal("1.0e-3"), "images": Decimal("50000")},
}


@pytest.mark.parametrize(
    ("quoted", "path"),
    [
        ("4.50", "table9.a.0.4"),
        ("0.1", "table9.lr"),
        ("0.001", "settings.lr"),
        ("50,000", "settings.images"),
        ("1e-3", "settings.lr"),
    ],
)
def test_a_true_quote(quoted: str, path: str) -> None:
    assert paper_numbers.check(quoted, path, TABLES) is None


@pytest.mark.parametrize(
    ("quoted", "path", "problem"),
    [
        ("4.5", "table9.a.0.4", "the page says 4.5, table9.a.0.4 says 4.50"),
        ("4.51", "table9.a.0.4", "says 4.50"),
        ("0.002", "settings.lr", "says 0.0010"),
        ("4.50", "table9.a.none", "empty in the paper"),
        ("4.50", "table9.a", "not a number"),
        ("many", "table9.lr", "'many' is not a number"),
        ("1", "table9.b", "no such cell"),
        ("1", "table8.a", "no such cell"),
        ("1", "table9.lr.x", "no such cell"),
    ],
)
def test_a_false_quote(quoted: str, path: str, problem: str) -> None:
    assert problem in (paper_numbers.check(quoted, path, TABLES) or "")


def test_the_tables_keep_the_printed_digits() -> None:
    tables = paper_numbers.load()
    assert str(paper_numbers.look_up(tables, "table4.cifar100.constant.0.1")) == "21.00"


# ---- pages ----


def test_scripts_come_once_and_without_the_kernel_client() -> None:
    scripts = [
        SimpleNamespace(filename="a.js", attributes={}),
        SimpleNamespace(filename="", attributes={"body": "let x = 1"}),
        SimpleNamespace(filename="", attributes={"body": "let x = 1"}),
        SimpleNamespace(filename="", attributes={"body": 'const THEBE_JS_URL = "https://example.org"'}),
        SimpleNamespace(filename="_static/sphinx-thebe.js", attributes={}),
        "plain.js",
    ]
    assert dedupe_scripts.unique_scripts(scripts) == [scripts[0], scripts[1], scripts[5]]


def test_pages_lose_what_they_do_not_need() -> None:
    view = '<meta name="viewport" content="a"/>'
    page = (
        f'{view}<title>t</title>{view}{view}<script defer src="../_static/scripts/fontawesome.js?digest=1"></script>'
        '<summary aria-label="Toggle hidden content">s</summary><script src="keep.js"></script>'
        "<script type=\"text/x-thebe-config\">\n{x}\n</script>\n<script>kernelName = 'python3'</script>"
    )
    assert lean_pages.lean(page) == f'{view}<title>t</title><summary>s</summary><script src="keep.js"></script>'


def test_the_theme_s_script_measures_before_it_marks() -> None:
    script = f"a{lean_pages.TAB_STOPS[0]}b"
    assert lean_pages.steady(script) == f"a{lean_pages.TAB_STOPS[1]}b" == lean_pages.steady(lean_pages.steady(script))
    with pytest.raises(ValueError, match="otherwise than it did"):
        lean_pages.steady("another version")


def test_code_keeps_its_text_and_its_colours() -> None:
    code = '<span class="n">x</span><span class="p">(</span><span class="mi">1</span><span class="p">)</span>'
    assert lean_pages.lean(f"<pre>{code}</pre>") == '<pre>x(<span class="mi">1</span>)</pre>'
    signature = '<span class="n"><span class="pre">x</span></span>'
    assert lean_pages.lean(signature) == signature


# ---- refresh ----


def test_stored_outputs_are_text() -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": "1\n"},
        {"output_type": "stream", "name": "stderr", "text": "warning\n"},
        {"output_type": "display_data", "data": {"text/html": "<p>", "text/plain": "alt"}, "metadata": {"a": 1}},
        {"output_type": "display_data", "data": {"image/png": "AAAA"}, "metadata": {}},
        {"output_type": "execute_result", "data": {"text/markdown": "**m**"}, "metadata": {}, "execution_count": 3},
    ]
    dirty = notebook(code("x", "grader", outputs=outputs))
    dirty["metadata"] = {"language_info": {"version": "3.11.7"}, "kernelspec": {"name": "mine"}}
    dirty["cells"][0]["metadata"]["execution"] = {"iopub.status.busy": "2026"}
    clean = refresh.text_only(dirty)
    assert clean["metadata"] == {"kernelspec": refresh.KERNEL}
    cell = clean["cells"][0]
    assert cell["metadata"] == {"tags": ["grader"]} and cell["execution_count"] == 3
    assert cell["outputs"] == [
        outputs[0],
        {"output_type": "display_data", "data": {"text/plain": "alt"}, "metadata": {}},
        {"output_type": "display_data", "data": {"text/plain": ""}, "metadata": {}},
        outputs[4],
    ]


# ---- what the project draws and writes of itself ----


def test_the_picture_is_what_the_library_computes() -> None:
    assert hero.TARGET.read_text(encoding="utf8") == hero.svg(), "run `make readme`"
    at = hero.points()
    assert at["projected"].square().sum().item() == pytest.approx(hero.C)
    assert abs(at["centred"].sum().item()) < 1e-12 < abs(at["v"].sum().item())


def test_the_readme_has_the_results() -> None:
    written = (ROOT / "README.md").read_text(encoding="utf8")
    assert written == readme.renew(written, readme.table(ROOT / "book" / "results")), "run `make readme`"


def test_a_row_counts_every_seed() -> None:
    def run(seed: int, status: str, error: float = 4.0) -> Any:
        data = {"name": "images", "sha256": "x" * 64}
        known = {"name": "x", "recipe_sha": "x", "method": "ours", "env": {}, "data": data}
        return SimpleNamespace(seed=seed, status=status, test_error=error, **known)

    well, lost = [run(0, "done"), run(1, "done", 6.0)], [run(2, "diverged")]
    rows = finals_table({"angular-resnet20-printed": well + lost}).splitlines()
    assert "| ResNet-20 | CWO as printed, SGD | | 5.00 ± 1.41 (2), 1 of 3 diverged | |" in rows
    assert "| ResNet-20 | **CWO recommended** | not run yet | not run yet | not run yet |" in rows


def test_no_results_are_said(tmp_path: Path) -> None:
    assert readme.table(tmp_path) == readme.NONE_YET


@pytest.mark.parametrize("bad", ["", readme.BEGIN, readme.END + readme.BEGIN, 2 * (readme.BEGIN + readme.END)])
def test_a_readme_without_markers_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        readme.renew(bad, "x")


# ---- the API page ----


def planted_package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package of two modules with every kind of public name; some say nothing."""
    source = '''
import dataclasses
GOOD = 1.0
"""What it is."""
BARE = 2.0
def spoken(): "Say."
def silent(): pass
@dataclasses.dataclass
class Thing:
    """A thing."""
    field: int
    def method(self): "Do."
    def mute(self): pass
    @property
    def value(self): pass
    def _own(self): pass
'''
    inner, package = ModuleType("planted.inner"), ModuleType("planted")
    monkeypatch.setitem(sys.modules, "planted.inner", inner)
    analyzed = ModuleAnalyzer.for_string(source, "planted.inner")
    monkeypatch.setitem(ModuleAnalyzer.cache, ("module", "planted.inner"), analyzed)
    exec(source, vars(inner))
    names = ["GOOD", "BARE", "spoken", "silent", "Thing"]
    vars(package).update({name: getattr(inner, name) for name in names}, __all__=names)
    return package


def test_a_public_name_that_says_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    package = planted_package(monkeypatch)
    everything = {f"planted.{name}" for name, _ in api_page.public(package)}
    assert "planted._own" not in everything and "planted.Thing.field" in everything
    silent = [problem.split(" is public and has no docstring")[0] for problem in api_page.problems(package, everything)]
    assert silent == ["planted.BARE", "planted.silent", "planted.Thing.mute", "planted.Thing.value"]


@pytest.mark.parametrize("name", ["GOOD", "spoken", "Thing", "Thing.method", "Thing.field"])
def test_a_public_name_that_is_not_on_the_page_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    package = planted_package(monkeypatch)
    shown = {f"planted.{name}" for name, _ in api_page.public(package)}
    added = set(api_page.problems(package, shown - {f"planted.{name}"})) - set(api_page.problems(package, shown))
    assert len(added) == 1 and added.pop().startswith(f"planted.{name} is not on book/api.md: ")


@pytest.mark.parametrize(
    ("lost", "status", "said"),
    [
        ("", 0, ""),
        (".. autofunction:: cwn_lite.fold\n", 1, "cwn_lite.fold is not on book/api.md: add `.. autofunction::"),
        (".. autodata:: cwn_lite.C_HE\n", 1, "cwn_lite.C_HE is not on book/api.md"),
        ("   :members:\n", 1, "cwn_lite.Constraint.project is not on book/api.md"),
    ],
)
def test_the_build_fails_for_a_lost_entry(tmp_path: Path, lost: str, status: int, said: str) -> None:
    page = (ROOT / "book" / "api.md").read_text(encoding="utf8")
    assert lost in page
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "api.md").write_text(page.replace(lost, ""), encoding="utf8")
    (tmp_path / "CHANGELOG.md").write_text("---\norphan: true\n---\n# Changelog", encoding="utf8")
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))["sphinx"]["config"]
    own = {key: value for key, value in settings.items() if key.startswith(("autodoc_", "napoleon_", "nitpick"))}
    extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "api_page"]
    warnings = io.StringIO()
    with docutils_namespace():
        app = Sphinx(
            tmp_path,
            None,
            tmp_path / "out",
            tmp_path / "trees",
            "dummy",
            {"extensions": extensions, "root_doc": "book/api", "nitpicky": True, **own},
            status=None,
            warning=warnings,
            warningiserror=True,
            keep_going=True,
        )
        app.build()
    assert app.statuscode == status, warnings.getvalue()
    assert said in warnings.getvalue()


# ---- chapter_numbers ----


def test_links_to_chapters_say_their_number() -> None:
    env = SimpleNamespace(
        toc_secnumbers={"book/steps": {"": (5,), "#one": (5, 1)}, "book/api": {}},
        titles={"book/steps": nodes.title("", "How far to step"), "book/api": nodes.title("", "API")},
    )

    def link(target: str, words: str, *, internal: bool = True) -> nodes.reference:
        return nodes.reference("", words, refuri=target, internal=internal)

    titled, worded = link("steps.html", "How far to step"), link("../book/steps.html", "the steps")
    others = [link("steps.html#one", "One"), link("api.html", "API"), link("steps.html", "x", internal=False)]
    doctree = new_document("page")
    doctree += nodes.paragraph("", "", titled, worded, *others)
    chapter_numbers.number_links(cast("Sphinx", SimpleNamespace(env=env)), doctree, "book/index")
    assert titled.astext() == "5. How far to step"
    assert worded.astext() == "the steps" and worded["reftitle"] == "Chapter 5: How far to step"
    assert [other.astext() for other in others] == ["One", "API", "x"]
    assert not any("reftitle" in other for other in others)


# ---- stacked_tables ----


def table_of(columns: int, cells: int | None = None) -> str:
    head = "".join(f'<th class="head"><p>h{k}</p></th>' for k in range(columns))
    body = "".join(f'<td class="text-right"><p>{k}</p></td>' for k in range(columns if cells is None else cells))
    rows = f'<thead>\n<tr class="row-odd">{head}</tr>\n</thead>\n<tbody>\n<tr class="row-even">{body}</tr>\n</tbody>'
    return f'<p>a</p><table class="table">\n{rows}\n</table><p>b</p>'


def test_each_cell_holds_the_heading_of_its_column() -> None:
    page = stacked_tables.stack(table_of(3))
    for k in range(3):
        assert f'role="cell"><span class="cwn-label" aria-hidden="true">h{k}</span><p>{k}</p></td>' in page
    assert page.count('role="row"') == 2 and page.count('role="rowgroup"') == 2
    assert page.count('role="columnheader"') == 3 and '<table class="table cwn-stack" role="table">' in page
    assert page.startswith("<p>a</p>") and page.endswith("<p>b</p>")


def test_other_tables_stay_as_they_are() -> None:
    for page in (table_of(2), table_of(3).replace("thead", "tbody"), "<table>x</table>"):
        assert stacked_tables.stack(page) == page
    odd = stacked_tables.stack(table_of(3, cells=2))
    assert "cwn-label" not in odd, "a row of other length keeps its cells"
