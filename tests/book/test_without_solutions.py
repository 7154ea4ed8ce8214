"""`make book SOLUTIONS=0`: what the build reads holds no solution, and a site that held one would be found out."""

import ast
import builtins
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import course
import pytest
import student
from bookcheck.pages import ROOT, chapters, notebooks
from bookcheck.planting import CHAPTER, Notebook, code, markdown, notebook, replaced

MARKER = "quokka_marmalade_elevenses"
PAGE = (
    "# A page\n\nShown.\n\n% BEGIN SOLUTION\n\nFor teachers: the wrong answer is quokka marmalade.\n\n% END SOLUTION\n"
)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("course") / "copy"
    course.write(target)
    return target


@pytest.fixture(scope="module")
def hidden() -> set[str]:
    return course.secrets()


def test_the_copy_is_the_book_without_solutions(copied: Path, hidden: set[str]) -> None:
    mine = {path.relative_to(ROOT) for path in notebooks()}
    assert {path.relative_to(copied) for path in copied.rglob("*.ipynb")} == mine
    assert len(hidden) > 200, "there is something to look for"
    assert list(course.leaks((path for path in copied.rglob("*") if path.is_file()), hidden)) == []
    for path in copied.rglob("*.ipynb"):
        text = path.read_text(encoding="utf8")
        assert student.BEGIN not in text and '"solution"' not in text and '"output_type"' not in text


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.name)
def test_the_solved_chapter_would_be_found(path: Path, hidden: set[str]) -> None:
    assert list(course.leaks([path], hidden)), "the search knows this chapter's solutions"


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.name)
def test_nothing_that_is_executed_needs_a_solution(path: Path) -> None:
    """Stubs and graders are skipped, so no other cell may use a name that only they define."""
    cells = course.for_students(json.loads(path.read_text(encoding="utf8")))["cells"]
    code_cells = [cell for cell in cells if cell["cell_type"] == "code"]
    skipped = [cell for cell in code_cells if "skip-execution" in student.tags(cell)]
    run = [cell for cell in code_cells if "skip-execution" not in student.tags(cell)]
    assert len([cell for cell in skipped if "grader" in student.tags(cell)]) >= 3
    stored = {name for cell in run for name in names(cell, ast.Store)} | set(dir(builtins))
    missing = {name for cell in run for name in names(cell, ast.Load)} - stored
    assert missing & {name for cell in skipped for name in names(cell, ast.Store)} == set()


def names(cell: Notebook, context: type[ast.expr_context]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse("".join(cell["source"]))):
        if isinstance(node, ast.Name) and isinstance(node.ctx, context):
            found.add(node.id)
        elif context is ast.Store and isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif context is ast.Store and isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif context is ast.Store and isinstance(node, ast.arg):
            found.add(node.arg)
    return found


# ---- Planted ----


def planted(folder: Path, chapter: Notebook) -> Path:
    """A project of one chapter, one page and a library."""
    (folder / "book").mkdir(parents=True)
    (folder / "cwn_lite").mkdir()
    for name in ("_config.yml", "_toc.yml", "CHANGELOG.md"):
        (folder / name).touch()
    (folder / "book" / "chapter.ipynb").write_text(json.dumps(chapter), encoding="utf8")
    (folder / "book" / "page.md").write_text(PAGE, encoding="utf8")
    return folder


ANSWER = f"def double(x):\n    ### BEGIN SOLUTION\n    {MARKER} = 2 * x\n    return {MARKER}\n    ### END SOLUTION"
PLANTED = {
    "code": replaced(
        7, code(ANSWER, "solution", outputs=[{"output_type": "stream", "name": "stdout", "text": MARKER}])
    ),
    "markdown": replaced(10, markdown(f"Because of the {MARKER}, as everybody knows.", "solution")),
    "check": replaced(10, code(f"### BEGIN SOLUTION\nassert '{MARKER}'\n### END SOLUTION", "solution", "hide-input")),
}


@pytest.mark.parametrize("chapter", PLANTED.values(), ids=PLANTED)
def test_a_marker_goes_and_is_found_where_it_stayed(tmp_path: Path, chapter: Notebook) -> None:
    root = planted(tmp_path / "project", chapter)
    hidden = course.secrets(root)
    course.write(tmp_path / "copy", root)
    files = [path for path in (tmp_path / "copy").rglob("*") if path.is_file()]
    assert len(files) == 5
    for path in files:
        text = path.read_text(encoding="utf8")
        assert MARKER not in text and "marmalade" not in text
    assert list(course.leaks(files, hidden)) == []
    assert [path for path, _ in course.leaks(root.rglob("*.*"), hidden)] == [
        root / "book" / "chapter.ipynb",
        root / "book" / "page.md",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.html", '<span class="n">{0}</span> <span class="o">=</span> <span class="mi">2</span> * x'),
        ("page.html", "<p>Because of\nthe {0}, as every&#98;ody knows.</p>"),
        ("index.js", 'Search.setIndex({{"docnames":["Because of the {0}, as everybody knows."]}})'),
        ("take.ipynb", '{{"source": ["x = 1\\n", "    {0} =\\n", " 2 * x"]}}'),
    ],
)
def test_a_site_with_a_solution_is_found_out(tmp_path: Path, name: str, text: str) -> None:
    kind = "markdown" if "ecause" in text else "code"
    hidden = course.secrets(planted(tmp_path / "project", PLANTED[kind]))
    site = tmp_path / "site"
    site.mkdir()
    (site / name).write_text(text.format(MARKER), encoding="utf8")
    assert len(list(course.leaks(site.iterdir(), hidden))) == 1
    (site / name).write_text(text.format("nothing"), encoding="utf8")
    assert list(course.leaks(site.iterdir(), hidden)) == []


def test_what_the_book_says_anyway_is_no_secret(tmp_path: Path) -> None:
    root = planted(tmp_path / "project", PLANTED["code"])
    (root / "cwn_lite" / "a.py").write_text(ANSWER, encoding="utf8")
    assert not any(course.bare(MARKER) in piece for piece in course.secrets(root))


def test_the_exercise_stays_a_question() -> None:
    cells = course.for_students(replaced(10, PLANTED["check"]["cells"][10]))["cells"]
    stub, grader = cells[7], cells[8]
    assert stub["source"][-1] == f"    {student.STUB}"
    assert stub["metadata"]["tags"] == ["skip-execution"]
    assert grader["metadata"]["tags"] == ["grader", "skip-execution"]
    assert len(cells) == len(CHAPTER["cells"]) - 1 - 1, "a check of the answer and a written solution went"


def test_comments_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="must come in pairs"):
        course.without_notes("% BEGIN SOLUTION\nno end\n")


@pytest.mark.parametrize("spoil", [lambda site: None, lambda site: shutil.copy(chapters()[0], site)])
def test_the_command_searches(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    assert course.main(["check", str(tmp_path)]) == 1, "a site without a page is none"
    (tmp_path / "index.html").write_text("<p>a page</p>", encoding="utf8")
    assert course.main(["check", str(tmp_path)]) == 0
    if spoil(tmp_path):
        assert course.main(["check", str(tmp_path)]) == 1


def test_a_notebook_without_exercises_stays() -> None:
    plain = notebook(markdown("# A"), code("1 + 1"))
    assert [cell["source"] for cell in course.for_students(plain)["cells"]] == ["# A", ["1 + 1"]]
