"""`rpc.discover`: the OpenRPC document, made from the types that check the calls."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services


class NoParams(Struct, forbid_unknown_fields=True):
    """Nothing to ask for."""


class Document(Struct):
    """An OpenRPC 1.3 document."""

    openrpc: str
    info: dict[str, Any]
    methods: list[dict[str, Any]]
    components: dict[str, Any]


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """The document."""
    del is_notification
    bind(params, NoParams)
    return services.document()


METHOD = Method(
    name="rpc.discover",
    summary="All methods with their params, results and errors, as OpenRPC.",
    params=NoParams,
    result=Document,
    errors=(),
    answer=answer,
)
