"""`get_stats`: how many entries, by source, level and time."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS, Window
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.requests import StatsRequest


class StatsResult(Struct, kw_only=True):
    """Exact counts of the entries that match."""

    total_logs: int
    by_source: dict[str, int]
    by_level: dict[str, int]
    error_rate: Annotated[
        float, Meta(description="Part of the entries that are ERROR or FATAL, 0 to 1.")
    ]
    top_sources: list[dict[str, Any]]
    buckets: Annotated[
        list[dict[str, Any]], Meta(description="Counts by time, oldest first.")
    ]
    window: Window
    took_ms: float


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker."""
    del is_notification
    return await services.pool.ask("get_stats", bind(params, StatsRequest))


METHOD = Method(
    name="get_stats",
    summary="Exact counts by source, level and time.",
    params=StatsRequest,
    result=StatsResult,
    errors=QUERY_ERRORS,
    answer=answer,
)
