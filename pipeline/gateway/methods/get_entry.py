"""`get_entry`: one entry by its id, or a piece of a long field."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.entries import StoredEntry
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.lookups import EntryReply, EntryRequest


class EntryResult(EntryReply, frozen=True, kw_only=True):
    """An entry, or a piece of one of its fields."""

    log: Annotated[  # type: ignore[assignment]
        StoredEntry | None, Meta(description="The whole entry; null with `field`.")
    ]


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker."""
    del is_notification
    return await services.pool.ask("get_entry", bind(params, EntryRequest))


METHOD = Method(
    name="get_entry",
    summary="One entry by its id, or a piece of a long field.",
    params=EntryRequest,
    result=EntryResult,
    errors=QUERY_ERRORS,
    answer=answer,
)
