"""Requests whose search text may have pipes: the filter and the pipes apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from pipeline.query.aggregates import AggregateRequest
from pipeline.query.pipes import Fields, Pipe, Query, resolve_field
from pipeline.query.reading import read_query
from pipeline.query.requests import (
    FieldError,
    QueryRequest,
    SearchRequest,
    TailRequest,
)
from pipeline.query.syntax import And

Piped = TypeVar(
    "Piped", bound=QueryRequest | SearchRequest | AggregateRequest | TailRequest
)


def split_pipes(request: Piped) -> tuple[Piped, Query]:
    """The request with the filter and the stages as its text, and all of the text.

    Raises FieldError.
    """
    name = "query" if isinstance(request, SearchRequest) else "q"
    text = getattr(request, name)
    if text is None:
        return request, Query(And(()))
    query = read_query(name, text)
    if not query.pipes:
        return request, query
    return msgspec.structs.replace(request, **{name: str(query.entries)}), query


def split_fields(request: TailRequest) -> TailRequest:
    """A request to tail: stages, and `| fields` at the end; raises FieldError."""
    request, query = split_pipes(request)
    for pipe in query.rest:
        if not isinstance(pipe, Fields):
            problem = f"new entries can't go through `{pipe}`"
            hint = "only json, logfmt, extract, filter and fields can stand here"
            raise FieldError("q", problem, hint=hint)
    picked = picked_fields(query.rest)
    if picked is None:
        return request
    return msgspec.structs.replace(request, fields=picked)


def picked_fields(pipes: Iterable[Pipe]) -> list[str] | None:
    """What `fields` leaves of each entry, as the parameter names it; None for all."""
    names: list[str] | None = None
    for pipe in pipes:
        if isinstance(pipe, Fields):
            names = [_parameter(name) for name in pipe.names]
    return names


def _parameter(name: str) -> str:
    if name in ("id", "metadata"):
        return name
    field = resolve_field(name)
    return "tags" if field == "tag" else field
