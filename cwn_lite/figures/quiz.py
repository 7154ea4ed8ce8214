"""Multiple-choice questions whose right answer is computed, in HTML that needs no script."""

import html
from dataclasses import asdict, dataclass

from IPython.display import display

from cwn_lite.figures.explorable import read
from cwn_lite.figures.text import inline

METADATA = "cwn_quiz"
"""Where the output of a quiz holds its questions for whoever exports them; no page shows it."""


@dataclass(frozen=True)
class Choice:
    """One answer: its text, whether it ``holds`` (computed in the cell, not asserted), and why."""

    text: str
    holds: bool
    feedback: str


@dataclass(frozen=True)
class Question:
    """A prompt and two to six choices of which exactly one holds."""

    prompt: str
    choices: list[Choice]

    def __post_init__(self) -> None:
        if not 2 <= len(self.choices) <= 6:
            raise ValueError(f"choices of {self.prompt!r} must be two to six, got {len(self.choices)}")
        for choice in self.choices:
            if not isinstance(choice.holds, bool):
                raise TypeError(
                    f"holds of choice {choice.text!r} must be a bool, got {type(choice.holds).__name__};"
                    " wrap it in bool()"
                )
            if not choice.feedback.strip():
                raise ValueError(f"feedback of choice {choice.text!r} is empty; say why it holds or not")
        right = [choice.text for choice in self.choices if choice.holds]
        if len(right) != 1:
            raise ValueError(f"exactly one choice of {self.prompt!r} must hold, but {len(right)} do: {right}")


def quiz(*questions: Question, title: str = "Quiz") -> None:
    """Display questions with feedback on each choice; arguments as in `quiz_html`."""
    plain = []
    for i, question in enumerate(questions, 1):
        plain.append(f"{i}. {question.prompt}")
        plain += [f"   ({letter}) {c.text}" for letter, c in zip("abcdef", question.choices, strict=False)]
    kinds = {"text/html": quiz_html(*questions, title=title), "text/plain": "\n".join(plain)}
    display(kinds, raw=True, metadata={METADATA: [asdict(question) for question in questions]})


def quiz_html(*questions: Question, title: str = "Quiz") -> str:
    """Return the questions as one form: native radio buttons, feedback shown by style alone.

    A radio's feedback appears when it is chosen and is announced, being inside a live region. Where style is missing
    too, each question's answer can still be opened. Radio groups belong to their form, so quizzes never clash.

    Args:
        questions: one or more.
        title: what a screen reader calls the form; each on a page has its own.

    Raises:
        ValueError: there are no questions.

    Example:
        >>> q = Question("Is $1+1=2$?", [Choice("yes", 1 + 1 == 2, "Count."), Choice("no", 1 + 1 != 2, "Count.")])
        >>> quiz_html(q).count('type="radio"')
        2
    """
    if not questions:
        raise ValueError("questions is empty; give at least one Question")
    style = read("quiz.css")
    body = "\n".join(_question(i, question) for i, question in enumerate(questions, 1))
    return (
        f'<form class="quiz" aria-label="{html.escape(title)}">\n<style>\n{style}</style>\n{body}\n'
        # A disabled default button keeps the Enter key from submitting the form.
        '<button type="submit" disabled hidden></button>'
        '<button type="reset" class="quiz-reset">Clear my answers</button>\n</form>'
    )


def _question(number: int, question: Question) -> str:
    choices, feedback = [], []
    for i, choice in enumerate(question.choices, 1):
        choices.append(
            f'<label class="quiz-choice" data-holds="{str(choice.holds).lower()}">'
            f'<input type="radio" name="q{number}" value="{i}"><span>{inline(choice.text)}</span></label>'
        )
        verdict = "Right." if choice.holds else "Not this one."
        feedback.append(
            f'<p data-choice="{i}" data-holds="{str(choice.holds).lower()}">'
            f"<strong>{verdict}</strong> {inline(choice.feedback)}</p>"
        )
    right = next(choice for choice in question.choices if choice.holds)
    return (
        f'<fieldset><legend><span class="quiz-number">{number}</span> {inline(question.prompt)}</legend>\n'
        + "\n".join(choices)
        + f'\n<div class="quiz-feedback" role="status">{"".join(feedback)}</div>\n'
        + f"<details><summary>Answer</summary><p>{inline(right.text)}: {inline(right.feedback)}</p></details>"
        + "\n</fieldset>"
    )
