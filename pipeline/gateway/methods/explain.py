"""`explain`: how a question is understood, and what answering it takes."""

from __future__ import annotations

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.explanations import ExplainReply, ExplainRequest


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker."""
    del is_notification
    return await services.pool.ask("explain", bind(params, ExplainRequest))


METHOD = Method(
    name="explain",
    summary="How a question is understood, what it takes, and why nothing matches.",
    params=ExplainRequest,
    result=ExplainReply,
    errors=QUERY_ERRORS,
    answer=answer,
)
