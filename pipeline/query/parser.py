"""Search text to tree: words, "phrases", -not, OR, (groups), field:value and pipes.

    query = [ "*" | expression ] { "|" pipe }
    expression = conjunction { "OR" conjunction }
    conjunction = term { [ "AND" ] term }
    term = ( "-" | "!" | "NOT" ) term | "(" expression ")"
         | [ field ":" ] ( condition | "(" expression of conditions ")" )

LANGUAGE.md is the manual. A word runs to the next space, or to the parenthesis that
closes its group, so pasted addresses, paths and stack trace lines are words. What is
neither a word nor understood is refused, with the position and a hint, so that no text
gets a meaning that nobody meant.
"""

from __future__ import annotations

from typing import Final

from pipeline.errors import QueryError
from pipeline.limits import NESTING
from pipeline.query.lexer import QUOTE_IT, Lexer
from pipeline.query.operands import apply_field, read_bare, read_value
from pipeline.query.pipe_parser import NO_PIPE, read_pipes, read_stages
from pipeline.query.pipes import Query
from pipeline.query.syntax import (
    FIELDS,
    METADATA,
    And,
    Node,
    Not,
    Text,
    all_of,
    any_of,
    quote,
)

TERMS_MAX: Final = 256
"""Conditions of one search: each costs a pass over the text of every block."""

_NO_NEGATION: Final = frozenset("-!=<>),;:|")
"""Behind a `-` or `!` these make it text: `->`, `--verbose`, `!=`."""


def parse(text: str) -> Node:
    """The tree of a filter; the empty text matches everything.

    Raises QueryError with the position (in characters) of what isn't understood.
    """
    parser = _parser(text)
    tree = parser.filter()
    if not parser.lexer.is_done():
        raise QueryError(NO_PIPE, parser.lexer.at, f"leave it out; {QUOTE_IT}")
    return tree


def parse_entries(text: str) -> Query:
    """The filter and the stages of a text, which may have no pipes behind them."""
    parser = _parser(text)
    return Query(parser.filter(), read_stages(parser.lexer, parser.stage))


def parse_query(text: str) -> Query:
    """The filter and the pipes of a text; raises QueryError as `parse` does."""
    parser = _parser(text)
    return Query(parser.filter(), read_pipes(parser.lexer, parser.stage))


def _parser(text: str) -> _Parser:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QueryError("a lone surrogate is no character", error.start) from None
    return _Parser(Lexer(text))


class _Parser:
    def __init__(self, lexer: Lexer) -> None:
        self.lexer = lexer
        self._terms = 0
        self._extracted = False
        """Whether any key may be one that was read: none is text then."""

    def stage(self, extracted: bool) -> Node:
        """The condition of a pipe."""
        self._extracted = extracted
        return self.filter()

    def filter(self) -> Node:
        """Up to the end of the text or the first pipe."""
        lexer = self.lexer
        lexer.skip_space()
        if lexer.peek_word() == "*":
            start = lexer.at
            lexer.at += 1
            lexer.skip_space()
            if self._is_ended():
                return And()
            lexer.at = start
        if self._is_ended():
            return And()
        return self._expression(0, None)

    def _is_ended(self) -> bool:
        """At the end of the filter or of the group."""
        if self.lexer.is_done():
            return True
        following = self.lexer.peek()
        return following == "|" or (following == ")" and self.lexer.groups > 0)

    def _expression(self, depth: int, field: str | None) -> Node:
        """Up to the end of the filter or of the group, which may be a field's."""
        alternatives = [self._conjunction(depth, field)]
        while self.lexer.take_operator("OR"):
            alternatives.append(self._conjunction(depth, field))
        return any_of(alternatives)

    def _conjunction(self, depth: int, field: str | None) -> Node:
        terms = [self._term(depth, field)]
        while not self._is_ended() and not self.lexer.sees("OR"):
            self.lexer.take_operator("AND")
            terms.append(self._term(depth, field))
        if self.lexer.peek(2) == "||":
            raise QueryError(
                "'||' is no operator", self.lexer.at, f"write OR; {QUOTE_IT}"
            )
        return all_of(terms)

    def _term(self, depth: int, field: str | None) -> Node:
        lexer = self.lexer
        if self._is_ended() or lexer.sees("OR") or lexer.sees("AND"):
            raise QueryError(
                "a search word is missing here",
                lexer.at,
                "to look for the word OR, AND or NOT itself, put it in quotes",
            )
        if depth > NESTING:
            raise QueryError(f"more than {NESTING} groups in one another", lexer.at)
        if lexer.take_operator("NOT") or self._takes_negation():
            return Not(self._term(depth + 1, field))
        if lexer.peek() == "(" and not self._is_empty_call():
            return self._group(depth + 1, field)
        found = self._condition(depth, field)
        lexer.skip_space()
        return found

    def _takes_negation(self) -> bool:
        """Go behind a `-` or `!` that excludes what follows."""
        lexer = self.lexer
        if lexer.peek() not in ("-", "!"):
            return False
        following = lexer.text[lexer.at + 1 : lexer.at + 3]
        excludes = following == '="' or following[:1] not in _NO_NEGATION
        if lexer.is_border(lexer.at + 1) or not excludes:
            return False
        lexer.at += 1
        return True

    def _is_empty_call(self) -> bool:
        return self.lexer.peek(2) == "()" and self.lexer.is_border(self.lexer.at + 2)

    def _group(self, depth: int, field: str | None) -> Node:
        lexer = self.lexer
        start = lexer.at
        lexer.groups += 1
        lexer.at += 1
        lexer.skip_space()
        inside = self._expression(depth, field)
        if lexer.peek() == "|":
            raise QueryError(
                "no pipe can stand within parentheses",
                lexer.at,
                f"write OR for either; {QUOTE_IT}",
            )
        if not lexer.take(")"):
            raise QueryError("this parenthesis is never closed", start, QUOTE_IT)
        lexer.groups -= 1
        lexer.skip_space()
        return inside

    def _condition(self, depth: int, field: str | None) -> Node:
        lexer = self.lexer
        self._terms += 1
        if self._terms > TERMS_MAX:
            raise QueryError(
                f"more than {TERMS_MAX} words", lexer.at, "quotes make it one phrase"
            )
        name = field if field is not None else lexer.key()
        if name is None:
            return read_bare(lexer)
        if self._extracted and name not in FIELDS and not name.startswith(METADATA):
            name = METADATA + name
        if field is None and lexer.is_border():
            return _without_value(name, lexer.at)
        if field is None and lexer.peek() == "(":
            self._terms -= 1
            return self._group(depth + 1, name)
        start = lexer.at
        return apply_field(name, read_value(lexer, name), start)


def _without_value(name: str, position: int) -> Text:
    """A key at the end of a word: text, as in `Error: failed`."""
    if name in FIELDS or name.startswith(METADATA):
        raise QueryError(
            f"{name}: needs a value right after the colon",
            position,
            f"to look for the text itself, write {quote(name + ':')}",
        )
    return Text(f"{name}:")
