"""What an RE2 pattern surely needs, as far as one look along its text tells.

Only what stands plainly at the top level counts: everything in groups, classes and
behind quantifiers that allow none is passed over, and a pattern with anything that this
look doesn't know needs nothing.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_PLAIN_ESCAPES: Final = frozenset("\\.+*?()|[]{}^$/-\"'`~!@#%&=:;,<> _")
_KNOWN_CLASSES: Final = frozenset("dDsSwW")
_REPEAT: Final = re.compile(r"\d+(?:,\d*)?\}", re.ASCII)
_WRAPPED: Final = re.compile(r"\(\?:([^()\[\]\\]*)\)")
_CHOICE: Final = re.compile(
    r"(?:\?:)?([^()\[\]\\.*+?{}^$|]+(?:\|[^()\[\]\\.*+?{}^$|]+)*)\)(?![*?{+])"
)
"""The rest of a group of plain texts, one of which must be there."""

_ANY_CASE: Final = "(?i)"


class Traits(NamedTuple):
    """How a pattern has to be searched for."""

    literals: tuple[tuple[str, ...], ...]
    """Of each of these every match has one text at least, in its case."""

    edges: bool
    """Whether `^` or `$` may stand for an end of the value."""

    free: bool
    """Whether a match is one whatever stands around it."""

    alone: bool
    """Whether it must be searched for in each value alone."""


_UNKNOWN: Final = Traits((), edges=False, free=False, alone=True)


def traits_of(pattern: str) -> Traits:
    """The traits of a pattern that RE2 has compiled."""
    folded = pattern.startswith(_ANY_CASE)
    pattern = pattern.removeprefix(_ANY_CASE)
    wrapped = _WRAPPED.fullmatch(pattern)
    scanner = _Scanner(wrapped[1] if wrapped else pattern)
    if not scanner.run():
        return _UNKNOWN
    traits = scanner.traits()
    # in any case `k` is also the sign of Kelvin: literals are only for their own case
    return traits._replace(literals=()) if folded else traits


class _Scanner:
    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._depth = 0
        self._literals: list[tuple[str, ...]] = []
        self._run = ""
        self._edges = False
        self._free = True
        self._needed = True

    def run(self) -> bool:
        """Look along the pattern; whether all of it was understood."""
        while self._at < len(self._text):
            if not self._step(self._text[self._at]):
                return False
        self._close()
        return True

    def traits(self) -> Traits:
        """What was found."""
        literals = tuple(self._literals) if self._needed else ()
        return Traits(literals, self._edges, self._free, alone=False)

    def _step(self, character: str) -> bool:
        self._at += 1
        if character == "\\":
            return self._escape()
        if character == "[":
            return self._class()
        if character == "(":
            return self._group()
        if character in "*?{":
            self._repeat(character)
        elif character == "+":
            self._close()
        elif character == ")":
            self._close()
            self._depth -= 1
        elif character == "|":
            self._close()
            self._needed = self._needed and self._depth > 0
        elif character in "^$":
            self._close()
            self._edges, self._free = True, False
        elif character == ".":
            self._close()
        else:
            self._add(character)
        return True

    def _add(self, character: str) -> None:
        if self._depth == 0:
            self._run += character

    def _close(self) -> None:
        if self._run:
            self._literals.append((self._run,))
        self._run = ""

    def _repeat(self, character: str) -> None:
        """The character before may be missing."""
        if character == "{":
            times = _REPEAT.match(self._text, self._at)
            if times is None:
                self._add(character)
                return
            self._at = times.end()
        self._run = self._run[:-1]
        self._close()

    def _escape(self) -> bool:
        character = self._text[self._at : self._at + 1]
        self._at += 1
        if character in _PLAIN_ESCAPES:
            self._add(character)
            return True
        self._close()
        if character in "bB" and character:
            self._free = False
            return True
        return character in _KNOWN_CLASSES and bool(character)

    def _group(self) -> bool:
        choice = _CHOICE.match(self._text, self._at)
        if choice is not None:
            self._at = choice.end()
            if self._depth == 0:
                texts = choice[1].split("|")
                self._literals.append(tuple(self._run + text for text in texts))
                self._run = ""
            return True
        self._close()
        self._depth += 1
        if self._text.startswith("?", self._at):
            if not self._text.startswith("?:", self._at):
                return False
            self._at += 2
        return True

    def _class(self) -> bool:
        """Pass over [...], in which `]` may come first and [:name:] may stand."""
        start = self._at
        at = start + self._text.startswith("^", start)
        at += self._text.startswith("]", at)
        while at < len(self._text) and self._text[at] != "]":
            if self._text.startswith("[:", at):
                # without an end these are two characters like others
                at = max(at, self._text.find(":]", at + 2) + 1)
            at += 2 if self._text[at] == "\\" else 1
        inside = self._text[start:at]
        self._at = at + 1
        if len(inside) == 1 and inside not in "\\^":
            self._add(inside)
        else:
            self._close()
        return True
