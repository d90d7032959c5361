"""`acknowledge_alert`: somebody has seen it; its updates are told to nobody."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from pipeline import alerts
from pipeline.alerts.model import TEXT_BYTES
from pipeline.gateway.errors import wrong_param
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.alerted import ALERTS_MAX, AlertsReply, AlertsRequest

By = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        description="Who does it, as others should read it.",
        examples=["ann"],
    ),
]
Comment = Annotated[
    str, Meta(max_length=TEXT_BYTES, description="Why, in a line for others.")
]


class AcknowledgeParams(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which alert, and who."""

    fingerprint: Annotated[
        str, Meta(description="Of an open alert, as `get_alerts` has it.")
    ]
    by: By
    comment: Comment = ""


class StoredEvent(Struct):
    """The event is on disk; the analyzer hears of it within a second."""

    id: Annotated[str, Meta(description="Of the entry of source `alerts`.")]


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Store the event, if there is such an alert."""
    del is_notification
    asked = bind(params, AcknowledgeParams)
    question = AlertsRequest(state="open", limit=ALERTS_MAX)
    body = await services.pool.ask("get_alerts", question)
    known = [
        one.fingerprint for one in msgspec.json.decode(body, type=AlertsReply).alerts
    ]
    if asked.fingerprint not in known:
        problem = f"no open alert has {asked.fingerprint[:60]!r}"
        expected = (
            f"one of {', '.join(known[:10])}" if known else "an alert that is open"
        )
        raise wrong_param("fingerprint", problem, expected)
    entry = alerts.acknowledged(
        asked.fingerprint, asked.by, asked.comment, services.clock_ns()
    )
    return msgspec.json.encode(StoredEvent(await services.intake.store(entry)))


METHOD = Method(
    name="acknowledge_alert",
    summary="Say that an open alert is seen: it is told no more until it ends.",
    params=AcknowledgeParams,
    result=StoredEvent,
    errors=QUERY_ERRORS,
    answer=answer,
)
