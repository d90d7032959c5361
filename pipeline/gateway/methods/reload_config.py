"""`reload_config`: the analyzer reads its configuration anew."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from pipeline.gateway.errors import NOT_DONE
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services


class ReloadParams(Struct, forbid_unknown_fields=True):
    """Nothing to say: each process knows its file."""


class ReloadResult(Struct):
    """It goes by the new configuration."""

    changed: Annotated[
        list[str], Meta(description="Keys whose values are others than before.")
    ]


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask the analyzer; it says why it goes on by the old one."""
    del is_notification
    bind(params, ReloadParams)
    done = await services.analyzer.give("reload", {})
    return msgspec.json.encode(ReloadResult(list(done["changed"])))


METHOD = Method(
    name="reload_config",
    summary="Thresholds, rules and channels of alerts as the configuration has them.",
    params=ReloadParams,
    result=ReloadResult,
    errors=(NOT_DONE,),
    answer=answer,
)
