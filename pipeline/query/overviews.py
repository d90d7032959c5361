"""What histogram, facets, patterns and describe ask and answer, as types. No numpy."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from pipeline.query.replies import Reply, TookMs, Unreadable, Window
from pipeline.query.requests import (
    BUCKETS_MAX,
    Levels,
    MinLevel,
    Query,
    Since,
    Sources,
    Tags,
    TimeRange,
    TraceId,
    Until,
)

FACET_VALUES: Final = 1_000
"""Values of one facet at most."""

PATTERN_ROWS: Final = 1_000
"""Patterns of a reply at most."""

Interval = Annotated[
    str | float,
    Meta(
        description="Width of a bucket: a length of time such as 10s, 1m, 2h, or "
        "seconds. Without it one that gives about `buckets`.",
        examples=["1m"],
    ),
]
BucketsWanted = Annotated[
    int, Meta(ge=1, le=BUCKETS_MAX, description="About how many buckets.")
]
SplitBy = Annotated[
    str,
    Meta(
        max_length=512,
        description="A series for each value of this field: level, source, tag, "
        "trace_id, or a key of the metadata.",
        examples=["level"],
    ),
]


class HistogramRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How many entries match in each span of time."""

    q: Query | None = None
    interval: Interval | None = None
    buckets: BucketsWanted = 60
    by: SplitBy | None = None
    timerange: TimeRange | None = None
    sources: Sources | None = None
    levels: Levels | None = None
    min_level: MinLevel | None = None
    tags: Tags | None = None
    trace_id: TraceId | None = None
    since: Since | None = None
    until: Until | None = None


class HistogramSeries(Struct, frozen=True):
    """Entries in each bucket, of one value; null: of those without a value."""

    value: Any
    total: int
    counts: list[int]


class HistogramReply(Reply, frozen=True, kw_only=True):
    """Counts by span of time, zeros too."""

    total: Annotated[int, Meta(description="Entries that match.")]
    interval_seconds: float
    starts: Annotated[
        list[str], Meta(description="Where each bucket begins; in steps of interval.")
    ]
    series: Annotated[
        list[HistogramSeries],
        Meta(description="One of all entries, or by value, the largest first."),
    ]
    window: Window
    took_ms: TookMs
    unreadable_blocks: Unreadable = UNSET


ValuesWanted = Annotated[
    int, Meta(ge=1, le=FACET_VALUES, description="Values of each field.")
]


class FacetsRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The most frequent values of every field."""

    q: Query | None = None
    limit: ValuesWanted = 10
    timerange: TimeRange | None = None
    sources: Sources | None = None
    levels: Levels | None = None
    min_level: MinLevel | None = None
    tags: Tags | None = None
    trace_id: TraceId | None = None
    since: Since | None = None
    until: Until | None = None


class FacetValue(Struct, frozen=True):
    """A value and how many entries have it."""

    value: Any
    count: int


class Facet(Struct, frozen=True):
    """A field of the entries that match."""

    field: str
    count: Annotated[int, Meta(description="Entries with a value, null aside.")]
    distinct: Annotated[
        int | None,
        Meta(description="Different values; null where there are too many to count."),
    ]
    values: Annotated[list[FacetValue], Meta(description="The most frequent first.")]


class FacetsReply(Reply, frozen=True, kw_only=True):
    """Every field with its most frequent values."""

    total: Annotated[int, Meta(description="Entries that match.")]
    facets: Annotated[
        list[Facet],
        Meta(description="level, source, tag, then keys of metadata, frequent first."),
    ]
    truncated: Annotated[
        bool, Meta(description="Whether there are more fields than those here.")
    ]
    window: Window
    took_ms: TookMs
    unreadable_blocks: Unreadable = UNSET


PatternsWanted = Annotated[
    int, Meta(ge=1, le=PATTERN_ROWS, description="Patterns of the reply.")
]


class EarlierWindow(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A window to compare with."""

    since: Since | None = None
    until: Until | None = None


CompareTo = Annotated[
    str | EarlierWindow,
    Meta(
        description="An earlier window: a length of time, such as `1h`, is the window "
        "of that length that ends where this one begins; or a map of since and until.",
        examples=["1h", {"since": "2h", "until": "1h"}],
    ),
]
Trend = Annotated[
    int, Meta(ge=0, le=1_000, description="About how many buckets of each trend.")
]


class PatternsRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The most frequent patterns of messages."""

    q: Query | None = None
    limit: PatternsWanted = 20
    buckets: Trend = 30
    compare_to: CompareTo | None = None
    timerange: TimeRange | None = None
    sources: Sources | None = None
    levels: Levels | None = None
    min_level: MinLevel | None = None
    tags: Tags | None = None
    trace_id: TraceId | None = None
    since: Since | None = None
    until: Until | None = None


class Pattern(Struct, frozen=True, kw_only=True):
    """What messages of one kind have in common."""

    id: Annotated[str, Meta(description="16 hex digits.")]
    pattern: Annotated[str, Meta(description="`<*>` for each word with a digit.")]
    count: int
    share: Annotated[float, Meta(description="Of all entries that match, 0 to 1.")]
    first_seen: str
    last_seen: str
    trend: Annotated[list[int], Meta(description="Entries in each bucket.")]
    levels: dict[str, int]
    sources: Annotated[
        dict[str, int], Meta(description="Those with most entries, 20 at most.")
    ]
    sources_total: Annotated[int, Meta(description="Sources that have it.")]
    example: Annotated[
        Raw,
        Meta(description="Its newest entry; null where the reply would be too long."),
    ]


class PatternChange(Struct, frozen=True, kw_only=True):
    """A pattern in this window and in the one before."""

    id: str
    pattern: str
    count: int
    before: int
    change: Annotated[
        float | None,
        Meta(
            description="Entries a second in this window over those in the other one; "
            "null where there were none."
        ),
    ]


class Comparison(Struct, frozen=True, kw_only=True):
    """What differs from an earlier window; each list has `limit` patterns at most."""

    window: Window
    total: Annotated[int, Meta(description="Entries that matched then.")]
    patterns: Annotated[
        list[PatternChange], Meta(description="The patterns of the reply, in order.")
    ]
    new: Annotated[
        list[PatternChange], Meta(description="Not there then, the frequent first.")
    ]
    new_total: int
    vanished: Annotated[
        list[PatternChange],
        Meta(description="There then and not in this window, the frequent first."),
    ]
    vanished_total: int
    changed: Annotated[
        list[PatternChange],
        Meta(description="Twice as many a second, or half; the largest change first."),
    ]
    changed_total: int


class PatternsReply(Reply, frozen=True, kw_only=True):
    """Patterns, the most frequent first; exact for every entry."""

    total: Annotated[int, Meta(description="Entries that match.")]
    patterns: list[Pattern]
    truncated: Annotated[bool, Meta(description="Whether there are more patterns.")]
    bucket_seconds: float
    starts: Annotated[list[str], Meta(description="Where each bucket begins.")]
    comparison: Comparison | UnsetType = UNSET
    window: Window
    took_ms: TookMs
    unreadable_blocks: Unreadable = UNSET
