"""Chapters as assignments of nbgrader: the metadata is what nbgrader 3 asks for, and students get no solution."""

import json
import re
from pathlib import Path

import course
import nbformat
import pytest
import student
from bookcheck.exercises import exercises as checked
from bookcheck.pages import chapters as paths
from bookcheck.pages import load as load_page
from bookcheck.submitted import CHAPTER, Notebook

from classroom import assignment, exercises

CHAPTERS = exercises.chapters()


def problems(notebook: Notebook) -> list[str]:
    """What nbgrader's published schema (nbgraderformat/v3.json) and its validator would say."""
    kinds = {"schema_version": int, "grade": bool, "locked": bool, "solution": bool, "task": bool}
    kinds |= {"grade_id": str, "points": int, "checksum": str, "cell_type": str}
    found, seen = [], set()
    for index, cell in enumerate(notebook["cells"]):
        meta = cell["metadata"].get("nbgrader")
        if meta is None:
            continue
        found += [f"cell {index}: {key} is unknown" for key in meta.keys() - kinds.keys()]
        found += [
            f"cell {index}: {key} is no {kinds[key].__name__}"
            for key in kinds & meta.keys()
            if type(meta[key]) is not kinds[key]
        ]
        found += [
            f"cell {index}: no {key}" for key in ("schema_version", "grade", "locked", "solution") if key not in meta
        ]
        if meta.get("schema_version") != 3:
            found.append(f"cell {index}: another schema")
        name = meta.get("grade_id", "")
        if not re.fullmatch(r"[a-zA-Z0-9_\-]+", name) or name in seen:
            found.append(f"cell {index}: the name {name!r} is not unique or not allowed")
        seen.add(name)
        if meta["grade"] != ("points" in meta) or meta.get("points", 0) < 0:
            found.append(f"cell {index}: points belong to cells that are graded")
        if cell["cell_type"] == "markdown" and (meta["grade"] != meta["solution"]):
            found.append(f"cell {index}: a text is graded and solution, or neither")
        if cell["cell_type"] == "code" and meta["grade"] and not meta["locked"]:
            found.append(f"cell {index}: students can change a check")
        if meta["solution"] and meta["locked"]:
            found.append(f"cell {index}: students cannot answer")
    return found


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_every_chapter_becomes_an_assignment(chapter: exercises.Chapter) -> None:
    for solved in (False, True):
        made = assignment.assignment(chapter, solved=solved)
        nbformat.validate(nbformat.from_dict(made))
        assert problems(made) == []
        metas = [cell["metadata"].get("nbgrader", {}) for cell in made["cells"]]
        checks = [meta for meta in metas if meta.get("grade") and not meta["solution"]]
        assert len(checks) == len(chapter.exercises) >= 3
        assert all(len(exercise.answers) >= 1 for exercise in chapter.exercises)
        assert (student.BEGIN in json.dumps(made)) == solved
    stubs = assignment.assignment(chapter)
    secret, public = course.split(chapter.notebook)
    held = course.bare("\n".join(exercises.source(cell) for cell in stubs["cells"]))
    assert not [piece for piece in course.pieces(secret) if piece in held and piece not in course.bare(public)]


@pytest.mark.parametrize("path", paths(), ids=lambda path: path.name)
def test_exercises_are_those_that_the_book_is_held_to(path: Path) -> None:
    mine = exercises.load(path).exercises
    theirs = checked(load_page(path))
    assert [exercise.checks for exercise in mine] == [exercise.tagged("grader")[0].index for exercise in theirs]
    assert [f"exercise-{exercise.kind}" for exercise in mine] == [next(iter(exercise.kinds)) for exercise in theirs]


def test_nbgrader_strips_the_source_to_what_is_released() -> None:
    """Its preprocessor replaces marked regions, and a text without one as a whole; see nbgrader_config.py."""
    for chapter in CHAPTERS:
        source, released = (assignment.assignment(chapter, solved=solved) for solved in (True, False))
        for one, other in zip(source["cells"], released["cells"], strict=True):
            text = exercises.source(one)
            if one["metadata"].get("nbgrader", {}).get("solution"):
                text = student.strip_source(text) if one["cell_type"] == "code" else assignment.IN_WORDS
            assert text == exercises.source(other)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        ({"grade_id": "a b"}, "not allowed"),
        ({"grade_id": "ex-planted-double-answer"}, "not unique"),
        ({"points": -1}, "points belong"),
        ({"locked": False}, "can change a check"),
        ({"grade": 1}, "no bool"),
        ({"weight": 2}, "weight is unknown"),
        ({"schema_version": 2}, "another schema"),
    ],
)
def test_a_wrong_cell_is_seen(spoil: dict[str, object], problem: str) -> None:
    made = assignment.assignment(CHAPTER)
    check = next(cell for cell in made["cells"] if cell["metadata"].get("nbgrader", {}).get("grade"))
    check["metadata"]["nbgrader"] |= spoil
    assert any(problem in found for found in problems(made))


def test_the_planted_chapter_as_students_get_it() -> None:
    made = assignment.assignment(CHAPTER)
    ids = [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in made["cells"]]
    assert [name for name in ids if name] == [
        "setup-0",
        "ex-planted-double-answer",
        "ex-planted-double-check",
        "ex-planted-triple-answer",
        "ex-planted-triple-check",
        "ex-planted-triple-words",
        "ex-planted-root-answer",
        "ex-planted-root-check",
    ]
    assert len(made["cells"]) == len(CHAPTER.notebook["cells"]) - 1, "what checks the solution goes"
    assert "Because." not in json.dumps(made)


def built(site: Path) -> Path:
    """A site of which only the solved copies are there, with texts that say so."""
    (site / "notebooks" / "solved").mkdir(parents=True)
    for chapter in CHAPTERS:
        cells = [{**cell, "source": f"plain {cell['id']}\n"} for cell in chapter.notebook["cells"]]
        (site / "notebooks" / "solved" / f"{chapter.name}.ipynb").write_text(json.dumps({"cells": cells}))
    return site


def test_texts_are_those_of_the_copies_that_the_build_wrote(tmp_path: Path) -> None:
    chapter = CHAPTERS[0]
    texts = assignment.plain_texts(chapter, built(tmp_path))
    for solved in (False, True):
        made = assignment.assignment(chapter, solved=solved, texts=texts)
        bare = assignment.assignment(chapter, solved=solved)
        for cell, before in zip(made["cells"], bare["cells"], strict=True):
            role, own = cell["metadata"].get("nbgrader"), exercises.source(before)
            kept = role and (cell["cell_type"] == "code" or (role["solution"] and not solved))
            assert exercises.source(cell) == (own if kept else f"plain {cell['id']}\n")


def test_no_site_or_an_old_one_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"ablations.ipynb as it is: run `make book` first"):
        assignment.release(tmp_path / "course", site=tmp_path)
    site = built(tmp_path / "site")
    copy = site / "notebooks" / "solved" / f"{CHAPTERS[-1].name}.ipynb"
    cells = json.loads(copy.read_text())["cells"]
    copy.write_text(json.dumps({"cells": cells[1:]}))
    with pytest.raises(FileNotFoundError, match=re.escape(str(copy))):
        assignment.release(tmp_path / "course", site=site)
    assert not (tmp_path / "course").exists()


def test_a_course_folder(tmp_path: Path) -> None:
    site = built(tmp_path / "site")
    names = assignment.release(tmp_path / "course", site=site)
    assert names == [chapter.name for chapter in CHAPTERS]
    for part in ("source", "release"):
        found = sorted((tmp_path / "course" / part).glob("*/*.ipynb"))
        assert [path.stem for path in found] == names == [path.parent.name for path in found]
    assert (tmp_path / "course" / "release" / "cost" / "costs").is_dir(), "what the chapter reads lies beside it"
    compile((tmp_path / "course" / "nbgrader_config.py").read_text(encoding="utf8"), "config", "exec")
    with pytest.raises(FileExistsError, match="not empty"):
        assignment.release(tmp_path / "course", site=site)
