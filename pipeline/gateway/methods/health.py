"""`health`: the state of every part."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from pipeline.gateway.health import HealthResult
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services


class HealthParams(Struct, forbid_unknown_fields=True):
    """Nothing to ask for."""


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """What the gateway knows."""
    del is_notification
    bind(params, HealthParams)
    return msgspec.json.encode(await services.report())


METHOD = Method(
    name="health",
    summary="The state of every part, and why it isn't ok.",
    params=HealthParams,
    result=HealthResult,
    errors=(),
    answer=answer,
)
