"""`get_stats`: how many entries, by source, level and time."""

from __future__ import annotations

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.replies import StatsReply
from pipeline.query.requests import StatsRequest


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker."""
    del is_notification
    return await services.pool.ask("get_stats", bind(params, StatsRequest))


METHOD = Method(
    name="get_stats",
    summary="Exact counts by source, level and time.",
    params=StatsRequest,
    result=StatsReply,
    errors=QUERY_ERRORS,
    answer=answer,
)
