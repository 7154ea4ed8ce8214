"""The course plans add up to the chapters' minutes, their commands exist, and each typical mistake is turned down."""

import re

import pytest
from bookcheck.pages import BOOK, chapters

from classroom import __main__, exercises
from classroom.fence import Limits
from classroom.run import run

PAGE = (BOOK / "teaching.md").read_text(encoding="utf8")
STATED = re.compile(r"About (\d+) minutes; (\d+) without the exercises\.")
MISTAKE = re.compile(
    r"^\*\*(?P<title>[^*\n]+?)\.?\*\* [^\n]+\n\n```python\n(?P<answer>.*?)^```\n\n> (?P<line>[^\n]+)",
    re.M | re.S,
)
CHAPTERS = {chapter.name: chapter for chapter in exercises.chapters()}


def minutes(chapter: exercises.Chapter) -> tuple[int, int]:
    """To read and to solve, as the chapter states."""
    stated = STATED.search(chapter.source(0))
    assert stated, chapter.name
    whole, read = map(int, stated.groups())
    return read, whole - read


def plans(page: str) -> list[list[dict[str, str]]]:
    """The tables with minutes to read, as rows by column."""
    found = []
    for head, body in re.findall(r"^(\|.*\bread\b.*\|)\n\|[ :|-]+\|\n((?:\|.*\|\n)+)", page, re.M):
        columns = [name.strip() for name in head.strip("|").split("|")]
        rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in body.splitlines()]
        found.append([dict(zip(columns, row, strict=True)) for row in rows])
    return found


def wrong_sums(table: list[dict[str, str]]) -> list[str]:
    """Rows whose minutes are not those of their chapters, and sums that are not the rows'."""
    problems = []
    *rows, last = table
    for place, column in enumerate(("read", "solve")):
        if column not in last:
            continue
        for row in rows:
            names = [name for name in re.findall(r"\((\w+)\.ipynb\)", row["chapters"]) if name in CHAPTERS]
            wanted = sum(minutes(CHAPTERS[name])[place] for name in names)
            if names and int(row[column]) != wanted:
                problems.append(f"{row['chapters']}: {column} takes {wanted}, not {row[column]}")
        total = sum(int(row[column]) for row in rows)
        if int(last[column]) != total:
            problems.append(f"{column} adds up to {total}, not {last[column]}")
    return problems


def test_the_plans_add_up() -> None:
    tables = plans(PAGE)
    assert len(tables) == 3
    assert [wrong_sums(table) for table in tables] == [[], [], []]
    lecture, seminar, module = tables
    assert lecture[-1]["read"] == "90"
    assert all(int(row["solve"]) <= 90 for row in seminar[:-1]), "the exercises of a session fit into it"
    taught = re.findall(r"\((\w+)\.ipynb\)", " ".join(row["chapters"] for row in module))
    assert sorted(taught) == sorted(CHAPTERS) == sorted(path.stem for path in chapters())


@pytest.mark.parametrize(("old", "new"), [("| 80 | 75 |", "| 111 | 85 |"), ("| 620 | 495 |", "| 560 | 449 |")])
def test_a_wrong_sum_is_seen(old: str, new: str) -> None:
    assert PAGE.count(old) == 1
    assert any(wrong_sums(table) for table in plans(PAGE.replace(old, new)))


def test_the_commands_exist() -> None:
    named = set(re.findall(r"python -m classroom (\w+)", PAGE))
    verbs = next(action.choices for action in __main__.parser()._actions if action.dest == "verb")
    assert named == set(verbs or ())


# ---- Typical mistakes ----


def mistakes() -> dict[str, list[tuple[exercises.Exercise, str, str]]]:
    """Chapter -> exercise, wrong answer, and what the check says about it."""
    found = {}
    titles = {chapter.title: chapter for chapter in CHAPTERS.values()}
    for section in re.split(r"^### ", PAGE.partition("## Typical mistakes")[2], flags=re.M)[1:]:
        chapter = titles[section.partition("\n")[0]]
        by_title = {exercise.title: exercise for exercise in chapter.exercises}
        found[chapter.name] = [
            (by_title[match["title"]], match["answer"], match["line"]) for match in MISTAKE.finditer(section)
        ]
    return found


def test_every_chapter_has_its_mistake() -> None:
    assert {name: len(some) > 0 for name, some in mistakes().items()} == dict.fromkeys(CHAPTERS, True)
    assert PAGE.count("```python") == sum(map(len, mistakes().values())), "each is read by the test"


@pytest.mark.slow
@pytest.mark.parametrize("name", mistakes())
def test_a_typical_mistake_is_turned_down_with_a_line_that_helps(name: str) -> None:
    some = mistakes()[name]
    outcomes = run(CHAPTERS[name], {exercise.label: [answer] for exercise, answer, _ in some}, Limits())
    said = {outcome.label: outcome for outcome in outcomes}
    for exercise, _, line in some:
        assert not said[exercise.label].passed
        assert line in said[exercise.label].line
