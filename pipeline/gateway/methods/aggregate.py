"""`aggregate`: tables of the entries that match."""

from __future__ import annotations

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.aggregates import AggregateReply, AggregateRequest


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker."""
    del is_notification
    return await services.pool.ask("aggregate", bind(params, AggregateRequest))


METHOD = Method(
    name="aggregate",
    summary="A table of the entries that match: stats, histogram, top, patterns, uniq.",
    params=AggregateRequest,
    result=AggregateReply,
    errors=QUERY_ERRORS,
    answer=answer,
)
