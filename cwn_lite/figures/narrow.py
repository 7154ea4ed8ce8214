"""The library's code in the narrow column of a chapter: long lines are broken, and nothing else is changed."""

import ast
import io
import re
import textwrap
import tokenize
from itertools import groupby, pairwise

WIDTH = 76
"""Columns of code that a page shows beside its margin."""

_OPERATORS = {"and", "or", "if", "else", "+", "-", "*", "/"}


def narrow(code: str, width: int = WIDTH) -> str:
    """Return code that means the same, with lines of at most ``width`` columns where that is possible.

    Args:
        code: statements that parse.
        width: columns.

    Example:
        >>> print(narrow("total = add(first_number, second_number)", 32))
        total = add(
            first_number, second_number
        )
    """
    meaning = _meaning(code)
    blocks = [(comment, list(group)) for comment, group in groupby(code.splitlines(), key=_comment_indent)]
    done = [line for _, block in blocks for line in block]
    at = 0
    for comment, block in blocks:
        parts = [(block, _filled(block, comment, width))] if comment is not None else []
        parts = parts or [([line], _broken(line, width)) for line in block]
        for old, new in parts:
            tried = [*done[:at], *new, *done[at + len(old) :]]
            kept = old == new or _meaning("\n".join(tried)) == meaning  # no break is worth another meaning
            done = tried if kept else done
            at += len(new) if kept else len(old)
    return "\n".join(done)


def _meaning(code: str) -> str:
    """What the code is to Python, or nothing where it is none."""
    try:
        return ast.dump(ast.parse(code))
    except SyntaxError:
        return ""


def _filled(block: list[str], indent: int, width: int) -> list[str]:
    """Lines of a comment, filled anew if one of them is too long."""
    if max(map(len, block)) <= width:
        return block
    words = " ".join(line.strip().removeprefix("#").strip() for line in block)
    start = " " * indent + "# "
    return textwrap.wrap(words, width, initial_indent=start, subsequent_indent=start)


def _comment_indent(line: str) -> int | None:
    """The indentation of a line that is a comment and nothing else."""
    bare = line.lstrip()
    return len(line) - len(bare) if bare.startswith("#") else None


def _broken(line: str, width: int) -> list[str]:
    """One line in as many as it takes."""
    if len(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    tokens = _tokens(line)
    if tokens and tokens[-1].type == tokenize.COMMENT:
        at = tokens[-1].start[1]
        above = textwrap.wrap(line[at:], width, initial_indent=indent, subsequent_indent=indent + "# ")
        return [*above, *_broken(line[:at].rstrip(), width)]
    for way in (_string, _choice, _brackets, _wrapped):
        parts = way(line, indent, tokens, width)
        if parts and max(map(len, parts)) <= width:
            return parts
    return [line]


def _tokens(line: str) -> list[tokenize.TokenInfo]:
    """The tokens of a line, also of one that a bracket leaves open."""
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(line.strip()).readline):
            found.append(token)
    except tokenize.TokenError:
        pass
    shift = len(line) - len(line.lstrip())
    return [
        token._replace(start=(1, token.start[1] + shift), end=(1, token.end[1] + shift))
        for token in found
        if token.start[0] == 1 and token.string.strip()
    ]


def _string(line: str, indent: str, tokens: list[tokenize.TokenInfo], width: int) -> list[str]:
    """A text that is an argument of its own, as two that stand one after the other."""
    match = re.fullmatch(r'\s*([rf]?)"([^"\\]*)"(,?)', line)
    if not match:
        return []
    kind, text, comma = match.groups()
    room = width - len(indent) - len(kind) - 2
    spaces = [
        m.end() for m in re.finditer(" ", text[:room]) if text.count("{", 0, m.end()) == text.count("}", 0, m.end())
    ]
    if not spaces:
        return []
    first, rest = text[: spaces[-1]], text[spaces[-1] :]
    return [f'{indent}{kind}"{first}"', *_broken(f'{indent}{kind}"{rest}"{comma}', width)]


def _brackets(line: str, indent: str, tokens: list[tokenize.TokenInfo], width: int) -> list[str]:
    """What the last bracket that serves holds goes to lines of its own."""
    for start, end in reversed(_pairs(tokens)):
        body = line[start + 1 : end].strip()
        inner = f"{indent}    {body}"
        parts = [inner]
        if len(inner) > width:
            commas = [] if _top_level(body, {"for"}) else _top_level(line[start + 1 : end], {","})
            pieces = _cut(line[start + 1 : end], commas)
            parts = (
                [part for piece in pieces for part in _broken(f"{indent}    {piece.rstrip(',')},", width)]
                if commas
                else _broken(inner, width)
            )
        parts = [line[: start + 1], *parts, indent + line[end:]]
        if body and max(map(len, parts)) <= width:
            return parts
    return []


def _choice(line: str, indent: str, tokens: list[tokenize.TokenInfo], width: int) -> list[str]:
    """A choice or a condition outside of all brackets, in brackets of its own."""
    return _wrapped(line, indent, tokens, width) if _top_level(line.strip(), {"else", "and", "or"}) else []


def _wrapped(line: str, indent: str, tokens: list[tokenize.TokenInfo], width: int) -> list[str]:
    """What is returned, assigned or asked for, in brackets and broken at its operators."""
    match = re.fullmatch(r"(\s*(?:return |if |[\w., ]+ = ))(.*?)(:?)", line)
    if not match:
        return []
    head, body, colon = match.groups()
    pieces = _cut(body, _top_level(body, _OPERATORS), before=True)
    return [f"{head}(", *(f"{indent}    {piece}" for piece in pieces), f"{indent}){colon}"]


def _pairs(tokens: list[tokenize.TokenInfo]) -> list[tuple[int, int]]:
    """Where the brackets open and close that lie in no other."""
    found, stack = [], []
    for token in tokens:
        if token.string in "([{":
            stack.append(token.start[1])
        elif token.string in ")]}" and stack:
            start = stack.pop()
            if not stack:
                found.append((start, token.start[1]))
    return found


def _top_level(text: str, words: set[str]) -> list[tuple[int, int]]:
    """Where one of the words stands outside of all brackets."""
    depth, found = 0, []
    for token in _tokens(text):
        depth += (token.string in ("(", "[", "{")) - (token.string in (")", "]", "}"))
        if depth == 0 and token.string in words and token.start[1] > 0:
            found.append((token.start[1], token.end[1]))
    return found


def _cut(text: str, places: list[tuple[int, int]], *, before: bool = False) -> list[str]:
    """The text in pieces, cut before or behind each place."""
    at = [0, *(place[0 if before else 1] for place in places), len(text)]
    pieces = (text[a:b].strip() for a, b in pairwise(at))
    return [piece for piece in pieces if piece]
