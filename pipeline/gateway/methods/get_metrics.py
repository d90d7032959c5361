"""`get_metrics`: how the pipeline is, in the numbers that tell most."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.gateway.watching.results import MetricsResult


class MetricsParams(Struct, forbid_unknown_fields=True):
    """Nothing to ask for."""


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """What the gateway knows at this moment."""
    del is_notification
    bind(params, MetricsParams)
    return msgspec.json.encode(await services.metrics())


METHOD: Method = Method(
    name="get_metrics",
    summary="Rates, response times, sizes, memory, heartbeats and lag.",
    params=MetricsParams,
    result=MetricsResult,
    errors=(),
    answer=answer,
)
