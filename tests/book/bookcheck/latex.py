"""Evaluate a displayed formula, so that a test can hold the page's own LaTeX against the shipped code.

`holds(tex, symbols)` splits a display into statements and each statement at its relations, evaluates every side with
the arrays in `symbols`, and returns whether all relations are true. A dropped factor or a swapped symbol on the page
makes it false; a symbol that the test does not know is an error.

The keys of `symbols` are LaTeX (`r"\\tilde w"`, `r"w^{(t)}"`, `r"\\operatorname{Var}[y]"`), matched longest first. A
vector is a one-axis array; it is read as a column, `^\\top` makes it a row, and juxtaposition multiplies. A value may
be a function; it takes the bracketed arguments that follow it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Value = Any  # a NumPy array of floats without axes, with one or with two
Symbols = Mapping[str, Any]

SPACING = re.compile(r"\\(?:,|;|!|:|quad|qquad|left|right|[bB]igg?[lrm]?)(?![a-zA-Z])|~")
SEPARATOR = re.compile(r"\\\\|\\q?quad(?![a-zA-Z])|\\text\{[^{}]*\}|\\begin\{[a-z*]+\}|\\end\{[a-z*]+\}")
BARE_ARGUMENT = re.compile(r"\\(tilde|hat|bar|dot|mathbf|mathcal|operatorname)\s*\{(\w)\}")
RELATIONS = {
    "=": lambda a, b, rtol: np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-9, atol=1e-9),
    r"\approx": lambda a, b, rtol: np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=rtol, atol=0),
    r"\ne": lambda a, b, rtol: not np.allclose(a, b, rtol=1e-6, atol=1e-9),
    r"\le": lambda a, b, rtol: bool(np.all(a <= b + 1e-12)),
    r"\ge": lambda a, b, rtol: bool(np.all(a >= b - 1e-12)),
    "<": lambda a, b, rtol: bool(np.all(a < b)),
    ">": lambda a, b, rtol: bool(np.all(a > b)),
}
RELATION = re.compile(r"(=|<|>|\\(?:approx|ne|le|ge)(?![a-zA-Z]))")
CONSTANTS = {r"\pi": np.pi, "e": np.e}
CLOSING = {"(": ")", "[": "]", r"\lVert": r"\rVert", r"\lvert": r"\rvert", r"\langle": r"\rangle"}


class FormulaError(ValueError):
    """The formula cannot be read with the symbols given."""


def holds(tex: str, symbols: Symbols, rtol: float = 1e-2) -> bool:
    """Return whether every relation of the display is true; `rtol` is the tolerance of `\\approx`."""
    known = {normalize(key): value for key, value in symbols.items()}
    verdicts = []
    for statement in statements(tex):
        parts = _split_relations(normalize(statement))
        sides = [evaluate(side, known) for side in parts[::2]]
        verdicts += [
            RELATIONS[sign](left, right, rtol) for left, sign, right in zip(sides, parts[1::2], sides[1:], strict=False)
        ]
    if not verdicts:
        raise FormulaError(f"no relation in {tex!r}: nothing to check")
    return all(verdicts)


def _split_relations(statement: str) -> list[str]:
    """Sides and signs in turn; a sign within braces, as in a sum's range, does not count."""
    parts, start = [], 0
    for match in RELATION.finditer(statement):
        before = statement[: match.start()]
        if before.count("{") == before.count("}"):
            parts += [statement[start : match.start()], match.group()]
            start = match.end()
    return [*parts, statement[start:]]


def statements(tex: str) -> list[str]:
    """Split a display at line breaks, wide spaces and words; drop pieces without content."""
    pieces = [piece.replace("&", "").strip(" \n.,;") for piece in SEPARATOR.split(tex)]
    return [piece for piece in pieces if piece]


def normalize(tex: str) -> str:
    """One spelling per formula: no spacing commands, one space only where a command meets a letter."""
    tex = SPACING.sub(" ", tex)
    tex = tex.replace(r"\|", r"\Vert ").replace(r"\tfrac", r"\frac").replace(r"\dfrac", r"\frac")
    tex = BARE_ARGUMENT.sub(r"\\\1 \2", tex)
    tex = re.sub(r"\s+", " ", tex)
    tex = re.sub(r"(?<![a-zA-Z]) | (?![a-zA-Z])", "", tex)  # a space counts between letters only ...
    return re.sub(r"(?<!\\)\b([a-zA-Z]) (?=[a-zA-Z])", r"\1", tex).strip()  # ... and only after a command


def evaluate(tex: str, known: Symbols) -> Value:
    """Return the value of one expression; `known` has normalized keys."""
    parser = _Parser(normalize(tex), known)
    value = parser.expression()
    if parser.rest():
        raise parser.error()
    return value


class _Parser:
    """Recursive descent over the text: sum of products of powers."""

    def __init__(self, text: str, known: Symbols) -> None:
        self.text, self.at = text, 0
        self.known = known
        self.names = sorted(known, key=len, reverse=True)
        self.inside_norm = False

    def rest(self) -> str:
        return self.text[self.at :].lstrip()

    def error(self) -> FormulaError:
        return FormulaError(f"cannot read {self.rest()[:30]!r} in {self.text!r}; known: {sorted(self.known)}")

    def take(self, *tokens: str) -> str | None:
        rest = self.rest()
        for token in tokens:
            whole = not (token[0] == "\\" and token[-1].isalpha() and rest[len(token) :][:1].isalpha())
            if rest.startswith(token) and whole:
                self.at = len(self.text) - len(rest) + len(token)
                return token
        return None

    def expect(self, token: str) -> None:
        if not self.take(token):
            raise FormulaError(f"expected {token!r} before {self.rest()[:30]!r} in {self.text!r}")

    def expression(self) -> Value:
        sign = self.take("+", "-")
        value = self.term()
        value = -value if sign == "-" else value
        while sign := self.take("+", "-"):
            value = _add(value, self.term(), -1 if sign == "-" else 1)
        return value

    def term(self) -> Value:
        value = self.power()
        while True:
            if self.take("/"):
                value = value / _scalar(self.power())
                if self.starts_factor():
                    raise FormulaError(
                        f"ambiguous: a factor follows a quotient at {self.rest()[:30]!r} in {self.text!r}"
                    )
            elif self.take(r"\cdot", r"\times") or self.starts_factor():
                value = _multiply(value, self.power())
            else:
                return value

    def starts_factor(self) -> bool:
        rest = self.rest()
        stop = ("+", "-", ")", "]", "}", ",", "/", r"\rVert", r"\rvert", r"\rangle", r"\Vert")
        return bool(rest) and (not rest.startswith(stop) or (rest.startswith(r"\Vert") and not self.inside_norm))

    def power(self) -> Value:
        value = self.atom()
        while self.take("^"):
            if self.take(r"\top") or self.take(r"{\top}"):
                value = _column(value).T
            else:
                exponent = self.braced()
                value = _scalar(value) ** _scalar(exponent)
        return value

    def braced(self) -> Value:
        if self.take("{"):
            value = self.expression()
            self.expect("}")
            return value
        digit = re.match(r"\d", self.rest())  # TeX: one token without braces
        if digit:
            self.take(digit.group())
            return np.asarray(float(digit.group()))
        return self.atom()

    def atom(self) -> Value:
        name = self.take(*self.names)
        if name is not None:
            value = self.known[name]
            return self.call(value) if callable(value) else np.asarray(value, dtype=float)
        number = re.match(r"\d+(\.\d+)?", self.rest())
        if number:
            self.take(number.group())
            return np.asarray(float(number.group()))
        if self.take(r"\frac"):
            return self.braced() / _scalar(self.braced())
        if self.take(r"\sqrt"):
            return np.sqrt(_scalar(self.braced()))
        if self.take("{"):
            return self.until("}")
        if opening := self.take("(", "["):
            return self.until(CLOSING[opening])
        if self.take(r"\lVert"):
            return np.linalg.norm(self.until(r"\rVert"))
        if self.take(r"\lvert"):
            return np.abs(self.until(r"\rvert"))
        if self.take(r"\Vert"):
            outer, self.inside_norm = self.inside_norm, True
            value = np.linalg.norm(self.until(r"\Vert"))
            self.inside_norm = outer
            return value
        if self.take(r"\langle"):
            left = self.until(",")
            return _scalar(_column(left).T @ _column(self.until(r"\rangle")))
        constant = self.take(*CONSTANTS)
        if constant:
            return np.asarray(CONSTANTS[constant])
        raise self.error()

    def until(self, closing: str) -> Value:
        value = self.expression()
        self.expect(closing)
        return value

    def call(self, function: Callable[..., Any]) -> Value:
        opening = self.take("(", "[", r"\{")
        if opening is None:
            raise self.error()
        arguments = [self.expression()]
        while self.take(","):
            arguments.append(self.expression())
        self.expect({"(": ")", "[": "]", r"\{": r"\}"}[opening])
        return np.asarray(function(*(a.squeeze() for a in arguments)), dtype=float)


def _column(value: Value) -> Value:
    return value[:, None] if value.ndim == 1 else value


def _scalar(value: Value) -> Value:
    if value.size != 1:
        raise FormulaError(f"a scalar is needed, got an array of shape {value.shape}")
    return value.reshape(())


def _tidy(value: Value) -> Value:
    """Scalars without axes, columns as one-axis arrays."""
    if value.shape == (1, 1):
        return value.reshape(())
    return value[:, 0] if value.ndim == 2 and value.shape[1] == 1 else value


def _multiply(left: Value, right: Value) -> Value:
    if left.ndim == 0 or right.ndim == 0:
        return left * right
    left, right = _column(left), _column(right)
    if left.shape[1] != right.shape[0]:
        raise FormulaError(f"cannot multiply shapes {left.shape} and {right.shape}: a transpose is missing")
    return _tidy(left @ right)


def _add(left: Value, right: Value, sign: int) -> Value:
    if left.shape != right.shape:
        raise FormulaError(f"cannot add shapes {left.shape} and {right.shape}")
    return left + sign * right
