"""`get_context`: the entries before and after one."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.methods.search import FoundEntry
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.lookups import ContextReply, ContextRequest


class ContextResult(ContextReply, frozen=True, kw_only=True):
    """An entry among its neighbours, in time order."""

    logs: Annotated[  # type: ignore[assignment]
        list[FoundEntry],
        Meta(description="The entry (`context` false) among those around it."),
    ]


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker."""
    del is_notification
    return await services.pool.ask("get_context", bind(params, ContextRequest))


METHOD = Method(
    name="get_context",
    summary="The entries before and after one, of its source or of all.",
    params=ContextRequest,
    result=ContextResult,
    errors=QUERY_ERRORS,
    answer=answer,
)
