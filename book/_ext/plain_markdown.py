r"""MyST to the Markdown that notebooks show everywhere: a table of rules for blocks, one for what stands in lines.

Only what is MyST's own changes; everything else stays as the author wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}|:{3,}) *(?:\{(?P<name>[\w:-]+)\} *(?P<title>.*)|[^`\n]*)$")
OPTION = re.compile(r"^:(?P<name>[\w-]+): *(?P<value>.*)$")
UNSEEN = re.compile(r"^(?:\([^()\s]+\)=|%.*|\+\+\+.*|\{[.#][^}]*\})[ \t]*$\n?", re.MULTILINE)
"""Lines that a reader never sees: labels, comments, breaks between blocks, attributes."""

INLINE = re.compile(
    r"""\{(?P<role>[\w:+-]+)\}(?P<marks>`+)(?P<content>.+?)(?P=marks)(?!`)
      | (?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)
      | (?<!\\)\$\$(?P<display>.+?)\$\$(?:[ \t]*\((?P<label>[^()\s]+)\))?
      | (?<!\\)\$[^$]+?(?<!\\)\$
      | (?P<picture>!?)\[(?P<words>[^\[\]]*)\]\((?P<target>[^()\s]*)\)
    """,
    re.VERBOSE | re.DOTALL,
)
IN_STRING = re.compile(
    r"""\{{1,2}(?P<role>cite(?::\w+)?|eq|ref|numref|doc|paper)\}{1,2}`(?P<content>[^`{}]+)`
      | \[(?P<words>[^\[\]]*)\]\((?P<target>[\w.#-]+)\)
    """,
    re.VERBOSE,
)
ADMONITIONS = ("note", "tip", "hint", "important", "warning", "caution", "attention", "danger", "error", "seealso")


class References(Protocol):
    """What the rules ask for; crossrefs.py answers."""

    def role(self, name: str, content: str) -> str:
        """Return the Markdown of a role."""
        ...

    def link(self, words: str, target: str) -> str:
        """Return a link with a whole address; its words alone, where the page has none."""
        ...

    def leads(self, target: str) -> bool:
        """Return whether a target is one of this book's pages or labels."""
        ...

    def number(self, kind: str, label: str) -> str:
        """Return the title with the number of what is counted; nothing for what is not."""
        ...

    def tag(self, label: str) -> str:
        """Return the number of an equation."""
        ...

    def picture(self, path: str) -> str:
        """Return the address of a picture, or nothing."""
        ...


class Words:
    """References for texts without a book around them: their words, and nothing to follow."""

    def role(self, name: str, content: str) -> str:
        """Return what the role was given, of a quote its number."""
        return content.partition("<")[0].strip() if name == "paper" else f"({content})"

    def link(self, words: str, target: str) -> str:
        """Return the words, or where they would lead."""
        return words or target

    def leads(self, target: str) -> bool:
        """Nothing leads anywhere."""
        return False

    def number(self, kind: str, label: str) -> str:
        """Nothing is counted."""
        return ""

    def tag(self, label: str) -> str:
        """No equation is."""
        return ""

    def picture(self, path: str) -> str:
        """No picture is found."""
        return ""


def plain(text: str, references: References) -> str:
    """Return a text without MyST.

    Raises:
        ValueError: a directive or role for which there is no rule.
    """
    lines, done, prose = text.split("\n"), list[str](), list[str]()
    at = 0
    while at < len(lines):
        match = FENCE.match(lines[at])
        end = _end(lines, at, match["fence"]) if match else at
        if match is None:
            prose.append(lines[at])
        else:
            done += _lines(prose, references)
            prose = []
            if match["name"] is None:
                done += lines[at : end + 1]
            else:
                inner = [line.removeprefix(match["indent"]) for line in lines[at + 1 : end]]
                made = _directive(match["name"], match["title"].strip(), inner, references)
                done += [match["indent"] + line if line else "" for line in made.split("\n")]
                if "".join(lines[end + 1 : end + 2]).strip():
                    done.append("")  # else a quote would take in the next line
        at = end + 1
    return "\n".join([*done, *_lines(prose, references)])


def inline(text: str, references: References) -> str:
    """Return a paragraph whose roles, links and labels of equations are plain."""

    def replace(match: re.Match[str]) -> str:
        if match["role"]:
            return references.role(match["role"], match["content"].strip())
        if match["display"]:
            return _display(match["display"], match["label"], references)
        if match["target"] is not None:
            words = inline(match["words"], references)
            return (_picture if match["picture"] else references.link)(words, match["target"])
        return match[0]  # code or math

    def _picture(words: str, target: str) -> str:
        return f"![{words}]({target if ':' in target else references.picture(target)})"

    return INLINE.sub(replace, text)


def in_strings(code: str, references: References) -> str:
    """Return a cell's code whose strings, which it prints as Markdown, are plain.

    Raises:
        ValueError: what is written instead would end the string or, in an f-string, begin a value.
    """

    def replace(match: re.Match[str]) -> str:
        if match["role"]:
            text, words = references.role(match["role"], match["content"]), ""
        elif references.leads(match["target"]):
            text, words = references.link(match["words"], match["target"]), match["words"]
        else:
            return match[0]  # code that looks like a link
        if set(text.replace(words, "", 1)) & set('"{}\\'):
            raise ValueError(f"{text!r} cannot stand in every string of code")
        return text

    return IN_STRING.sub(replace, code)


def _lines(prose: list[str], references: References) -> list[str]:
    text = UNSEEN.sub("", "\n".join(prose))
    return [inline(text, references)] if prose else []


def _end(lines: list[str], start: int, fence: str) -> int:
    """The line that closes a fence: as long at least, with nothing behind it; fences of other lengths nest."""
    closing = re.compile(rf"^ *{re.escape(fence[0])}{{{len(fence)},}} *$")
    for at in range(start + 1, len(lines)):
        if closing.match(lines[at]):
            return at
    return len(lines)


def _display(tex: str, label: str | None, references: References) -> str:
    if not label:
        return f"$${tex}$$"
    return f"$${tex.rstrip()} \\tag{{{references.tag(label)}}}" + ("\n$$" if "\n" in tex else " $$")


def _quote(title: str, options: dict[str, str], body: str, references: References) -> str:
    text = f"**{inline(title, references)}**\n\n{plain(body, references)}"
    return "\n".join(f"> {line}".rstrip() for line in text.strip().split("\n"))


def _exercise(title: str, options: dict[str, str], body: str, references: References) -> str:
    number = references.number("exercise", options.get("label", "")) or "Exercise"
    name = inline(title, references)
    return (
        f"### {number}: {name}\n\n{plain(body, references)}" if name else f"### {number}\n\n{plain(body, references)}"
    )


def _section(title: str, options: dict[str, str], body: str, references: References) -> str:
    return f"#### {inline(title, references)}\n\n{plain(body, references)}"


def _figure(title: str, options: dict[str, str], body: str, references: References) -> str:
    address = title if ":" in title else references.picture(title)
    alt = options.get("alt", "")
    picture = f"![{alt}]({address})" if address else f"(A picture on the site: {alt})"
    return f"{picture}\n\n{plain(body, references)}".strip()


def _math(title: str, options: dict[str, str], body: str, references: References) -> str:
    return _display(f"\n{body.strip()}\n", options.get("label"), references)


Rule = Callable[[str, dict[str, str], str, References], str]
RULES: dict[str, Rule] = {
    "admonition": _quote,
    "exercise": _exercise,
    "dropdown": _section,
    "solution": _section,
    "figure": _figure,
    "image": _figure,
    "math": _math,
}


def _directive(name: str, title: str, lines: list[str], references: References) -> str:
    options: dict[str, str] = {}
    while lines and (option := OPTION.match(lines[0])):
        options[option["name"]] = option["value"].strip()
        lines = lines[1:]
    body = "\n".join(lines).strip("\n")
    if name in ADMONITIONS:
        return _quote(title or name.capitalize(), options, body, references)
    if name not in RULES:
        raise ValueError(f"no rule turns the directive {{{name}}} into Markdown; write one in book/_ext/{__name__}.py")
    return RULES[name](title, options, body, references)
