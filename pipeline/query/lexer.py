"""A search text as a run of words, quotes and patterns, with a position in it."""

from __future__ import annotations

import re
from typing import Final

from pipeline.errors import QueryError
from pipeline.query.conditions import Regex, is_surely_pattern, quote
from pipeline.query.syntax import METADATA

QUOTE_IT: Final = "to look for the text itself, put it in quotes"

_KEY: Final = re.compile(
    r'(?P<metadata>metadata\.(?:(?P<quoted>")|(?P<key>\w[\w.\-]*:)))'
    r"|(?P<name>[^\W\d][\w.\-]*):"
)
_SPACE: Final = re.compile(r"\s*")
_RUN: Final = re.compile(r"\S*")
_TO_BORDER: Final = re.compile(r"[^\s()]*")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED: Final = re.compile(r'\\(["\\])')
_PATTERN: Final = re.compile(r"/((?:[^/\\]|\\.)*)/", re.DOTALL)


class Lexer:
    """Takes one thing after another; `at` is where it stands, in characters."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.groups = 0
        """Parentheses that are open: the next `)` closes one."""

    def skip_space(self) -> None:
        """Go on to what stands next."""
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def is_done(self) -> bool:
        """At the end of the text."""
        return self.at == len(self.text)

    def peek(self, length: int = 1) -> str:
        """The next characters; fewer, or none, at the end."""
        return self.text[self.at : self.at + length]

    def is_border(self, place: int | None = None) -> bool:
        """Whether a word ends at the place (here): at a space or a group's end."""
        place = self.at if place is None else place
        character = self.text[place : place + 1]
        closes = character == ")" and self.groups > 0
        return not character or character.isspace() or closes

    def take(self, mark: str) -> bool:
        """Go behind the mark if it stands here."""
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        return True

    def sees(self, operator: str) -> bool:
        """Whether this operator stands here as a word of its own."""
        end = self.at + len(operator)
        if not self.text.startswith(operator, self.at):
            return False
        after = self.text[end : end + 1]
        return not after or after.isspace() or after in '()"'

    def take_operator(self, operator: str) -> bool:
        """Go behind the operator, and the space after it, if it stands here."""
        if not self.sees(operator):
            return False
        self.at += len(operator)
        self.skip_space()
        return True

    def peek_word(self) -> str:
        """The characters up to a space, or to the end of the group."""
        if not self.groups:
            found = _RUN.match(self.text, self.at)
            return found.group() if found else ""
        opened = 0
        end = self.at
        while found := _TO_BORDER.match(self.text, end):
            end = found.end()
            character = self.text[end : end + 1]
            opened += {"(": 1, ")": -1}.get(character, 0)
            if opened < 0 or character not in ("(", ")"):
                break
            end += 1
        return self.text[self.at : end]

    def word(self) -> str:
        """Take those characters."""
        found = self.peek_word()
        self.at += len(found)
        return found

    def quoted(self) -> str:
        """Take what stands between quotes."""
        found = _QUOTED.match(self.text, self.at)
        if found is None:
            raise QueryError(
                "this quote is never closed", self.at, 'write \\" for a quote'
            )
        self.at = found.end()
        return _ESCAPED.sub(r"\1", found[1])

    def key(self) -> str | None:
        """Take a field's name and its colon, if they stand here."""
        found = _KEY.match(self.text, self.at)
        if found is None:
            return None
        if found["name"] is not None:
            self.at = found.end()
            return found["name"]
        if found["key"] is not None:
            self.at = found.end()
            return METADATA + found["key"][:-1]
        self.at = found.end("metadata") - 1
        key = self.quoted()
        if not self.take(":"):
            raise QueryError("a metadata key needs a colon and a value", self.at)
        return METADATA + key

    def pattern(self) -> Regex | None:
        """Take a /pattern/, unless it is a path, which is a word.

        A pattern ends with the next slash, where the word ends too. What could be
        either is refused.
        """
        start = self.at
        found = _PATTERN.match(self.text, start)
        if found is None or not found[1] or not self.is_border(found.end()):
            return None
        inside = found[1]
        if not is_surely_pattern(inside):
            if inside != inside.strip():
                return None
            raise QueryError(
                f"{found.group()[:64]} may be a path or a pattern",
                start,
                f"write {quote(found.group()[:64])} for the text or "
                f"/(?:{inside[:64]})/ for the pattern",
            )
        self.at = found.end()
        pattern = Regex(inside)
        _check_pattern(pattern.pattern, start)
        return pattern


def _check_pattern(pattern: str, position: int) -> None:
    # RE2 is loaded for the few texts that have a pattern
    from pipeline.query.expressions import compile_pattern

    try:
        compile_pattern(pattern)
    except QueryError as error:
        raise QueryError(error.problem, position, error.hint) from None
