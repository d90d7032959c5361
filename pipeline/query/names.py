"""Names in pipes: of fields and columns, bare or in quotes, alone and in lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

from pipeline.errors import QueryError
from pipeline.query.lexer import Lexer
from pipeline.query.syntax import METADATA

NAMES_MAX: Final = 64
"""Names in one list: fields, columns, keys to sort by."""

WORD: Final = re.compile(r"[^\s(),|]+")

_NAME: Final = re.compile(r"[^\W\d][\w.\-]*")

_T = TypeVar("_T")


def read_name(lexer: Lexer) -> str:
    """A field's or a column's name, and the space behind it."""
    start = lexer.at
    prefix = METADATA if lexer.take(f'{METADATA}"') else ""
    lexer.at -= bool(prefix)
    if lexer.peek() == '"':
        name = lexer.quoted()
        if not name and not prefix:
            raise QueryError("a name is missing between these quotes", start)
    else:
        found = _NAME.match(lexer.text, start)
        if found is None:
            raise QueryError(
                "a name is missing here", start, "odd names stand in quotes"
            )
        name = found.group()
        lexer.at = found.end()
    lexer.skip_space()
    return prefix + name


def read_list(lexer: Lexer, read: Callable[[Lexer], _T]) -> tuple[_T, ...]:
    """One or more, with commas between them."""
    start = lexer.at
    lexer.skip_space()
    found = [read(lexer)]
    while lexer.take(","):
        lexer.skip_space()
        found.append(read(lexer))
        if len(found) > NAMES_MAX:
            raise QueryError(f"more than {NAMES_MAX} names", start)
    return tuple(found)


def sees_word(lexer: Lexer, word: str) -> bool:
    """Whether this word stands here."""
    found = WORD.match(lexer.text, lexer.at)
    return found is not None and found.group() == word
