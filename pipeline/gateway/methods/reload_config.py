"""`reload_config`: every process reads its configuration anew."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from pipeline.gateway.errors import NOT_DONE
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.params import bind
from pipeline.gateway.reloading import Reloaded
from pipeline.gateway.services import Services


class ReloadParams(Struct, forbid_unknown_fields=True):
    """Nothing to say: each process knows its file."""


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Have all take it; one that doesn't says why it goes on by the old one."""
    del is_notification
    bind(params, ReloadParams)
    # some may take it though others don't
    services.audit("reload_config", "had the configuration read")
    return msgspec.json.encode(await services.reload())


METHOD = Method(
    name="reload_config",
    summary="All processes take what the configuration has now, where they can.",
    params=ReloadParams,
    result=Reloaded,
    errors=(NOT_DONE,),
    answer=answer,
)
