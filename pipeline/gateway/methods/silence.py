"""`silence`: hold back alerts that fit until a time."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from pipeline import alerts
from pipeline.alerts import SILENCE_DAYS, Matcher
from pipeline.errors import EntryError
from pipeline.gateway.errors import BUSY, wrong_param
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.acknowledge_alert import By, Comment, StoredEvent
from pipeline.gateway.methods.method import Method
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.timerange import parse_age
from pipeline.timestamp import format_timestamp, parse_timestamp

_LONGEST = SILENCE_DAYS * 86_400_000_000_000
_TIMES = "a length such as 2h as `for`, or a time as `until`"

GivenMatcher = Annotated[
    Matcher,
    Meta(
        description="What to hold back: source, detector, fingerprint; all that is "
        "given has to fit, `*` stands for any text.",
        examples=[{"source": "api-*"}],
    ),
]


class SilenceParams(Struct, kw_only=True, forbid_unknown_fields=True):
    """What, and how long."""

    matcher: GivenMatcher
    duration: Annotated[
        str | None,
        Meta(
            description=f"How long from now, {SILENCE_DAYS} days at most.",
            examples=["2h"],
        ),
    ] = field(name="for", default=None)
    until: Annotated[
        str | int | float | None, Meta(description="When it ends, instead of `for`.")
    ] = None
    by: By
    comment: Comment = ""


class SilenceResult(StoredEvent):
    """The silence is on disk."""

    silence: Annotated[
        str, Meta(description="Its own id: the same for the same matcher.")
    ]
    until: str


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Store the event."""
    del is_notification
    asked = bind(params, SilenceParams)
    now = services.clock_ns()
    check_matcher(asked.matcher)
    end = _end_of(asked, now)
    entry = alerts.silenced(asked.matcher, end, asked.by, asked.comment, now)
    stored = await services.intake.store(entry)
    return msgspec.json.encode(
        SilenceResult(stored, asked.matcher.id, format_timestamp(end))
    )


def check_matcher(matcher: Matcher) -> None:
    """Raises RpcError for one that would fit nothing."""
    if not any((matcher.source, matcher.detector, matcher.fingerprint)):
        expected = 'at least one of source, detector, fingerprint; "*" is any source'
        raise wrong_param("matcher", "says nothing", expected)


def _end_of(asked: SilenceParams, now: int) -> int:
    """Nanoseconds; raises RpcError."""
    if (asked.duration is None) == (asked.until is None):
        raise wrong_param("for", "given neither or beside `until`", _TIMES)
    if asked.duration is not None:
        length = parse_age(asked.duration.strip())
        if not length:
            raise wrong_param("for", f"{asked.duration[:60]!r} is no length", "90s, 2h")
        name, end = "for", now + length
    else:
        try:
            name, end = "until", parse_timestamp(asked.until, now)
        except EntryError as error:
            raise wrong_param("until", error.problem, error.expected) from None
    if not now < end <= now + _LONGEST:
        problem = f"ends {'too late' if end > now else 'in the past'}"
        raise wrong_param(name, problem, f"within {SILENCE_DAYS} days from now")
    return end


METHOD = Method(
    name="silence",
    summary="Hold back alerts that fit until a time; they are stored all the same.",
    params=SilenceParams,
    result=SilenceResult,
    errors=(BUSY,),
    answer=answer,
)
