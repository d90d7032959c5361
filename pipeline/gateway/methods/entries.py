"""How an entry looks in calls and replies, shared by the methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from pipeline import limits
from pipeline.entry import Entry, entry_from_map
from pipeline.errors import EntryError
from pipeline.gateway.jsonrpc import nearest
from pipeline.gateway.lenient import FLAWS, find_flaw
from pipeline.gateway.repeats import repeats_key

ROW_BYTES: Final = 8 << 20
"""An entry as JSON: 1 MiB of message may take six characters a byte, and more is more
than an entry may have."""

Source = Annotated[
    str,
    Meta(description="The service it comes from: 1 to 256 bytes.", examples=["api"]),
]
LevelGiven = Annotated[
    str | int,
    Meta(
        description="TRACE, DEBUG, INFO (if none is given), WARN, ERROR, FATAL, a usual"
        " other name (warning, critical, err), or the number of syslog (0 to 7) or pino"
        " (10 to 60). An unknown one is kept in metadata.level_text and stored as INFO."
    ),
]
Message = Annotated[str, Meta(description="The text: at most 1 MiB.")]
Metadata = Annotated[
    dict[str, Any],
    Meta(
        description="Any JSON values by key: at most 1,024 keys, 256 KiB, 32 levels"
        " deep; integers of 64 bits."
    ),
]
Tags = Annotated[
    list[str], Meta(description="Words to find it by: at most 64 of 256 bytes.")
]
TraceId = Annotated[
    str, Meta(description="What entries of one request share: at most 256 bytes.")
]
TimeGiven = Annotated[
    str | int | float,
    Meta(
        description="ISO 8601, or seconds, milliseconds, microseconds or nanoseconds"
        " since 1970, told apart by size. If none is given: now."
    ),
]


class GivenEntry(Struct, kw_only=True, forbid_unknown_fields=True):
    """An entry as a caller gives it; only source and message are required.

    Also read: msg, severity, time, ts, @timestamp and traceId.
    """

    source: Source
    level: LevelGiven | None = "INFO"
    message: Message
    metadata: Metadata | None = None
    tags: Tags | None = None
    trace_id: TraceId | None = None
    timestamp: TimeGiven | None = None


class StoredEntry(Struct, kw_only=True):
    """An entry as replies have it; with `fields`, only the fields that were asked."""

    id: Annotated[str, Meta(description="Unique; sorts by time.")] | UnsetType = UNSET
    timestamp: (
        Annotated[str, Meta(description="ISO 8601, UTC, nine decimals.")] | UnsetType
    ) = UNSET
    source: str | UnsetType = UNSET
    level: (
        Annotated[str, Meta(description="TRACE DEBUG INFO WARN ERROR or FATAL.")]
        | UnsetType
    ) = UNSET
    message: str | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    trace_id: str | UnsetType | None = UNSET


def read_entry(text: Raw, now: int) -> Entry:
    """One entry of a call; raises EntryError."""
    size = len(memoryview(text))
    if size > ROW_BYTES:
        raise EntryError("entry", f"{size:,} bytes", f"at most {ROW_BYTES:,} bytes")
    try:
        fields = msgspec.json.decode(text)
    except FLAWS:
        place, problem, expected = find_flaw(text)
        raise EntryError(place or "entry", problem, expected) from None
    if repeats_key(text, fields):
        raise EntryError("entry", "a key stands twice", "each key once")
    return check_entry(fields, now)


def check_entry(fields: Any, now: int) -> Entry:
    """The entry that a decoded map is; raises EntryError."""
    if not isinstance(fields, dict):
        raise EntryError("entry", "not a map", "a map with source and message")
    return entry_from_map(fields, now, strict=True)


def nearest_field(error: EntryError, known: Sequence[str]) -> list[str]:
    """The fields that the caller may have meant by an unknown one."""
    is_known = error.field.partition(".")[0] in known
    return [] if is_known else nearest(error.field, known)


def decode_member(name: str, text: Raw) -> Any:
    """The value of one field; raises EntryError naming it."""
    if len(memoryview(text)) > ROW_BYTES:
        raise EntryError(name, "too big", f"at most {limits.MESSAGE_BYTES:,} bytes")
    try:
        value = msgspec.json.decode(text)
    except FLAWS:
        place, problem, expected = find_flaw(text)
        where = f"{name}.{place}" if place else name
        raise EntryError(where, problem, expected) from None
    if repeats_key(text, value):
        raise EntryError(name, "a key stands twice", "each key once")
    return value
