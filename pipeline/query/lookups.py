"""What get_entry, get_context and get_trace ask and answer, as types. No numpy."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from pipeline.query.replies import Reply, TookMs, Unreadable
from pipeline.query.requests import PAGE_ROWS, Fields, Since, TraceId, Until

AROUND_ROWS: Final = 1_000
"""Entries before and after one at most."""

PIECE_CHARACTERS: Final = 1 << 20
"""Characters of a piece at most: a message has no more."""

EntryId = Annotated[
    str,
    Meta(
        description="`id` of an entry, as another reply has it.",
        examples=["aDda-1gPgmALY1zr6DBp4DZnQZRrm5PO----------3"],
    ),
]
EntryField = Annotated[
    str,
    Meta(
        max_length=512,
        description="Only this field, in pieces: message, source, level, trace_id, "
        "tags, metadata, or metadata.<key>. What is no text is read as JSON.",
        examples=["message", "metadata.stack"],
    ),
]
Offset = Annotated[
    int, Meta(ge=0, description="Of the field's piece: its first character.")
]
Length = Annotated[
    int,
    Meta(
        ge=1,
        le=PIECE_CHARACTERS,
        description="Of the field's piece: its characters at most.",
    ),
]
Before = Annotated[
    int, Meta(ge=0, le=AROUND_ROWS, description="Entries before it at most.")
]
After = Annotated[
    int, Meta(ge=0, le=AROUND_ROWS, description="Entries after it at most.")
]
Scope = Annotated[
    Literal["source", "all"],
    Meta(description="Neighbours of the same source, or of all sources."),
]
TraceLimit = Annotated[
    int,
    Meta(
        ge=1,
        le=PAGE_ROWS,
        description="Entries of the reply, the oldest; the sums are of all.",
    ),
]
TraceCursor = Annotated[
    str,
    Meta(max_length=1_000, description="With max_tokens: `cursor` of the last reply."),
]
LEAST_TOKENS: Final = 500
MOST_TOKENS: Final = 50_000
MaxTokens = Annotated[
    int,
    Meta(
        ge=LEAST_TOKENS,
        le=MOST_TOKENS,
        description="Most tokens of the reply; the tool of this name answers then.",
    ),
]


class EntryRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One entry, or a piece of one of its fields."""

    id: EntryId
    field: EntryField | None = None
    offset: Offset = 0
    length: Length = 65_536
    max_tokens: MaxTokens | None = None


class ContextRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The entries around one."""

    id: EntryId
    before: Before = 10
    after: After = 10
    scope: Scope = "source"
    fields: Fields | None = None
    max_tokens: MaxTokens | None = None


class TraceRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All entries that share a trace id."""

    trace_id: TraceId
    limit: TraceLimit = 1_000
    since: Since | None = None
    until: Until | None = None
    fields: Fields | None = None
    max_tokens: MaxTokens | None = None
    cursor: TraceCursor | None = None


class Piece(Struct, frozen=True):
    """A part of a field's text."""

    field: str
    text: str
    offset: int
    length: Annotated[int, Meta(description="Characters of `text`.")]
    total: Annotated[int, Meta(description="Characters of the whole field.")]
    next_offset: Annotated[
        int | None, Meta(description="`offset` of the next piece; null after the last.")
    ]


class EntryReply(Reply, frozen=True, kw_only=True):
    """The entry, or a piece of one of its fields; the other is null."""

    log: Annotated[Raw | None, Meta(description="The whole entry.")]
    piece: Piece | None
    took_ms: TookMs


class ContextReply(Reply, frozen=True, kw_only=True):
    """An entry among its neighbours, in time order."""

    logs: Annotated[
        list[Raw],
        Meta(description="The entry (`context` false) among those around it."),
    ]
    more_before: Annotated[bool, Meta(description="Whether older neighbours follow.")]
    more_after: Annotated[bool, Meta(description="Whether newer neighbours follow.")]
    took_ms: TookMs
    unreadable_blocks: Unreadable = UNSET


class TraceSource(Struct, frozen=True, kw_only=True):
    """What one source did in a trace."""

    source: str
    count: int
    errors: Annotated[int, Meta(description="Entries of ERROR and FATAL.")]
    first: str
    last: str
    span_ms: Annotated[float, Meta(description="From its first entry to its last.")]
    offset_ms: Annotated[
        float, Meta(description="From the trace's first entry to its own first.")
    ]


class Step(Struct, frozen=True, omit_defaults=True):
    """What an entry of a trace has beside its fields."""

    offset_ms: float
    gap_ms: float | None
    duration_ms: float | UnsetType = UNSET


class TraceReply(Reply, frozen=True, kw_only=True):
    """A trace in time order; counts and times are of all of it, whatever the limit."""

    trace_id: str
    count: Annotated[int, Meta(description="Entries of the trace.")]
    errors: int
    first: Annotated[str | None, Meta(description="Time of the first entry.")]
    last: str | None
    span_ms: Annotated[float, Meta(description="From the first entry to the last.")]
    sources: Annotated[
        list[TraceSource], Meta(description="The one that began first first.")
    ]
    logs: Annotated[
        list[Raw],
        Meta(
            description="Entries, oldest first, each with offset_ms (since the first), "
            "gap_ms (since the one before) and duration_ms if its metadata has it."
        ),
    ]
    returned: int
    truncated: Annotated[bool, Meta(description="Whether the limit left some out.")]
    took_ms: TookMs
    unreadable_blocks: Unreadable = UNSET
