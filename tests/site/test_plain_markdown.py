"""MyST to plain Markdown: each construct planted, and read afterwards by MyST's own parser."""

from __future__ import annotations

import pytest
from myst import leftovers
from plain_markdown import in_strings, plain


class Known:
    """References that say what they were asked."""

    def role(self, name: str, content: str) -> str:
        if name == "unknown":
            raise ValueError("no rule turns the role {unknown}")
        return f"<{name} {content}>"

    def link(self, words: str, target: str) -> str:
        return f"[{words or 'Title'}](https://x.org/{target})"

    def leads(self, target: str) -> bool:
        return target in ("a.ipynb", "a-label")

    def number(self, kind: str, label: str) -> str:
        return f"{kind.capitalize()} 4.{len(label)}" if label else ""

    def tag(self, label: str) -> str:
        return "4.2"

    def picture(self, path: str) -> str:
        return f"https://x.org/{path}"


PLANTED = {
    "role": ("as {cite}`a2020,b2021` and {eq}`eq:x:y` say", "as <cite a2020,b2021> and <eq eq:x:y> say"),
    "role over two lines": ("{cite}`a,\nb`", "<cite a,\nb>"),
    "two backticks": ("{paper}``4.25 <table4.x>``", "<paper 4.25 <table4.x>>"),
    "role in code": ("write `` {cite}`a` `` there", "write `` {cite}`a` `` there"),
    "labelled equation": ("so\n\n$$\na = b .\n$$ (eq:x:y)\n\nor", "so\n\n$$\na = b . \\tag{4.2}\n$$\n\nor"),
    "on one line": ("$$ a = b $$ (eq:x:y)", "$$ a = b \\tag{4.2} $$"),
    "without a label": ("$$ a = b $$\n\n(see there)", "$$ a = b $$\n\n(see there)"),
    "directive of an equation": ("```{math}\n:label: eq:x:y\na = b\n```", "$$\na = b \\tag{4.2}\n$$"),
    "math that looks like a link": (r"$f[x](y)$ costs \$2 and \$3", r"$f[x](y)$ costs \$2 and \$3"),
    "link": ("[there](a.ipynb#b), [](a.md)", "[there](https://x.org/a.ipynb#b), [Title](https://x.org/a.md)"),
    "picture": ("![A cat.](cat.png)", "![A cat.](https://x.org/cat.png)"),
    "picture elsewhere": ("![A cat.](https://y.org/cat.png)", "![A cat.](https://y.org/cat.png)"),
    "admonition": (
        "```{admonition} Goals of {eq}`z`\n:class: goals\n\n- one\n- two\n\n  {ref}`b`\n```\nAfter.",
        "> **Goals of <eq z>**\n>\n> - one\n> - two\n>\n>   <ref b>\n\nAfter.",
    ),
    "note with colons": (":::{note}\nMind this.\n:::", "> **Note**\n>\n> Mind this."),
    "nested": (
        "````{tip} Try\n```{math}\n:label: eq:x:y\na\n```\n```python\nx = {cite}`a`\n```\n````",
        "> **Try**\n>\n> $$\n> a \\tag{4.2}\n> $$\n>\n> ```python\n> x = {cite}`a`\n> ```",
    ),
    "exercise": ("```{exercise} Find $x$\n:label: ab\n\nBy {eq}`z`.\n```", "### Exercise 4.2: Find $x$\n\nBy <eq z>."),
    "exercise without a name": ("```{exercise}\nDo.\n```", "### Exercise\n\nDo."),
    "dropdown": ("````{dropdown} Solution\nIt is $1$.\n````", "#### Solution\n\nIt is $1$."),
    "figure": (
        "```{figure} cat.png\n:name: cat\n:alt: A cat.\n\nMine.\n```",
        "![A cat.](https://x.org/cat.png)\n\nMine.",
    ),
    "label of a section": ("(a-label)=\n## There\nx", "## There\nx"),
    "comment": ("% not for readers\nx", "x"),
    "break": ("x\n\n+++\n\ny", "x\n\n\ny"),
    "attributes": ("{.lead}\nFirst.", "First."),
    "code": ("```python\n(a)=\n{cite}`a`\n```", "```python\n(a)=\n{cite}`a`\n```"),
    "in a list": (
        "- x\n\n  ```{note}\n  y\n  ```",
        "- x\n\n  > **Note**\n  >\n  > y",
    ),
    "table": ("| a | b |\n| - | - |\n| {eq}`z` | $x$ |", "| a | b |\n| - | - |\n| <eq z> | $x$ |"),
}


@pytest.mark.parametrize(("text", "wanted"), PLANTED.values(), ids=PLANTED)
def test_planted(text: str, wanted: str) -> None:
    made = plain(text, Known())
    assert made == wanted
    assert leftovers(made) == []


@pytest.mark.parametrize(
    "text",
    [
        "{cite}`a`",
        "```{note}\nx\n```",
        ":::{note}\nx\n:::",
        "$$ a $$ (eq:x:y)",
        "(a-label)=\n# A",
        "% comment",
        "+++",
        "[a](b.ipynb)",
        "![a](b.png)",
        "{.lead}\nText.",
        "{{ name }}",
    ],
)
def test_myst_is_noticed_where_it_is_left(text: str) -> None:
    assert leftovers(text)


def test_what_has_no_rule_is_named() -> None:
    with pytest.raises(ValueError, match=r"the directive \{mermaid\}"):
        plain("```{mermaid}\na\n```", Known())
    with pytest.raises(ValueError, match=r"the role \{unknown\}"):
        plain("{unknown}`x`", Known())


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ('print("see {eq}`z`")', 'print("see <eq z>")'),
        ('print(f"{n} as {{cite:t}}`a2020` say")', 'print(f"{n} as <cite:t a2020> say")'),
        (
            'x = ["[there](a.ipynb)", "[](a-label)"]',
            'x = ["[there](https://x.org/a.ipynb)", "[Title](https://x.org/a-label)"]',
        ),
        ('"as {a[0]} [the\\n"\n"start](a-label)"', '"as {a[0]} [the\\n"\n"start](https://x.org/a-label)"'),
        ("layers[kind](x) + net[:3](y)", "layers[kind](x) + net[:3](y)"),
    ],
)
def test_strings_of_code(code: str, wanted: str) -> None:
    assert in_strings(code, Known()) == wanted


def test_a_string_is_not_broken() -> None:
    class Quoting(Known):
        def link(self, words: str, target: str) -> str:
            return '["Title"](https://x.org)'

    with pytest.raises(ValueError, match="cannot stand in"):
        in_strings('"[](a.ipynb)"', Quoting())
