"""`query`: entries that match a search text and filters, page by page."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from pipeline.gateway.errors import BUSY, TIME_LIMIT, WORKER_LOST
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.entries import StoredEntry
from pipeline.gateway.methods.method import Method
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.requests import QueryRequest

QUERY_ERRORS = (TIME_LIMIT, BUSY, WORKER_LOST)

Count = Annotated[
    int | None,
    Meta(description='Matches on all pages, exact; null with "count": "none".'),
]
NextCursor = Annotated[
    str | None, Meta(description="`cursor` for the next page; null on the last.")
]


class Window(Struct):
    """The time that was looked at, from `since` to before `until`; null is open."""

    since: str | None
    until: str | None


class QueryResult(Struct, kw_only=True):
    """A page of entries."""

    logs: list[StoredEntry]
    count: Count
    returned: Annotated[int, Meta(description="Entries of this page.")]
    truncated: Annotated[bool, Meta(description="Whether there are more.")]
    next_cursor: NextCursor
    window: Window
    took_ms: float


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker."""
    del is_notification
    return await services.pool.ask("query", bind(params, QueryRequest))


METHOD = Method(
    name="query",
    summary="Entries that match, newest first, page by page.",
    params=QueryRequest,
    result=QueryResult,
    errors=QUERY_ERRORS,
    answer=answer,
)
