"""Pipes that read fields out of texts, and the pipe that keeps entries by them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pipeline.errors import QueryError
from pipeline.query.lexer import Lexer
from pipeline.query.names import WORD, read_list, read_name
from pipeline.query.pipe_names import resolve_field
from pipeline.query.stages import MESSAGE, SKIPPED, Extract, Json, Logfmt, Where
from pipeline.query.suggest import nearest
from pipeline.query.syntax import Node

CONDITIONS: Final = ("filter", "where")
"""What the pipe with a condition is called; it is printed as the first."""

PREFIX_CHARACTERS: Final = 64
PLACES_MAX: Final = 64
"""Placeholders of one pattern."""

_OPTIONS: Final = ("from", "fields", "prefix")
_NO_TEXTS: Final = frozenset({"tag", "level", "timestamp"})
_PLACEHOLDER: Final = re.compile(r"<([^<>]*)>")
_PLACE: Final = re.compile(r"_|[^\W\d][\w.\-]*")


def read_json(lexer: Lexer) -> Json:
    """`json`, and what it is told."""
    return Json(*_options(lexer))


def read_logfmt(lexer: Lexer) -> Logfmt:
    """`logfmt`, and what it is told."""
    return Logfmt(*_options(lexer))


def read_extract(lexer: Lexer) -> Extract:
    """`extract` with its pattern."""
    start = lexer.at
    if lexer.peek() != '"':
        raise QueryError(
            "extract needs a pattern in quotes", start, 'write extract "<ip> - <user>"'
        )
    found = Extract(lexer.quoted())
    lexer.skip_space()
    _check_pattern(found, start)
    if lexer.is_done() or lexer.peek() == "|":
        return found
    _refuse_option(lexer, ("from",), "extract")
    return Extract(found.pattern, _source(lexer))


def read_where(lexer: Lexer, read_condition: Callable[[], Node]) -> Where:
    """`filter` with its condition."""
    if lexer.is_done() or lexer.peek() == "|":
        raise QueryError(
            "a condition is missing here", lexer.at, "write filter status:>=500"
        )
    return Where(read_condition())


def _options(lexer: Lexer) -> tuple[str, tuple[str, ...], str]:
    """The field that is read, the wanted names, and what is put before each."""
    field, prefix = MESSAGE, ""
    names: tuple[str, ...] = ()
    left = list(_OPTIONS)
    while not lexer.is_done() and lexer.peek() != "|":
        option = _refuse_option(lexer, tuple(left), "json and logfmt")
        left.remove(option)
        if option == "from":
            field = _source(lexer)
        elif option == "fields":
            names = _wanted(lexer)
        else:
            prefix = _prefix(lexer)
    return field, names, prefix


def _refuse_option(lexer: Lexer, known: tuple[str, ...], pipes: str) -> str:
    """The option that stands here; raises QueryError for another word."""
    found = WORD.match(lexer.text, lexer.at)
    word = found.group() if found else lexer.peek()
    if word in known:
        return word
    near = nearest(word, known)
    takes = ", ".join(known) or "nothing more"
    raise QueryError(
        f"{word[:64]!r} can't stand here",
        lexer.at,
        f"write {near}" if near else f"{pipes} can take {takes} here",
    )


def _take_word(lexer: Lexer, word: str) -> None:
    lexer.at += len(word)
    lexer.skip_space()


def _source(lexer: Lexer) -> str:
    """`from field`."""
    _take_word(lexer, "from")
    start = lexer.at
    field = read_name(lexer)
    if resolve_field(field) in _NO_TEXTS:
        raise QueryError(
            f"{field} is no text to read fields from",
            start,
            "write from message, or a key of the metadata",
        )
    return field


def _wanted(lexer: Lexer) -> tuple[str, ...]:
    """`fields (a, b)`."""
    _take_word(lexer, "fields")
    if not lexer.take("("):
        raise QueryError("a ( is missing here", lexer.at, "write fields (a, b)")
    names = read_list(lexer, read_name)
    if not lexer.take(")"):
        raise QueryError("a ) is missing here", lexer.at, "write fields (a, b)")
    lexer.skip_space()
    return tuple(dict.fromkeys(names))


def _prefix(lexer: Lexer) -> str:
    """`prefix "x_"`."""
    _take_word(lexer, "prefix")
    start = lexer.at
    prefix = read_name(lexer)
    if len(prefix) > PREFIX_CHARACTERS:
        raise QueryError(
            f"a prefix of {len(prefix)} characters",
            start,
            f"at most {PREFIX_CHARACTERS}",
        )
    return prefix


def _check_pattern(extract: Extract, start: int) -> None:
    """Names between texts, of which at least one is wanted."""
    parts = extract.parts
    literals, places = parts[::2], parts[1::2]
    for place in places:
        if not _PLACE.fullmatch(place):
            raise QueryError(
                f"<{place[:64]}> is no placeholder",
                start,
                "a name stands in it, or _ for what is skipped; write &lt; for a <",
            )
    if any("<" in text for text in _PLACEHOLDER.split(extract.pattern)[::2]):
        raise QueryError("this < is never closed", start, "write &lt; for a < itself")
    if not set(places) - {SKIPPED}:
        raise QueryError(
            "the pattern has no name", start, 'write extract "<ip> - <user>"'
        )
    if len(places) > PLACES_MAX:
        raise QueryError(f"more than {PLACES_MAX} names in a pattern", start)
    if "" in literals[1:-1]:
        raise QueryError(
            "two names stand side by side", start, "there has to be a text between them"
        )
    named = [place for place in places if place != SKIPPED]
    if len(set(named)) < len(named):
        raise QueryError("a name stands twice in the pattern", start)
