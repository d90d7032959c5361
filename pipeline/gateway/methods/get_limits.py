"""`get_limits`: every limit of the API, and the setting that changes it."""

from __future__ import annotations

from msgspec import Struct

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.limits import LimitsResult
from pipeline.gateway.methods.method import Method
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services


class LimitsParams(Struct, forbid_unknown_fields=True):
    """Nothing to ask for."""


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """What the settings and the code say."""
    del is_notification
    bind(params, LimitsParams)
    return services.limits()


METHOD = Method(
    name="get_limits",
    summary="Every limit of the API with its value, and the setting that changes it.",
    params=LimitsParams,
    result=LimitsResult,
    errors=(),
    answer=answer,
)
