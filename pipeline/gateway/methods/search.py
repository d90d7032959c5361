"""`search`: entries that match, with those around them."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.entries import StoredEntry
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.pages import LogsReply
from pipeline.query.requests import SearchRequest


class FoundEntry(StoredEntry, kw_only=True):
    """An entry that matches, or one beside it."""

    context: (
        Annotated[bool, Meta(description="Whether it only stands beside a match.")]
        | UnsetType
    ) = UNSET


class SearchResult(LogsReply, frozen=True, kw_only=True):
    """A page of entries with their context."""

    logs: Annotated[  # type: ignore[assignment]
        list[FoundEntry],
        Meta(description="Matches, in order, each among the entries around it."),
    ]


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker."""
    del is_notification
    return await services.pool.ask("search", bind(params, SearchRequest))


METHOD = Method(
    name="search",
    summary="Entries that match, each with the entries around it.",
    params=SearchRequest,
    result=SearchResult,
    errors=QUERY_ERRORS,
    answer=answer,
)
