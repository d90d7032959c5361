"""`patterns`: kinds of messages, their course, and what is new."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.entries import StoredEntry
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.overviews import Pattern, PatternsReply, PatternsRequest


class PatternResult(Pattern, frozen=True, kw_only=True):
    """What messages of one kind have in common."""

    example: Annotated[  # type: ignore[assignment]
        StoredEntry | None,
        Meta(description="Its newest entry; null where the reply would be too long."),
    ]


class PatternsResult(PatternsReply, frozen=True, kw_only=True):
    """Patterns, the most frequent first; exact for every entry."""

    patterns: list[PatternResult]  # type: ignore[assignment]


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker."""
    del is_notification
    return await services.pool.ask("patterns", bind(params, PatternsRequest))


METHOD = Method(
    name="patterns",
    summary="The most frequent patterns of messages, and what is new beside a window.",
    params=PatternsRequest,
    result=PatternsResult,
    errors=QUERY_ERRORS,
    answer=answer,
)
