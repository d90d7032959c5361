"""`facets`: The most frequent values of every field."""

from __future__ import annotations

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.overviews import FacetsReply, FacetsRequest


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker."""
    del is_notification
    return await services.pool.ask("facets", bind(params, FacetsRequest))


METHOD = Method(
    name="facets",
    summary="The most frequent values of every field.",
    params=FacetsRequest,
    result=FacetsReply,
    errors=QUERY_ERRORS,
    answer=answer,
)
