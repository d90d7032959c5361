"""`histogram`: Entries in each span of time, by the values of a field."""

from __future__ import annotations

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.overviews import HistogramReply, HistogramRequest


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker."""
    del is_notification
    return await services.pool.ask("histogram", bind(params, HistogramRequest))


METHOD = Method(
    name="histogram",
    summary="Entries in each span of time, by the values of a field.",
    params=HistogramRequest,
    result=HistogramReply,
    errors=QUERY_ERRORS,
    answer=answer,
)
