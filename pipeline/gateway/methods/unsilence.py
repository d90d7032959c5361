"""`unsilence`: end a silence early."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from pipeline import alerts
from pipeline.gateway.errors import BUSY
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.acknowledge_alert import By, Comment, StoredEvent
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.silence import GivenMatcher, check_matcher
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services


class UnsilenceParams(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which silence."""

    matcher: GivenMatcher
    by: By
    comment: Comment = ""


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Store the event that ends it."""
    del is_notification
    asked = bind(params, UnsilenceParams)
    check_matcher(asked.matcher)
    entry = alerts.unsilenced(
        asked.matcher, asked.by, asked.comment, services.clock_ns()
    )
    return msgspec.json.encode(StoredEvent(await services.intake.store(entry)))


METHOD = Method(
    name="unsilence",
    summary="End a silence early.",
    params=UnsilenceParams,
    result=StoredEvent,
    errors=(BUSY,),
    answer=answer,
)
