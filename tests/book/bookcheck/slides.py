"""A chapter's slides: few words, nothing typed that is measured, and each shows something that its cell has."""

import re

import deck
from paper_numbers import check as misquoted
from plain_markdown import Words

from bookcheck.numbers import typed_numbers
from bookcheck.pages import ONE_PAGE, Page
from bookcheck.prose import ROLE, without_code
from bookcheck.quotes import QUOTE, tables

MOST_WORDS = 45
MOST_POINTS = 5
SLIDES = range(8, 15)
ON_ONE_PAGE = range(4, 15)
"""How many slides a page has that only sums up what others teach."""
WORD = re.compile(r"\$[^$]*\$|\S+")


def check(page: Page, allowed: frozenset[str] = frozenset()) -> list[str]:
    """Return what is wrong with the slides that a page's cells choose."""
    assert page.notebook is not None
    try:
        made = deck.slides(page.notebook, Words())
    except ValueError as error:
        return [str(error)]
    sums_up = f"book/{page.name}" in ONE_PAGE
    wanted = ON_ONE_PAGE if sums_up else SLIDES
    problems = [] if len(made) in wanted else [f"{len(made)} slides are not {wanted[0]} to {wanted[-1]}"]
    for slide in made[1:]:
        problems += [f"slide {slide.title!r}: {problem}" for problem in _slide(slide, allowed)]
    kinds = [slide.shown.kind for slide in made if slide.shown]
    if not sums_up and "question" not in kinds:
        problems.append("no slide asks the room: `show` a question of the quiz")
    if not sums_up and not any("paper" in slide.title for slide in made):
        problems.append("no slide has the paper in its title: what it says, and what was found")
    return problems


def _slide(slide: deck.Slide, allowed: frozenset[str]) -> list[str]:
    text = "\n".join([slide.title, *slide.points])
    problems = []
    if (count := len(WORD.findall(text))) > MOST_WORDS:
        problems.append(f"{count} words are more than {MOST_WORDS}; leave them to the notes")
    if len(slide.points) > MOST_POINTS or not (slide.points or slide.shown):
        problems.append(f"{len(slide.points)} points; give one to {MOST_POINTS}, or something to see")
    problems += [f"typed number {n}" for n in typed_numbers(without_code(text)) if n not in allowed]
    problems += [f"the role {role}" for role in re.findall(ROLE, text) if not role.startswith("{paper}")]
    for quoted in QUOTE.findall(text):
        number, _, path = quoted.partition("<")
        if problem := misquoted(number.strip(), path.strip("> "), tables()):
            problems.append(problem)
    shows_code = slide.shown is not None and slide.shown.kind == "code"  # which speaks for itself
    if not slide.notes.strip() and not shows_code:
        problems.append("no notes: nothing of the chapter belongs to it")
    return problems
