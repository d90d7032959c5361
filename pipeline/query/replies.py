"""What questions are answered with, as types; the gateway documents them. No numpy."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Logs = Annotated[
    list[Raw],
    Meta(
        description="Entries: id, timestamp (ISO 8601, UTC, nanoseconds), source, "
        "level, message, metadata, tags and trace_id (null without one); of `search` "
        "also context, true for an entry that only stands near a hit."
    ),
]
TookMs = Annotated[float, Meta(description="Time that the answer took.")]
Unreadable = Annotated[
    int | UnsetType,
    Meta(
        description="Damaged blocks, whose entries are missing here; left out if none."
    ),
]


class Reply(Struct, frozen=True, kw_only=True):
    """What is answered from the store and its archives."""

    unattached_archives: Annotated[
        int | UnsetType,
        Meta(
            description="Archives of storage.attach that can't be read, whose entries "
            "are missing here; left out if none."
        ),
    ] = UNSET


class Window(Struct, frozen=True):
    """The times that were searched, from since on and before until; null = open."""

    since: str | None
    until: str | None


class SourceCount(Struct, frozen=True):
    """Entries of a source, and how many of them are errors."""

    source: str
    count: int
    errors: int


class Bucket(Struct, frozen=True):
    """Entries from `start` on, for the width of a bucket."""

    start: str
    count: int
    errors: int


class Group(Struct, frozen=True):
    """Entries of one source, level or unit of time."""

    key: str
    count: int
    errors: int


class StatsReply(Reply, frozen=True, kw_only=True):
    """Counts; errors are entries of ERROR and FATAL."""

    total_logs: int
    by_source: dict[str, int]
    by_level: dict[str, int]
    error_rate: Annotated[float, Meta(description="Errors over all entries, 0 to 1.")]
    top_sources: Annotated[
        list[SourceCount], Meta(description="The ten with most entries.")
    ]
    bucket_seconds: float
    buckets: Annotated[
        list[Bucket], Meta(description="All of the window, empty ones too.")
    ]
    groups: Annotated[
        list[Group] | None, Meta(description="By what `group_by` asked for.")
    ]
    window: Window
    took_ms: TookMs
    unreadable_blocks: Unreadable = UNSET


class TailReply(Struct, frozen=True, kw_only=True):
    """New entries, oldest first."""

    logs: Logs
    last_block: Annotated[
        int, Meta(description="Parameter `after_block` of the next question.")
    ]
    missed: Annotated[
        int, Meta(description="Matches beyond the limit, older than those here.")
    ]
