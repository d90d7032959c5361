"""Expressions of the settings: what of the syntax is safe, and means one thing only.

A text of any length must not hold a service: RE2 would see to that, but a library that
services load has only `re`, which goes back and tries again. So the ways to read one
place of a text are counted, repeats are bounded unless nothing follows them, and look-
arounds and backreferences are refused. What is left means the same in JavaScript (with
the flag u, once `\\s` and `.` are written out) and in Python (re.ASCII).

    alternatives  sequence | sequence ...
    sequence      atoms, each with ? {n} {n,m}, and * + {n,} at the very end
    atom          a character, [class], . ^ \\d \\w \\s \\b, (?:...); first (...), kept
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

LONGEST: Final = 500
MOST_WAYS: Final = 500
"""Ways to read a place: a text of 1 MiB that is made for it takes seconds, no more."""

_ESCAPED: Final = frozenset("^$\\.*+?()[]{}|/")
_KINDS: Final = frozenset("dDwWsSbBtnrfv")
_COUNTS: Final = re.compile(r"\{(\d{1,4})(,?)(\d{0,4})\}", re.ASCII)
_BOUNDED: Final = "a bound, such as {1,64}: only the very end may go on for ever"


class ExpressionError(ValueError):
    """An expression that is refused: what is wrong, and what would be right."""

    def __init__(self, problem: str, expected: str) -> None:
        super().__init__(f"{problem}; expected {expected}")
        self.problem = problem
        self.expected = expected


class _Read(NamedTuple):
    """What has been read: ways to match it, its least length, whether it may go on."""

    ways: int
    least: int
    is_endless: bool = False


class Expression(NamedTuple):
    """A sound one."""

    text: str
    keeps: bool
    """Whether it has a group, whose text stays."""

    def compile(self) -> re.Pattern[str]:
        """Its pattern."""
        return re.compile(self.text, re.ASCII)


def read_expression(text: str) -> Expression:
    """The expression that a text is; raises ExpressionError."""
    if len(text) > LONGEST:
        raise ExpressionError(f"{len(text)} characters", f"at most {LONGEST}")
    reader = _Reader(text)
    found = reader.alternatives()
    if reader.at < len(text):
        raise reader.wrong("nothing opens this bracket", r"\) for the sign itself")
    if found.least < 1:
        raise ExpressionError("it matches the empty text", "at least one character")
    if found.ways > MOST_WAYS:
        raise ExpressionError(
            f"a text can be read in {found.ways:,} ways or more from one place",
            f"at most {MOST_WAYS}: smaller bounds, fewer repeats beside each other",
        )
    try:
        re.compile(text, re.ASCII)
    except re.error as error:  # a range from z to a
        raise ExpressionError(str(error), "an expression") from None
    return Expression(text, reader.keeps)


class _Reader:
    """Goes through an expression once."""

    def __init__(self, text: str) -> None:
        self.at = 0
        self.keeps = False
        self._text = text
        self._depth = 0

    def alternatives(self) -> _Read:
        """Up to the end of the text or of the group."""
        found = self._sequence()
        while self._next() == "|":
            self.at += 1
            other = self._sequence()
            found = _Read(
                min(found.ways + other.ways, MOST_WAYS + 1),
                min(found.least, other.least),
                found.is_endless or other.is_endless,
            )
        return found

    def wrong(self, problem: str, expected: str) -> ExpressionError:
        """The error at this place."""
        return ExpressionError(f"{problem} (character {self.at + 1})", expected)

    def _next(self) -> str:
        return self._text[self.at : self.at + 1]

    def _sequence(self) -> _Read:
        found = _Read(1, 0)
        while self._next() not in ("", "|", ")"):
            if found.is_endless:
                raise self.wrong("something follows a repeat without end", _BOUNDED)
            atom = self._repeated(self._atom())
            found = _Read(
                min(found.ways * atom.ways, MOST_WAYS + 1),
                found.least + atom.least,
                atom.is_endless,
            )
        return found

    def _atom(self) -> _Read:
        sign = self._next()
        if sign == "(":
            return self._group()
        if sign == "[":
            self._class()
            return _Read(1, 1)
        if sign in "*+?{}]":
            raise self.wrong(f"{sign} stands alone", f"\\{sign} for the sign itself")
        if sign == "$":
            raise self.wrong("$ differs between languages", "\\b, or nothing")
        if sign == "\\":
            kind = self._escape()
            return _Read(1, 0 if kind in "bB" else 1)
        self.at += 1
        return _Read(1, 0 if sign == "^" else 1)

    def _group(self) -> _Read:
        is_kept = not self._text.startswith("(?", self.at)
        if is_kept and self.at > 0:
            problem = "a group that is kept stands first, and once"
            raise self.wrong(problem, "(?:...)")
        if not is_kept and not self._text.startswith("(?:", self.at):
            raise self.wrong("no look-arounds, names or flags", "(?:...)")
        self.keeps = self.keeps or is_kept
        self._depth += 1
        if self._depth > 10:
            raise self.wrong("nested too deep", "at most 10 groups")
        self.at += 1 if is_kept else 3
        found = self.alternatives()
        if self._next() != ")":
            raise self.wrong("a bracket is not closed", ")")
        self.at += 1
        self._depth -= 1
        if found.is_endless and self._next() != "":
            raise self.wrong("something follows a repeat without end", _BOUNDED)
        return found

    def _repeated(self, atom: _Read) -> _Read:
        """The atom with what says how often it comes."""
        sign = self._next()
        if sign == "" or sign not in "?*+{":
            return atom
        least, most = self._counts()
        if atom.is_endless or (most is None and atom.ways > 1):
            raise self.wrong("a repeat within a repeat without end", _BOUNDED)
        if self._next() in ("?", "+", "*", "{") and self._next():
            raise self.wrong("a repeat of a repeat", "one of them")
        if most is None:
            return _Read(1, least * atom.least, is_endless=True)
        ways = 0
        for count in range(least, most + 1):
            ways += min(atom.ways, MOST_WAYS + 1) ** min(count, 10)
            if ways > MOST_WAYS:
                break
        return _Read(min(ways, MOST_WAYS + 1), least * atom.least)

    def _counts(self) -> tuple[int, int | None]:
        sign = self._next()
        if sign != "{":
            self.at += 1
            return (0, 1) if sign == "?" else (int(sign == "+"), None)
        found = _COUNTS.match(self._text, self.at)
        if found is None or (found[3] and not found[2]):
            raise self.wrong("no repeat", r"{n} or {n,m}, or \{ for the sign itself")
        least, comma, most = found.groups()
        if most and int(most) < int(least):
            raise self.wrong("the most is less than the least", "{n,m} with n <= m")
        self.at = found.end()
        if not comma:
            return int(least), int(least)
        return int(least), int(most) if most else None

    def _escape(self, *, in_class: bool = False) -> str:
        sign = self._text[self.at + 1 : self.at + 2]
        allowed = sign in _KINDS - set("SDWbB") | {"-"} if in_class else sign in _KINDS
        if not sign or not (allowed or sign in _ESCAPED):
            expected = r"\d \w \s \t \n \r, or \ before a sign of the syntax"
            raise self.wrong(f"\\{sign} is not known here", expected)
        self.at += 2
        return sign

    def _class(self) -> None:
        self.at += 1
        if self._next() == "^":
            self.at += 1
        begin = self.at
        while self._next() != "]" or self.at == begin:
            sign = self._next()
            if sign == "" or sign == "[" or (sign == "]" and self.at == begin):
                raise self.wrong(
                    "no class", r"[abc]; \[ and \] for the signs themselves"
                )
            if sign in "-&|~" and self._text[self.at + 1 : self.at + 2] == sign:
                raise self.wrong(f"{sign}{sign} in a class", "it once")
            if sign == "\\":
                self._escape(in_class=True)
            else:
                self.at += 1
        self.at += 1
