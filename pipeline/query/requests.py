"""What may be asked, as types: the gateway checks calls with them and documents them.

The worker gets the same maps. A parameter's meaning stands once, in the aliases below.
`FieldError` is a wrong value in one of them. No numpy here.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from pipeline.errors import QueryError

QUERY_CHARACTERS: Final = 16_384
"""Characters of a search text: a pasted stack trace fits."""

LIST_ITEMS: Final = 1_000
"""Values of one list parameter."""

PAGE_ROWS: Final = 10_000
"""Rows of a page at most."""

REPLY_BYTES: Final = 16 << 20
"""A page ends early beyond this: it is held whole by worker, gateway and client, and
by the worker three times, as rows, reply and frame."""

CONTEXT_ROWS: Final = 100
"""Context entries on each side of a hit at most."""

BUCKETS_MAX: Final = 10_000
"""Buckets of a histogram at most: more are no picture."""

FIELDS: Final = (
    *("id", "timestamp", "source", "level", "message"),
    *("metadata", "tags", "trace_id"),
)
"""Fields of an entry in a reply, in their order; `metadata.<key>` picks one key."""

_LANGUAGE: Final = (
    "What to look for: words (all of them must be there), "
    '"phrases", pre*, *sub*, /regex/, ="Exact Case", -not, OR, (groups), and '
    "field:value, field:>5, field:[1 TO 5], field:* for source, level, tag, "
    "trace_id, message, timestamp and keys of the metadata. Pasted text is words. "
    "Without it everything matches."
)
Query = Annotated[
    str,
    Meta(
        max_length=QUERY_CHARACTERS,
        description=_LANGUAGE,
        examples=[
            "timeout -level:debug",
            'source:api level:>=WARN "connection reset"',
            "duration_ms:>1000 path:/api/*",
        ],
    ),
]
PipedText = Annotated[
    str,
    Meta(
        max_length=QUERY_CHARACTERS,
        description=f"{_LANGUAGE} Behind | pipes: json, logfmt and extract for fields "
        "read out of texts, filter by these; fields, sort and limit for entries; "
        "stats, histogram, top, patterns and uniq for a table of them.",
        examples=[
            'source:api level:>=WARN "connection reset"',
            "level:error | fields timestamp, message, metadata.path",
            "duration_ms:>1000 | stats by (path) count(), p95(duration_ms)",
            "source:api | json | filter status:>=500 | top 10 path",
        ],
    ),
]
TailText = Annotated[
    str,
    Meta(
        max_length=QUERY_CHARACTERS,
        description=f"{_LANGUAGE} Behind | json, logfmt, extract, filter and fields.",
        examples=["level:error | fields timestamp, message"],
    ),
]
Sources = Annotated[
    list[str],
    Meta(max_length=LIST_ITEMS, description="Entries of any of these sources."),
]
Levels = Annotated[
    list[str | int],
    Meta(
        max_length=LIST_ITEMS,
        description="Entries of any of these levels: TRACE, DEBUG, INFO, WARN, ERROR, "
        "FATAL or a usual other name of one (warning, critical, err).",
    ),
]
MinLevel = Annotated[
    str | int, Meta(description="Entries of this level or a more severe one.")
]
Tags = Annotated[
    list[str],
    Meta(max_length=LIST_ITEMS, description="Entries that have all of these tags."),
]
TraceId = Annotated[str, Meta(description="Entries with exactly this trace id.")]
Since = Annotated[
    str | int | float,
    Meta(
        description="Entries at or after this time: ISO 8601, seconds, milliseconds, "
        "microseconds or nanoseconds since 1970, `now-1h`, or an age such as 30s, 5m, "
        "1h, 2d. Without it from the first entry.",
        examples=["1h", "2026-11-22T10:00:00Z"],
    ),
]
Until = Annotated[
    str | int | float,
    Meta(
        description="Entries before this time, written as `since` is. Without it to "
        "the last entry."
    ),
]
TimeRange = Annotated[
    str,
    Meta(
        description="How far back from now, instead of since and until.",
        examples=["30s", "5m", "1h", "2d"],
    ),
]
Limit = Annotated[int, Meta(ge=1, le=PAGE_ROWS, description="Entries of a page.")]
Cursor = Annotated[
    str,
    Meta(
        max_length=1_000,
        description="`next_cursor` of the page before. The other parameters must stay "
        "as they were, but for limit and fields.",
    ),
]
Order = Annotated[
    Literal["asc", "desc"],
    Meta(description="By (timestamp, producer, number): newest or oldest first."),
]
Fields = Annotated[
    list[str],
    Meta(
        max_length=LIST_ITEMS,
        description="Only these fields of each entry: id, timestamp, source, level, "
        "message, metadata, tags, trace_id, or metadata.<key> for one key.",
        examples=[["timestamp", "message", "metadata.user_id"]],
    ),
]
Count = Annotated[
    Literal["exact", "none"],
    Meta(
        description="`exact`: also count every match, on all pages. `none`: don't, "
        "for a page without the wait."
    ),
]
Context = Annotated[
    int,
    Meta(
        ge=0,
        le=CONTEXT_ROWS,
        description="Entries of the same source to add before and after each hit, "
        "flagged `context`.",
    ),
]
GroupBy = Annotated[
    Literal["source", "level", "minute", "hour", "day"],
    Meta(
        description="Also count by this, as `groups`. A unit of time (UTC) is the "
        "width of the buckets too."
    ),
]
Buckets = Annotated[
    int,
    Meta(
        ge=1,
        le=BUCKETS_MAX,
        description="About how many buckets over the window; their width is a round "
        "time.",
    ),
]
Explain = Annotated[
    bool,
    Meta(
        description="Also say how the question is understood, what answering it took "
        "and, when nothing matches, why: `explain`, as the method of that name has it."
    ),
]
AfterBlock = Annotated[
    int,
    Meta(ge=0, description="`last_block` of the reply before; none: start with now."),
]


class QueryRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Entries that match, newest first."""

    q: PipedText | None = None
    sources: Sources | None = None
    levels: Levels | None = None
    min_level: MinLevel | None = None
    tags: Tags | None = None
    trace_id: TraceId | None = None
    since: Since | None = None
    until: Until | None = None
    limit: Limit = 100
    cursor: Cursor | None = None
    order: Order = "desc"
    fields: Fields | None = None
    count: Count = "exact"
    explain: Explain = False


class SearchRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Entries that match, each with the entries around it."""

    query: PipedText | None = None
    timerange: TimeRange | None = None
    context: Context = 0
    sources: Sources | None = None
    levels: Levels | None = None
    min_level: MinLevel | None = None
    tags: Tags | None = None
    trace_id: TraceId | None = None
    since: Since | None = None
    until: Until | None = None
    limit: Limit = 100
    cursor: Cursor | None = None
    order: Order = "desc"
    fields: Fields | None = None
    count: Count = "exact"
    explain: Explain = False

    @property
    def q(self) -> str | None:
        """The search text, under the name that the other requests give it."""
        return self.query


class StatsRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Counts by source, level and time of the entries that match."""

    timerange: TimeRange | None = None
    group_by: GroupBy | None = None
    q: Query | None = None
    sources: Sources | None = None
    levels: Levels | None = None
    min_level: MinLevel | None = None
    tags: Tags | None = None
    trace_id: TraceId | None = None
    since: Since | None = None
    until: Until | None = None
    buckets: Buckets = 60


class TailRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Matches among the blocks that were committed after one, oldest first."""

    after_block: AfterBlock | None = None
    q: TailText | None = None
    sources: Sources | None = None
    levels: Levels | None = None
    min_level: MinLevel | None = None
    tags: Tags | None = None
    trace_id: TraceId | None = None
    limit: Limit = 1_000
    fields: Fields | None = None


class FieldError(QueryError):
    """A parameter has a value that can't be used; `field` is its name."""

    def __init__(
        self,
        field: str,
        problem: str,
        position: int | None = None,
        hint: str | None = None,
        caret: str | None = None,
    ) -> None:
        super().__init__(problem, position, hint)
        self.field = field
        self.caret = caret
        """Two lines: the text around the position, and a caret under it."""
