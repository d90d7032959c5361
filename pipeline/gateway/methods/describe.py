"""`describe`: What is stored: sources, fields, span and volume."""

from __future__ import annotations

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.descriptions import DescribeReply, DescribeRequest


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker."""
    del is_notification
    return await services.pool.ask("describe", bind(params, DescribeRequest))


METHOD = Method(
    name="describe",
    summary="What is stored: sources, fields, span and volume.",
    params=DescribeRequest,
    result=DescribeReply,
    errors=QUERY_ERRORS,
    answer=answer,
)
