"""Questions whose answers are computed: exactly one holds, and the page needs no script."""

import re

import pytest

from cwn_lite import figures
from cwn_lite.figures import Choice, Question
from cwn_lite.figures.text import inline


def question(*holds: bool) -> Question:
    return Question("Which?", [Choice(f"choice {i}", h, f"because {i}") for i, h in enumerate(holds)])


def test_one_choice_holds() -> None:
    page = figures.quiz_html(question(False, True, False))
    assert page.count('type="radio"') == 3
    assert re.findall(r'<label class="quiz-choice" data-holds="(\w+)"', page) == ["false", "true", "false"]
    assert "<details><summary>Answer</summary><p>choice 1: because 1</p></details>" in page


@pytest.mark.parametrize("holds", [(False, False), (True, True), (True, False, True)])
def test_none_or_several_are_refused(holds: tuple[bool, ...]) -> None:
    with pytest.raises(ValueError, match=f"exactly one choice of 'Which\\?' must hold, but {sum(holds)} do"):
        question(*holds)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_two_to_six_choices(count: int) -> None:
    with pytest.raises(ValueError, match=f"must be two to six, got {count}"):
        question(*[i == 0 for i in range(count)])


def test_holds_is_a_bool_and_feedback_is_given() -> None:
    with pytest.raises(TypeError, match=r"holds of choice 'a' must be a bool, got int; wrap it in bool\(\)"):
        Question("Which?", [Choice("a", 1, "x"), Choice("b", False, "y")])
    with pytest.raises(ValueError, match="feedback of choice 'b' is empty"):
        Question("Which?", [Choice("a", True, "x"), Choice("b", False, " ")])


def test_no_questions_is_an_error() -> None:
    with pytest.raises(ValueError, match="questions is empty"):
        figures.quiz_html()


def test_each_question_has_its_own_radio_group_and_each_choice_its_feedback() -> None:
    page = figures.quiz_html(question(True, False), question(False, True))
    assert re.findall(r'name="(q\d)" value="(\d)"', page) == [("q1", "1"), ("q1", "2"), ("q2", "1"), ("q2", "2")]
    assert page.count('role="status"') == 2 and page.count("data-choice=") == 4 + 6  # and the six rules of style
    assert not re.search(r"<script|\son\w+=|\sid=", page)


def test_text_is_escaped_and_math_marked() -> None:
    choice = Choice("$a<b$ & <i>", True, "`x<y`")
    page = figures.quiz_html(Question('"Is" \\$5 *much*?', [choice, Choice("no", False, "no")]))
    assert '<span class="math notranslate nohighlight">\\(a&lt;b\\)</span> &amp; &lt;i&gt;' in page
    assert "&quot;Is&quot; $5 <em>much</em>?" in page
    assert "<code>x&lt;y</code>" in page


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("`$x$` and $`y`$", '<code>$x$</code> and <span class="math notranslate nohighlight">\\(`y`\\)</span>'),
        ("one $ sign", "one $ sign"),
        ("see [A & B](signals.ipynb).", 'see <a href="signals.ipynb">A &amp; B</a>.'),
        ("[an interval](0, 1) of [x](https://example.org)", "[an interval](0, 1) of [x](https://example.org)"),
    ],
)
def test_only_pairs_are_markup(text: str, html: str) -> None:
    assert inline(text) == html


def test_a_quiz_displays_its_questions_as_text_too(shown: list[dict[str, str]]) -> None:
    figures.quiz(question(True, False))
    assert shown[0]["text/plain"] == "1. Which?\n   (a) choice 0\n   (b) choice 1"


def test_two_quizzes_of_a_page_have_names_of_their_own() -> None:
    question = Question("Is it?", [Choice("yes", True, "It is."), Choice("no", False, "It is.")])
    assert 'aria-label="Quiz"' in figures.quiz_html(question)
    assert 'aria-label="The part, &amp; more"' in figures.quiz_html(question, title="The part, & more")
