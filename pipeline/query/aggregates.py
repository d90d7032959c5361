"""What `aggregate` asks and answers, as types. No numpy."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct

from pipeline.query.replies import Reply, TookMs, Unreadable, Window
from pipeline.query.requests import (
    QUERY_CHARACTERS,
    Levels,
    MinLevel,
    Since,
    Sources,
    Tags,
    TimeRange,
    TraceId,
    Until,
)
from pipeline.query.tables import Table

PipedQuery = Annotated[
    str,
    Meta(
        max_length=QUERY_CHARACTERS,
        description="A search text as in `query`, and behind `|` json, logfmt, extract "
        "and filter, then what to make of the entries that match: stats, histogram, "
        "top, patterns or uniq, then sort, limit and fields. Without one that makes a "
        "table: how many entries there are.",
        examples=["level:error | stats by (source) count(), p95(duration_ms)"],
    ),
]


class AggregateRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A table of the entries that match."""

    q: PipedQuery | None = None
    timerange: TimeRange | None = None
    sources: Sources | None = None
    levels: Levels | None = None
    min_level: MinLevel | None = None
    tags: Tags | None = None
    trace_id: TraceId | None = None
    since: Since | None = None
    until: Until | None = None


class AggregateReply(Reply, frozen=True, kw_only=True):
    """The table that the pipes make."""

    table: Table
    window: Window
    took_ms: TookMs
    unreadable_blocks: Unreadable = UNSET
