"""The bank of quiz questions: all of the book's, each with exactly one right answer, as a platform would read it."""

import ast
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import nbformat
import pytest
from bookcheck.pages import chapters, load
from nbclient import NotebookClient

from classroom import __main__, quizzes
from cwn_lite.figures import Choice, Question
from cwn_lite.figures.text import inline

Q = f"{{{quizzes.QTI}}}"


def read(path: Path) -> dict[str, list[tuple[str, list[tuple[str, bool, str]]]]]:
    """Quiz -> its questions: prompt, and each choice with whether it scores and what is said to it."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        manifest = ET.fromstring(archive.read("imsmanifest.xml"))
        places = [file.get("href", "") for file in manifest.iter(f"{{{quizzes.PACKAGE}}}file")]
        assert sorted(["imsmanifest.xml", *places]) == sorted(archive.namelist())
        for place in places:
            root = ET.fromstring(archive.read(place))
            found[Path(place).stem] = [item(each) for each in root.iter(f"{Q}item")]
            names = [each.get("ident") for each in root.iter(f"{Q}item")]
            assert len(set(names)) == len(names)
    return found


def item(node: ET.Element) -> tuple[str, list[tuple[str, bool, str]]]:
    prompt = node.findtext(f"{Q}presentation/{Q}material/{Q}mattext", "")
    scoring = [rule for rule in node.iter(f"{Q}respcondition") if rule.find(f"{Q}setvar") is not None]
    right = [rule.findtext(f"{Q}conditionvar/{Q}varequal") for rule in scoring]
    said = {each.get("ident"): each.findtext(f".//{Q}mattext", "") for each in node.iter(f"{Q}itemfeedback")}
    choices = [
        (label.findtext(f".//{Q}mattext", ""), label.get("ident") in right, said[f"{label.get('ident')}_fb"])
        for label in node.iter(f"{Q}response_label")
    ]
    assert len(right) == 1 == sum(holds for _, holds, _ in choices)
    return prompt, choices


ASKED = [
    Question("Is $a<b$ & `c`?", [Choice("*yes*", True, "Since $a = 1$."), Choice("no", False, "It <is>.")]),
    Question("Which?", [Choice("one", False, "No."), Choice("two", False, "No."), Choice("three", True, "Yes.")]),
]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    assert quizzes.bank(tmp_path / "bank.zip", [("a", "First", ASKED), ("b", "Second", ASKED[:1])]) == 3
    assert read(tmp_path / "bank.zip") == {
        name: [(inline(q.prompt), [(inline(c.text), c.holds, inline(c.feedback)) for c in q.choices]) for q in some]
        for name, some in {"a": ASKED, "b": ASKED[:1]}.items()
    }
    before = (tmp_path / "bank.zip").read_bytes()
    quizzes.bank(tmp_path / "bank.zip", [("a", "First", ASKED), ("b", "Second", ASKED[:1])])
    assert (tmp_path / "bank.zip").read_bytes() == before


def test_a_kernel_hands_the_questions_on() -> None:
    text = f"from cwn_lite import figures\nfrom cwn_lite.figures import Choice, Question\n\nfigures.quiz(*{ASKED!r})"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    assert quizzes.questions(notebook) == ASKED


def test_all_questions_of_the_book(tmp_path: Path) -> None:
    try:
        made = list(quizzes.asked())
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert quizzes.bank(tmp_path / "bank.zip", made) == sum(map(calls, chapters()))
    found = read(tmp_path / "bank.zip")
    assert {name: len(some) for name, some in found.items()} == {path.stem: calls(path) for path in chapters()}


def calls(path: Path) -> int:
    """How often a chapter's code writes down a question."""
    nodes = [node for cell in load(path).code for node in ast.walk(ast.parse(cell.source))]
    names = [getattr(node.func, "attr", getattr(node.func, "id", "")) for node in nodes if isinstance(node, ast.Call)]
    return names.count("Question")


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.name)
def test_every_chapter_asks(path: Path) -> None:
    assert calls(path) >= 3


def test_without_a_build_the_command_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError, match="run `make book` first"):
        list(quizzes.asked(cache=tmp_path / "none"))
    assert __main__.main(["quizzes", str(tmp_path / "no" / "folder" / "bank.zip")]) == 1
    assert capsys.readouterr().err
