"""`query`: entries that match a search text and filters, page by page."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pipeline.gateway.errors import BUSY, TIME_LIMIT, WORKER_LOST
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.entries import StoredEntry
from pipeline.gateway.methods.method import Method
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.pages import LogsReply
from pipeline.query.requests import QueryRequest

QUERY_ERRORS = (TIME_LIMIT, BUSY, WORKER_LOST)


class QueryResult(LogsReply, frozen=True, kw_only=True):
    """A page of entries."""

    # the worker splices what it has as text; this says what it is
    logs: Annotated[  # type: ignore[assignment]
        list[StoredEntry], Meta(description="The page, in order.")
    ]


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
