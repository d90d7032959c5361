"""`log`: one entry in, its id back once it is on disk."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from pipeline.errors import EntryError
from pipeline.gateway.errors import BUSY, wrong_entry, wrong_param
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.entries import (
    GivenEntry,
    check_entry,
    decode_member,
    nearest_field,
)
from pipeline.gateway.methods.method import Method
from pipeline.gateway.params import by_name
from pipeline.gateway.services import Services

Ack = Annotated[
    Literal["durable", "received"],
    Meta(
        description="`durable`: reply when the entry is on disk. `received`: reply at"
        " once, without an id; the entry is in memory and on its way."
    ),
]


class LogParams(GivenEntry, kw_only=True, forbid_unknown_fields=True):
    """One entry, and when to reply."""

    ack: Ack = "durable"


class LogResult(Struct):
    """The entry was taken."""

    status: Literal["received"]
    id: Annotated[
        str | None, Meta(description='Its id; null with "ack": "received".')
    ] = None


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Store one entry; a notification doesn't wait for the disk."""
    named = by_name(params, LogParams.__struct_encode_fields__)
    try:
        fields = {name: decode_member(name, text) for name, text in named.items()}
        ack = fields.pop("ack", "durable")
        row = check_entry(fields, services.clock_ns())
        services.principal.check_source(row.source)
    except EntryError as error:
        near = nearest_field(error, LogParams.__struct_encode_fields__)
        raise wrong_entry(error, **({"nearest": near} if near else {})) from None
    if ack not in ("durable", "received"):
        raise wrong_param("ack", f"{str(ack)[:60]!r}", '"durable" or "received"')
    if is_notification or ack == "received":
        services.intake.receive(row)
        return msgspec.json.encode(LogResult("received"))
    return msgspec.json.encode(LogResult("received", await services.intake.store(row)))


METHOD = Method(
    name="log",
    summary="Store one entry.",
    params=LogParams,
    result=LogResult,
    errors=(BUSY,),
    answer=answer,
)
