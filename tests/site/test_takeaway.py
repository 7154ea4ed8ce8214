"""Notebooks to take away: a planted book of two pages, and every chapter of the built one."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import browse
import nbformat
import pytest
import student
import takeaway
from crossrefs import CrossReferences
from myst import leftovers
from origin import Origin
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from classroom import assignment, exercises

SITE, REPOSITORY = "https://teacher.github.io/fork", "https://github.com/teacher/fork"
BIB = """
@article{a2020, author = {Ada Able}, title = {A {GAN} of * stars}, journal = {J}, year = {2020}, doi = {10.1/x_y}}
@article{b2021, author = {Bo Bee and Cy Cee and Di Dee}, title = {B}, journal = {J}, year = {2021}}
"""
CODE = 'x = None\n### BEGIN SOLUTION\nx = "concealed"\n### END SOLUTION'
GRADER = "def grade(x):\n    return x\n\n\nprint(grade(x))"
SEE = "See {eq}`eq:one:x`, {eq}`eq:two:y`, {cite}`b2021,a2020`, [](two.ipynb), [here](a-label)."
FIRST = [
    ("markdown", "# First\n\n```{admonition} Objectives\nGo.\n```"),
    ("markdown", f"(a-label)=\n## Part\n\n{SEE}\n\n$$\na = b\n$$ (eq:one:x)"),
    ("markdown", "```{exercise} Find $x$\n:label: ex-x\n\nUse {eq}`eq:one:x`.\n```", "exercise"),
    ("code", CODE, "exercise", "solution"),
    ("code", GRADER, "grader"),
    ("markdown", "````{dropdown} Solution\nAs {cite:t}`a2020` say: secret.\n````", "solution"),
    ("code", 'markdown("by {eq}`eq:two:y` in [](two.ipynb), {cite:t}`b2021`")', "hide-input"),
]
SECOND = [("markdown", "# Second\n\n$$ c = d $$ (eq:two:y)\n\nAn exercise: {ref}`ex-x`.")]


def notebook(cells: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    output = {"output_type": "stream", "name": "stdout", "text": "stored\n"}
    made = []
    for number, (kind, text, *tags) in enumerate(cells):
        run = {"execution_count": 1, "outputs": [output]} if kind == "code" else {}
        made.append({"cell_type": kind, "id": f"cell-{number}", "metadata": {"tags": tags}, "source": text, **run})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Sphinx:
    """Build a book of two chapters; nothing is executed."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "index.md").write_text("# Book\n\n```{toctree}\n:numbered:\none\ntwo\nworks\n```", encoding="utf8")
    (folder / "works.md").write_text("# Works\n\n```{bibliography}\n:all:\n```", encoding="utf8")
    (folder / "own.bib").write_text(BIB, encoding="utf8")
    for name, cells in {"one": FIRST, "two": SECOND}.items():
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook(cells)), encoding="utf8")
    settings = {
        "extensions": ["myst_nb", "sphinxcontrib.bibtex", "sphinx_exercise", "sphinx_design", "paper_numbers"],
        "myst_enable_extensions": ["colon_fence", "dollarmath"],
        "source_suffix": {".rst": "restructuredtext"},  # else MyST-NB adds its own to the default of all builds
        "nb_execution_mode": "off",
        "bibtex_bibfiles": ["own.bib"],
        "bibtex_reference_style": "author_year",
        "bibtex_default_style": "plain",
        "numfig": True,
        "math_eqref_format": "({number})",
        "html_theme": "basic",
    }
    with docutils_namespace(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of extensions, on what Sphinx will change
        app = Sphinx(folder, None, folder / "out", folder / "trees", "html", settings, status=None, warning=None)
        app.build()
    return app


def exported(app: Sphinx, origin: Origin, *, solved: bool, page: str = "one") -> list[dict[str, Any]]:
    chapter = json.loads(Path(app.env.doc2path(page)).read_text(encoding="utf8"))
    chapter["cells"][-1]["metadata"]["slides"] = [{"title": "A slide"}]
    made = takeaway.export(chapter, CrossReferences(app, page, origin), solved=solved)
    nbformat.validate(nbformat.from_dict(made))
    return [{**cell, "source": "".join(cell["source"])} for cell in made["cells"]]


def test_a_solved_copy_reads_as_the_site_does(planted: Sphinx) -> None:
    made = exported(planted, Origin(REPOSITORY, "12ab", SITE), solved=True)
    text = {cell["id"]: cell["source"] for cell in made}
    assert text["cell-0"].startswith(f"# First\n\n*[This chapter]({SITE}/one.html), as a notebook with solutions.")
    assert text["cell-1"] == (
        f"## Part\n\nSee (1.1), [(2.1)]({SITE}/two.html#equation-eq-two-y), [Able, 2020, Bee et al., 2021], "
        f"[2. Second]({SITE}/two.html), [here]({SITE}/one.html#a-label).\n\n$$\na = b \\tag{{1.1}}\n$$"
    )
    assert text["cell-2"] == "### Exercise 1.1: Find $x$\n\nUse (1.1)."
    assert text["cell-3"] == 'x = None\nx = "concealed"'
    assert text["cell-4"] == f"# @title Check: Find $x$\n{GRADER}"
    assert text["cell-5"] == "#### Solution\n\nAs Able [2020] say: secret."
    assert text["cell-6"] == (
        f'markdown("by [(2.1)]({SITE}/two.html#equation-eq-two-y) in [2. Second]({SITE}/two.html), Bee et al. [2021]")'
    )
    assert made[-1]["source"] == (
        "### Works cited\n\n- Ada Able. A GAN of \\* stars. *J*, 2020. [doi:10.1/x\\_y](https://doi.org/10.1/x_y).\n"
        "- Bo Bee, Cy Cee, and Di Dee. B. *J*, 2021."
    )
    assert not any(cell.get("outputs") or "slides" in cell["metadata"] for cell in made)


def test_a_copy_to_work_in_goes_on_without_solutions(planted: Sphinx) -> None:
    made = exported(planted, Origin(REPOSITORY, "12ab", SITE), solved=False)
    text = {cell["id"]: cell["source"] for cell in made}
    assert "cell-5" not in text and "concealed" not in str(made) and "secret" not in str(made)
    said: list[str] = []
    scope: dict[str, Any] = {"print": lambda *words: said.append(" ".join(map(str, words)))}
    exec(takeaway._body(takeaway.solving), scope)
    exec(text["cell-3"], scope)
    exec(text["cell-4"].replace("return x", takeaway.student.STUB), scope)
    assert said == ["not yet solved: Find $x$"] * 2
    with pytest.raises(NotImplementedError, match="of torch"):
        exec(text["cell-4"].replace("return x", 'raise NotImplementedError("of torch")'), scope)


def test_cells_that_the_site_hides_are_collapsed(planted: Sphinx) -> None:
    made = exported(planted, Origin(), solved=False)
    folded = [c["id"] for c in made if c["metadata"].get("jupyter") == {"source_hidden": True}]
    assert folded == ["alone", "cell-4", "cell-6"]
    assert folded == [c["id"] for c in made if c["metadata"].get("cellView") == "form"]


def test_links_follow_what_is_known_of_the_book_s_home(planted: Sphinx) -> None:
    def second(origin: Origin) -> str:
        return str(exported(planted, origin, solved=True, page="two")[1]["source"])

    assert f"[Exercise 1.1]({SITE}/one.html#ex-x)" in second(Origin(REPOSITORY, "12ab", SITE))
    assert f"[Exercise 1.1]({REPOSITORY}/blob/12ab/one.ipynb)" in second(Origin(REPOSITORY, "12ab"))
    assert "An exercise: Exercise 1.1." in second(Origin())


def test_the_first_cell_names_the_repository_that_built_the_site(planted: Sphinx) -> None:
    call = exported(planted, Origin(REPOSITORY, "12ab", SITE), solved=True)[0]["source"].splitlines()[-1]
    assert call.startswith(f'enter_book("{REPOSITORY}", "12ab", ["filelock", ')
    assert '"torch"' in call and '"sympy"' not in call and '"ruff"' not in call


@pytest.mark.parametrize("text", ["{cite}`c`", "{eq}`eq:z`", "[x](gone.md)", "{ref}`gone`", "{mermaid}`x`"])
def test_what_leads_nowhere_stops_the_build(planted: Sphinx, text: str) -> None:
    references = CrossReferences(planted, "one", Origin())
    with pytest.raises(ValueError, match="one, as a notebook to take away"):
        takeaway.plain(text, references)


# ---- the built book ----

CHAPTERS = sorted(name[:-5] for name in browse.pages() if (browse.ROOT / name).with_suffix(".ipynb").is_file())
PRINTED = re.compile(r"\{(?:cite|eq|ref|doc|paper)(?::\w+)?\}+`|\]\([\w-]+\.(?:ipynb|md)")
"""MyST in a string that a cell prints."""
each = pytest.mark.parametrize("chapter", CHAPTERS)


def copy(kind: str, chapter: str) -> dict[str, Any]:
    path = browse.HTML / "notebooks" / kind / f"{Path(chapter).name}.ipynb"
    if not path.parent.is_dir():
        pytest.skip("the book is not built: run `make book`")
    return dict(json.loads(path.read_text(encoding="utf8")))


@cache
def distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


@each
@pytest.mark.parametrize("kind", ["exercises", "solved"])
def test_a_copy_is_a_notebook_without_myst(kind: str, chapter: str) -> None:
    made = copy(kind, chapter)
    nbformat.validate(nbformat.from_dict(made))
    found = [source(cell) for cell in made["cells"] if cell["cell_type"] == "markdown"]
    assert [problem for text in found for problem in leftovers(text)] == []
    assert not [text for text in found if "(eq:" in text or "{cite" in text or ":::" in text or "```{" in text]
    code = [cell for cell in made["cells"] if cell["cell_type"] == "code"]
    assert not [cell for cell in code if cell["outputs"] or PRINTED.search(source(cell))]
    quiz = [cell for cell in code if "figures.quiz(" in source(cell)]
    assert all(cell["metadata"]["jupyter"]["source_hidden"] for cell in quiz)


@each
def test_an_assignment_is_a_notebook_without_myst(chapter: str) -> None:
    copy("solved", chapter)
    own = exercises.load(assignment.BOOK / f"{Path(chapter).name}.ipynb")
    for solved in (False, True):
        made = assignment.assignment(own, solved=solved, texts=assignment.plain_texts(own))
        found = [source(cell) for cell in made["cells"] if cell["cell_type"] == "markdown"]
        assert [problem for text in found for problem in leftovers(text)] == []
        assert not [cell for cell in made["cells"] if cell["cell_type"] == "code" and PRINTED.search(source(cell))]


@each
def test_the_first_cell_takes_no_name_of_the_chapter(chapter: str) -> None:
    first, *others = [source(cell) for cell in copy("exercises", chapter)["cells"] if cell["cell_type"] == "code"]
    own = {"enter_book", "solving"}
    assert own <= set(re.findall(r"^def (\w+)", first, re.MULTILINE))
    names = [node for node in ast.walk(ast.parse("\n".join(others))) if isinstance(node, ast.Name)]
    bound = [node.id for node in names if not isinstance(node.ctx, ast.Load)]
    assert not own & set(bound)


@each
def test_the_first_cell_asks_for_what_the_chapter_imports(chapter: str) -> None:
    first, *others = [source(cell) for cell in copy("exercises", chapter)["cells"] if cell["cell_type"] == "code"]
    tree = ast.parse("\n".join(others))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    asked = set(ast.literal_eval(first.splitlines()[-1].removeprefix("enter_book"))[2])
    for module in {name.partition(".")[0] for name in modules} - {"cwn_lite"} - sys.stdlib_module_names:
        assert asked & {name.lower() for name in distributions()[module]}, module


@each
def test_what_follows_needs_no_solution(chapter: str) -> None:
    whole = json.loads((browse.ROOT / chapter).with_suffix(".ipynb").read_text(encoding="utf8"))
    solved, bound, needed = set[str](), set[str](), set[str]()
    for cell in whole["cells"]:
        tags = student.tags(cell)
        if cell["cell_type"] != "code" or "grader" in tags:
            continue
        tree = ast.parse(source(cell))
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        kept = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
        kept |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        if "solution" in tags:
            solved |= kept
        else:
            bound |= kept
            needed |= {node.id for node in names} & solved
    assert needed <= bound


def test_a_book_without_solutions_has_one_copy() -> None:
    course = notebook([("markdown", "x", "exercise"), ("code", student.STUB, "exercise")])
    assert takeaway.copies(course) == ("exercises",)
    assert takeaway.copies(notebook(FIRST)) == takeaway.copies(notebook(SECOND)) == ("exercises", "solved")


@each
def test_solutions_are_in_one_copy_only(chapter: str) -> None:
    whole = json.loads((browse.ROOT / chapter).with_suffix(".ipynb").read_text(encoding="utf8"))
    work = {cell["id"]: source(cell) for cell in copy("exercises", chapter)["cells"]}
    solved = {cell["id"]: source(cell) for cell in copy("solved", chapter)["cells"]}
    for cell in whole["cells"]:
        if "solution" not in student.tags(cell):
            continue
        assert cell["id"] in solved
        if cell["cell_type"] == "markdown":
            assert cell["id"] not in work
            continue
        for answer in source(cell).split(student.BEGIN)[1:]:
            answer = answer.split(student.END)[0].strip()
            assert answer in solved[cell["id"]] and answer not in work.get(cell["id"], "")
    assert "SOLUTION" not in "".join(work.values()) + "".join(solved.values())
