"""Search text to tree: words, "phrases", -not, OR, (groups) and field:value.

    expression = conjunction { "OR" conjunction }
    conjunction = term { [ "AND" ] term }
    term = ( "-" | "NOT" ) term | "(" expression ")" | [ field ":" ] ( quoted | word )

A word runs to the next space, or to the parenthesis that closes its group, so pasted
addresses, paths and stack trace lines are words. Only a known field takes a colon as
its own; any other `key:value` is a `Pair`. In quotes, `\\"` and `\\\\` are escapes and
everything else is as it stands. Prefixes (`word*`), patterns (`~`), comparisons
(`field:>5`) and pipes (`|`) have no meaning yet: they are refused, with the position
and a hint, so that no text changes its meaning when they get one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pipeline.errors import QueryError
from pipeline.level import Level, parse_level
from pipeline.limits import NESTING
from pipeline.query.syntax import (
    FIELDS,
    METADATA,
    Field,
    Node,
    Not,
    Pair,
    Text,
    Typed,
    all_of,
    any_of,
    looks_typed,
    quote,
)

TERMS_MAX: Final = 256
"""Conditions of one search: each costs a pass over the text of every block."""

_KEY: Final = re.compile(
    r'(?P<metadata>metadata\.(?:(?P<quoted>")|(?P<key>\w[\w.\-]*:)))'
    r"|(?P<name>[^\W\d][\w.\-]*):"
)
_SPACE: Final = re.compile(r"\s*")
_OPERATORS_TO_BE: Final = "<>=!~*"
_LEVELS: Final = ", ".join(level.name for level in Level)


_Check = Callable[[str, int], None]


def parse(text: str) -> Node:
    """The tree of a search text; the empty text matches everything.

    Raises QueryError with the position (in characters) of what isn't understood.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QueryError("a lone surrogate is no character", error.start) from None
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._groups: list[int] = []
        self._terms = 0

    def parse(self) -> Node:
        self._skip_space()
        if self._at == len(self._text):
            return all_of(())
        return self._expression(0)

    def _expression(self, depth: int) -> Node:
        """Up to the end of the text or of the group."""
        alternatives = [self._conjunction(depth)]
        while self._take("OR"):
            alternatives.append(self._conjunction(depth))
        return any_of(alternatives)

    def _conjunction(self, depth: int) -> Node:
        terms = [self._term(depth)]
        while not self._ended() and not self._sees("OR"):
            self._take("AND")
            terms.append(self._term(depth))
        return all_of(terms)

    def _term(self, depth: int) -> Node:
        start = self._at
        if self._ended() or self._sees("OR") or self._sees("AND"):
            raise QueryError(
                "a search word is missing here",
                start,
                "to look for the word OR, AND or NOT itself, put it in quotes",
            )
        if depth > NESTING:
            raise QueryError(f"more than {NESTING} groups in one another", start)
        if self._take("NOT"):
            return Not(self._term(depth + 1))
        first = self._text[start]
        if first == "-":
            self._negation()
            return Not(self._term(depth + 1))
        if first == "(":
            return self._group(depth + 1)
        return self._condition()

    def _negation(self) -> None:
        after = self._text[self._at + 1 : self._at + 2]
        if not after or after.isspace() or after in "->)":
            raise QueryError(
                "'-' needs a word right after it, to exclude",
                self._at,
                "to look for the text itself, put it in quotes",
            )
        self._at += 1

    def _group(self, depth: int) -> Node:
        start = self._at
        self._groups.append(start)
        self._at += 1
        self._skip_space()
        inside = self._expression(depth)
        if self._at == len(self._text):
            raise QueryError(
                "this parenthesis is never closed",
                start,
                "to look for the text itself, put it in quotes",
            )
        self._groups.pop()
        self._at += 1
        self._skip_space()
        return inside

    def _condition(self) -> Node:
        self._terms += 1
        if self._terms > TERMS_MAX:
            raise QueryError(
                f"more than {TERMS_MAX} words", self._at, "quotes make it one phrase"
            )
        if self._text[self._at] == '"':
            start = self._at
            phrase = self._quoted()
            if not phrase:
                raise QueryError("there is nothing between these quotes", start)
            self._skip_space()
            return Text(phrase)
        name = self._maybe_name()
        if name is None:
            return Text(self._word(_plain_word))
        return self._field(name)

    def _maybe_name(self) -> str | None:
        """The field before a colon, behind which the position then is."""
        start = self._at
        found = _KEY.match(self._text, start)
        if found is None:
            return None
        if found["name"] is not None:
            self._at = found.end()
            return found["name"]
        if found["key"] is not None:
            self._at = found.end()
            return METADATA + found["key"][:-1]
        self._at = found.end("metadata") - 1
        key = self._quoted()
        if not self._text.startswith(":", self._at):
            raise QueryError("a metadata key needs a colon and a value", self._at)
        self._at += 1
        return METADATA + key

    def _field(self, name: str) -> Node:
        start = self._at
        known = name in FIELDS or name.startswith(METADATA)
        typed = False
        if self._ended_word():
            if known:
                raise QueryError(
                    f"{name}: needs a value right after the colon",
                    start,
                    f"to look for the text itself, write {quote(name + ':')}",
                )
            self._skip_space()
            return Text(f"{name}:")
        if self._text[start] == '"':
            value = self._quoted()
            self._skip_space()
        else:
            value = self._word(_plain_value)
            typed = looks_typed(value) and name not in FIELDS
        if not known:
            return Pair(name, Typed(value) if typed else Text(value))
        if name == "level" and parse_level(value) is None:
            raise QueryError(f"{value!r} is no level", start, f"levels are {_LEVELS}")
        return Field(name, Typed(value) if typed else Text(value))

    def _word(self, check: _Check) -> str:
        """A run of characters up to a space or the end of the group."""
        start = self._at
        opened = 0
        end = start
        for end in range(start, len(self._text)):
            character = self._text[end]
            if character.isspace():
                break
            if character == "(":
                opened += 1
            elif character == ")":
                opened -= 1
                if opened < 0 and self._groups:
                    break
        else:
            end = len(self._text)
        word = self._text[start:end]
        check(word, start)
        self._at = end
        self._skip_space()
        return word

    def _quoted(self) -> str:
        start = self._at
        parts: list[str] = []
        at = start + 1
        while at < len(self._text):
            character = self._text[at]
            if character == '"':
                self._at = at + 1
                return "".join(parts)
            if character == "\\" and self._text[at + 1 : at + 2] in ('"', "\\"):
                at += 1
                character = self._text[at]
            parts.append(character)
            at += 1
        raise QueryError("this quote is never closed", start, 'write \\" for a quote')

    def _skip_space(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _ended(self) -> bool:
        """At the end of the text or of the group."""
        if self._at == len(self._text):
            return True
        return self._text[self._at] == ")" and bool(self._groups)

    def _ended_word(self) -> bool:
        return self._ended() or self._text[self._at].isspace()

    def _sees(self, operator: str) -> bool:
        """Whether this operator stands here as a word of its own."""
        end = self._at + len(operator)
        if not self._text.startswith(operator, self._at):
            return False
        after = self._text[end : end + 1]
        return not after or after.isspace() or after in '()"'

    def _take(self, operator: str) -> bool:
        if not self._sees(operator):
            return False
        self._at += len(operator)
        self._skip_space()
        return True


_QUOTE_IT: Final = "to look for the text itself, write "


def _plain_word(word: str, position: int) -> None:
    if word == "|" or word[0] in "*~" or word[-1] == "*":
        raise QueryError(
            f"{word!r} is kept for an operator", position, _QUOTE_IT + quote(word)
        )


def _plain_value(value: str, position: int) -> None:
    if value[0] in _OPERATORS_TO_BE or value[-1] == "*":
        raise QueryError(
            f"{value!r} is kept for an operator", position, _QUOTE_IT + quote(value)
        )
