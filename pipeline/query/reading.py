"""A search text as a parameter of a request: refused with its name and a caret."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pipeline.errors import QueryError
from pipeline.query.caret import caret
from pipeline.query.parser import parse, parse_entries, parse_query
from pipeline.query.pipes import Query
from pipeline.query.requests import FieldError
from pipeline.query.syntax import Node

_T = TypeVar("_T")


def read_filter(field: str, text: str) -> Node:
    """The tree of a text that may have no pipes; raises FieldError."""
    return _read(parse, field, text)


def read_entries(field: str, text: str) -> Query:
    """The filter and the stages of a text that may have no other pipes."""
    return _read(parse_entries, field, text)


def read_query(field: str, text: str) -> Query:
    """The filter and the pipes of a text; raises FieldError."""
    return _read(parse_query, field, text)


def _read(read: Callable[[str], _T], field: str, text: str) -> _T:
    try:
        return read(text)
    except QueryError as error:
        raise FieldError(
            field,
            error.problem,
            error.position,
            error.hint,
            None if error.position is None else caret(text, error.position),
        ) from None
