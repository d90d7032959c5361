"""Requests whose search text may have pipes: the filter and the pipes apart."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from pipeline.query.aggregates import AggregateRequest
from pipeline.query.pipes import Query
from pipeline.query.reading import read_query
from pipeline.query.requests import QueryRequest, SearchRequest
from pipeline.query.syntax import And

Piped = TypeVar("Piped", QueryRequest, SearchRequest, AggregateRequest)


def split_pipes(request: Piped) -> tuple[Piped, Query]:
    """The request with the filter alone as its text, and all of the text.

    Raises FieldError.
    """
    name = "query" if isinstance(request, SearchRequest) else "q"
    text = getattr(request, name)
    if text is None:
        return request, Query(And(()))
    query = read_query(name, text)
    if not query.pipes:
        return request, query
    return msgspec.structs.replace(request, **{name: str(query.filter)}), query
