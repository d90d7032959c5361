"""What an alert is, as types; `pipeline/analyzer/ALERTS.md` is their page. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

VERSION: Final = 1
"""Of the fields; a reader leaves alone what has a greater one."""

SOURCE: Final = "alerts"
TAG: Final = "alert"

SAMPLES: Final = 5
SAMPLE_BYTES: Final = 500
"""Of a sample's message: enough to recognise it, the store has the rest."""
PATTERNS: Final = 5
SILENCE_DAYS: Final = 30
"""Longest of a silence that is ordered: so far back its entry is looked for."""
REASONS: Final = 20
SOURCES: Final = 100
"""Named in an entry: 200 sources that fail at once must not make it longer than it
may be; `sources_total` counts them all."""
TEXT_BYTES: Final = 1_000
"""Of what people and detectors write, such as a comment."""


class Kind(StrEnum):
    """What happened; the value is `metadata.event`."""

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    UNSILENCED = "unsilenced"
    UNDELIVERED = "undelivered"


Fingerprint = Annotated[
    str,
    Meta(
        description="16 hexadecimal digits of its first reason's detector, source and "
        "key: the same when the same thing happens again.",
        examples=["5f3c9a0b12de4477"],
    ),
]
Time = Annotated[str, Meta(description="ISO 8601, UTC.")]
Value = Annotated[
    float | None, Meta(description="What was counted or measured; null if infinite.")
]


class Sample(Struct, frozen=True):
    """One entry behind an alert."""

    id: str
    timestamp: str
    source: str
    level: str
    message: Annotated[str, Meta(description=f"Cut at {SAMPLE_BYTES} bytes.")]


class Pattern(Struct, frozen=True):
    """One shape of messages behind an alert, and how many have it."""

    pattern: str
    count: int


class Reason(Struct, frozen=True, kw_only=True):
    """One detector's finding; an alert is over when none is open any more."""

    detector: str
    source: Annotated[str, Meta(description="Empty: all sources together.")]
    key: str
    level: int
    text: str
    since: Time
    value: Value
    baseline: Value
    threshold: Value
    window: Annotated[int, Meta(description="Seconds.")]
    query: str
    open: bool


class Acknowledgement(Struct, frozen=True):
    """Somebody has seen it."""

    by: str
    comment: str
    at: Time


class Alert(Struct, frozen=True, kw_only=True):
    """An incident as it stands; what is said of its first reason stands beside all."""

    fingerprint: Fingerprint
    state: Annotated[str, Meta(description="open or resolved.")]
    detector: str
    sources: Annotated[
        list[str], Meta(description=f"{SOURCES} at most; empty text: all together.")
    ]
    sources_total: int
    level: Annotated[int, Meta(description="OpenTelemetry's severity, of the worst.")]
    text: Annotated[str, Meta(description="One line for people.")]
    since: Annotated[Time, Meta(description="When what it tells of began.")]
    opened: Time
    at: Annotated[Time, Meta(description="Of the event that said this last.")]
    resolved: Time | None = None
    value: Value
    baseline: Value
    threshold: Value
    window: Annotated[int, Meta(description="Seconds.")]
    reasons: Annotated[list[Reason], Meta(description=f"{REASONS} at most.")]
    query: Annotated[str, Meta(description="A filter that shows what is behind it.")]
    query_since: Time
    query_until: Time
    samples: list[Sample] = []
    patterns: list[Pattern] = []
    notified: Annotated[
        bool, Meta(description="Whether channels were told; not when it was silenced.")
    ] = True
    acknowledged: Acknowledgement | None = None


class Matcher(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a silence is about: all that is given fits; `*` is any text."""

    source: str | None = None
    detector: str | None = None
    fingerprint: str | None = None

    @property
    def id(self) -> str:
        """The same for the same matcher: silencing it again replaces its end."""
        return digest(self.source or "", self.detector or "", self.fingerprint or "")

    def matches(self, fingerprint: str, detector: str, source: str) -> bool:
        """Whether a reason of an alert is what this is about; an empty one is none."""
        wanted = (self.fingerprint, self.detector, self.source)
        pairs = [
            (pattern, value)
            for pattern, value in zip(
                wanted, (fingerprint, detector, source), strict=True
            )
            if pattern is not None
        ]
        return bool(pairs) and all(fits(pattern, value) for pattern, value in pairs)


class Silence(Struct, frozen=True, kw_only=True):
    """Alerts that fit it are kept, and told to nobody, before `until`."""

    id: str
    matcher: Matcher
    until: Time
    by: str
    comment: str
    at: Time


def fits(pattern: str, text: str) -> bool:
    """Whether the text is the pattern, where each `*` stands for any text.

    Searched from the left, part by part: a regex of many stars would take for ever.
    """
    first, *parts = pattern.split("*")
    if not parts:
        return pattern == text
    if not text.startswith(first):
        return False
    place, last = len(first), parts.pop()
    for part in parts:
        found = text.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return len(text) - place >= len(last) and text.endswith(last)


def digest(*parts: str) -> str:
    """16 hexadecimal digits of these texts."""
    joined = "\0".join(parts).encode("utf-8", "replace")
    return blake2b(joined, digest_size=8).hexdigest()


def cut(text: str, size: int) -> str:
    """The text, or as many whole characters as `size` bytes hold with an ellipsis."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= size:
        return encoded.decode()
    return encoded[: size - 3].decode("utf-8", "ignore") + "…"


def with_evidence(
    alert: Alert, samples: Sequence[Sample], patterns: Sequence[Pattern]
) -> Alert:
    """The alert with what the store had for it, within the bounds of an entry."""
    return msgspec.structs.replace(
        alert,
        samples=[
            msgspec.structs.replace(one, message=cut(one.message, SAMPLE_BYTES))
            for one in samples[:SAMPLES]
        ],
        patterns=[
            Pattern(cut(one.pattern, SAMPLE_BYTES), one.count)
            for one in patterns[:PATTERNS]
        ],
    )
