"""Grading: each submission in a process of its own, under limits; what does not stop is stopped, the rest is graded."""

import csv
import json
from pathlib import Path

import pytest
from bookcheck.submitted import CHAPTER, LABELS, submitted

from classroom import __main__, exercises, feedback, landlock, submission
from classroom.child import Outcome
from classroom.exercises import Chapter
from classroom.feedback import Graded
from classroom.fence import Limits
from classroom.grade import find, grade
from classroom.run import SetupError, run

SMALL = Limits(seconds=3, memory=300, file=1, setup=120)
LOOP = "def {name}(*given):\n    while True:\n        pass"
REAL = [exercises.load(exercises.BOOK / f"{name}.ipynb") for name in ("cost", "deriving", "reading")]


def graded(chapter: Chapter, limits: Limits = SMALL, **bodies: str) -> list[Outcome]:
    return run(chapter, submission.of_notebook(submitted(chapter, **bodies), chapter).answers, limits)


def passed(outcomes: list[Outcome]) -> list[bool]:
    return [outcome.passed for outcome in outcomes]


@pytest.mark.slow
@pytest.mark.parametrize("chapter", REAL, ids=lambda chapter: chapter.name)
def test_four_submissions(chapter: Chapter) -> None:
    count = len(chapter.exercises)
    first = chapter.exercises[0]
    last = first.label.rpartition("-")[2]
    stub = chapter.stub(first.answers[0])
    name = next(iter(submission.defines(stub)))
    limits = Limits()
    assert passed(graded(chapter, limits, rest="solved")) == [True] * count

    loop = graded(chapter, Limits(seconds=5), rest="solved", **{last: LOOP.format(name=name)})
    assert passed(loop) == [False] + [True] * (count - 1)
    assert loop[0].line == "stopped after 5 seconds: it does not end, or is too slow"

    partial = graded(chapter, limits, **{last: "solved"})
    assert passed(partial) == [True] + [False] * (count - 1)
    assert {outcome.line for outcome in partial[1:]} == {"not solved yet"}

    assert passed(graded(chapter, limits)) == [False] * count


def test_solved_and_stub() -> None:
    assert passed(graded(CHAPTER, rest="solved")) == [True] * 3
    assert [outcome.line for outcome in graded(CHAPTER)] == ["not solved yet"] * 3


def test_what_passed_before_a_stop_counts_and_is_there_for_later_answers() -> None:
    second = LOOP.format(name="triple")
    third = "def root(x):\n    return math.sqrt(double(x) / 2)"
    outcomes = graded(CHAPTER, double="solved", triple=second, root=third)
    assert passed(outcomes) == [True, False, True]
    assert "stopped after 3 seconds" in outcomes[1].line


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("    hog = []\n    while True:\n        hog.append(bytearray(10**7))", "needs more than 300 MB of memory"),
        ("    import torch\n    return torch.ones(10**9)", "needs more than 300 MB of memory"),
        ("    import os\n    os._exit(0)", "it ended the process that graded it"),
        ("    raise SystemExit(0)", "SystemExit: 0"),
        ("    with open('big', 'wb') as f:\n        f.write(bytes(2**21))", "OSError: [Errno 27] File too large"),
        ("    return 2 * x + 1", "not the double of three"),
        ("    return x.double", "AttributeError: 'int' object has no attribute 'double'"),
        ("    return 2 x", "SyntaxError: invalid syntax"),
    ],
)
def test_what_goes_wrong_is_said_and_the_rest_is_graded(body: str, line: str) -> None:
    outcomes = graded(CHAPTER, double=f"def double(x):\n{body}", triple="def triple(x):\n    return 3 * x")
    assert passed(outcomes) == [False, True, False]
    assert line in outcomes[0].line


def test_memory_that_is_kept_harms_no_other_exercise() -> None:
    hog = "kept = []\n\ndef double(x):\n    while True:\n        kept.append(bytearray(10**7))"
    assert passed(graded(CHAPTER, double=hog, root="solved")) == [False, False, True]


SOLVED = str(exercises.BOOK / "deriving.ipynb")


@pytest.mark.parametrize(
    ("body", "report"),
    [
        (f"    open({SOLVED!r}).read()", "opened book/deriving.ipynb, where solutions may be"),
        (f"    __import__('pathlib').Path({SOLVED!r}).read_text()", "opened book/deriving.ipynb"),
        (f"    import os\n    os.open({SOLVED!r}, 0)", "opened book/deriving.ipynb"),
        (f"    import os\n    os.symlink({SOLVED!r}, 'a')\n    open('a')", "changed files outside of its folder"),
        (f"    import os\n    os.link({SOLVED!r}, 'a')", "changed files outside of its folder"),
        (f"    import subprocess\n    subprocess.run(['cat', {SOLVED!r}])", "started another program"),
        (f"    import os\n    os.system('cat {SOLVED}')", "started another program"),
        ("    import os\n    os.fork()", "started another program"),
        ("    import socket\n    socket.create_connection(('example.org', 80))", "used the network"),
        ("    import ctypes\n    ctypes.CDLL(None).abs(3)", "looked behind the scenes"),
        ("    import sys\n    sys._getframe(1)", "looked behind the scenes"),
        ("    import inspect\n    inspect.stack()", "looked behind the scenes"),
        (
            "    try:\n        1 / 0\n    except ZeroDivisionError as e:\n        e.__traceback__.tb_frame",
            "looked behind",
        ),
        ("    import os, tempfile\n    open(os.path.join('..', 'note'), 'w')", "wrote outside of its folder: note"),
        ("    for i in range(300):\n        open(f'{i}', 'w').close()", "wrote more than 200 files"),
        ("    import torch\n    torch.allclose = lambda *a, **k: True", "changed torch.allclose"),
        ("    import builtins\n    builtins.print = len", "changed builtins.print"),
    ],
)
def test_what_is_not_allowed_is_refused_and_reported(body: str, report: str) -> None:
    """Also if the error is swallowed and the answer is right."""
    quiet = "\n".join("    " + line for line in body.splitlines())
    text = f"def double(x):\n    try:\n{quiet}\n    except OSError:\n        pass\n    return 2 * x"
    outcomes = graded(CHAPTER, double=text, root="solved")
    assert passed(outcomes) == [False, False, True]
    assert report in outcomes[0].reports[0]
    assert outcomes[0].line == f"not graded: your code {outcomes[0].reports[0]}"


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_the_kernel_refuses_what_python_does_not_see() -> None:
    """PyTorch maps a file into memory in C: no hook of Python is asked."""
    text = f"""import torch

def double(x):
    try:
        torch.from_file({SOLVED!r}, size=9, dtype=torch.uint8)
    except RuntimeError:
        return 2 * x
    return 0
"""
    assert passed(graded(CHAPTER, double=text))[0]


def test_the_fence_is_out_of_reach() -> None:
    text = f"""import classroom.fence

classroom.fence.READABLE = ()
classroom.fence.Fence._judge = lambda *given: None

def double(x):
    open({SOLVED!r})
    return 2 * x
"""
    outcome = graded(CHAPTER, double=text)[0]
    assert not outcome.passed and outcome.reports


def test_no_solution_is_near() -> None:
    """The process starts in an empty folder, and what it is given holds no solution."""
    text = "import os\n\ndef double(x):\n    assert os.listdir('.') == [], os.listdir('.')\n    return 2 * x"
    assert passed(graded(CHAPTER, double=text))[0]


def test_a_redefined_tool_of_the_chapter_does_not_reach_the_check() -> None:
    assert passed(graded(CHAPTER, double="offset = 4\n\ndef double(x):\n    return 3")) == [False] * 3


def test_a_chapter_that_does_not_run_is_nobodys_fault() -> None:
    broken = exercises.of_notebook(json.loads(json.dumps(CHAPTER.notebook)), "planted")
    broken.notebook["cells"][1]["source"] = "import nowhere_to_be_found"
    with pytest.raises(SetupError, match="nowhere_to_be_found"):
        graded(broken, rest="solved")


# ---- Finding the answers ----


def test_answers_are_found_without_the_names_of_nbgrader() -> None:
    copy = submitted(CHAPTER, rest="solved")
    for cell in copy["cells"]:
        cell["metadata"] = {}
    copy["cells"].reverse()
    found = submission.of_notebook(copy, CHAPTER)
    assert list(found.answers) == LABELS and not found.remarks


def test_of_added_cells_only_definitions_come_along() -> None:
    copy = submitted(CHAPTER, double="%time 1\ndef double(x):\n    return twice(x)")
    added = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    added["source"] = (
        "import os\nslow = double(3)\nFACTOR = 2\n!ls\n\ndef twice(x):\n    return FACTOR * x\n\nraise Exception"
    )
    copy["cells"].insert(3, added)
    found = submission.of_notebook(copy, CHAPTER)
    helper, answer = found.answers[LABELS[0]]
    assert "slow" not in helper and "raise" not in helper and "%time" not in answer
    assert passed(run(CHAPTER, found.answers, SMALL))[0]


def test_a_missing_and_a_doubled_cell() -> None:
    copy = submitted(CHAPTER, rest="solved")
    answers = [cell for cell in copy["cells"] if cell["source"] and "def double" in "".join(cell["source"])]
    copy["cells"].append({**answers[0], "source": "def double(x):\n    return 0"})
    copy["cells"] = [cell for cell in copy["cells"] if "def root(" not in "".join(cell["source"])]
    found = submission.of_notebook(copy, CHAPTER)
    assert found.remarks == [
        "Double it: answered in 2 cells, of which the last counts",
        "Its root: its cell is missing",
    ]
    assert run(CHAPTER, {}, SMALL)[0].line == "no answer: its cell is missing"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": [{"cell_type": "code"}]}', '{"cells": 3}', "[" * 100_000])
def test_a_broken_notebook_answers_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "planted.ipynb"
    path.write_text(text)
    found = submission.read(path, CHAPTER)
    assert found.answers == {} and "cannot be read" in found.remarks[0]


# ---- A folder ----


def test_a_folder_of_submissions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chapter = REAL[0]
    peek = f"def extra(*given):\n    return open({SOLVED!r})"
    for student, copy in {
        "ada": submitted(chapter, rest="solved"),
        "=cmd": submitted(chapter, cheaper=peek, accumulate="solved"),
    }.items():
        place = tmp_path / "in" / student / chapter.name
        place.mkdir(parents=True)
        (place / f"{chapter.name}.ipynb").write_text(json.dumps(copy), encoding="utf8")
    out = tmp_path / "out"
    given = ["grade", str(tmp_path / "in"), "--out", str(out), "--seconds", "20"]
    assert __main__.main(given) == 0
    with (out / "grades.csv").open(newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert rows["ada"]["score"] == rows["ada"]["max_score"] == "3"
    assert rows["'=cmd"]["score"] == "1" and "opened book/deriving.ipynb" in rows["'=cmd"]["flagged"]
    page = (out / "=cmd" / "cost.md").read_text(encoding="utf8")
    assert page.startswith("# What does it cost?\n\n1 of 3 checks passed.\n")
    assert "## Which is cheaper? (computational): not yet\n\n- not graded: your code opened" in page
    assert "- not solved yet" in page
    assert "flagged" in capsys.readouterr().err


def test_the_layouts(tmp_path: Path) -> None:
    for name in ("a/cost.ipynb", "b/cost/cost.ipynb", "c/cost/other.ipynb", "d/x.ipynb", ".h/cost.ipynb", "cost.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert [(student, name) for student, name, _ in find(tmp_path, {"cost"})] == [
        ("a", "cost"),
        ("b", "cost"),
        ("c", "cost"),
        ("?", "cost"),
        ("d", None),
    ]
    with pytest.raises(ValueError, match="must lie in a student's folder"):
        grade(tmp_path, tmp_path / "out", SMALL)


def test_feedback_is_text_whatever_the_code_says() -> None:
    nasty = "<script>alert(1)</script> [a](javascript:b) \x1b[31m\n# heading"
    outcomes = [Outcome(label, False, nasty, "```\nout of the fence") for label in LABELS]
    page = feedback.page(Graded("s", CHAPTER, tuple(outcomes), (nasty,)))
    assert r"\<script\>" in page and "\n# heading" not in page and "\x1b" not in page and r"\[a\](" in page
    assert "````text\n```\nout of the fence\n````" in page


def test_a_failed_check_without_words_shows_what_must_hold() -> None:
    outcome = graded(CHAPTER, double="solved", triple="def triple(x):\n    return 1")[1]
    assert outcome.line == "this must hold: triple(3) + offset == 10"


def test_an_error_shows_the_line() -> None:
    outcome = graded(CHAPTER, root="def root(x):\n    y = x - 9\n    return 1 / y")[2]
    assert (outcome.line, outcome.detail) == ("ZeroDivisionError: division by zero", "in your line 3: return 1 / y")
