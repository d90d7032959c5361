"""`get_alerts`: what is open, acknowledged and silenced."""

from __future__ import annotations

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.alerted import AlertsReply, AlertsRequest


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker."""
    del is_notification
    return await services.pool.ask("get_alerts", bind(params, AlertsRequest))


METHOD = Method(
    name="get_alerts",
    summary="Alerts as they stand, and the silences that hold.",
    params=AlertsRequest,
    result=AlertsReply,
    errors=QUERY_ERRORS,
    answer=answer,
)
