"""What describe asks and answers, as types. No numpy."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct

from pipeline.query.overviews import FacetValue
from pipeline.query.replies import Reply, TookMs, Unreadable

SOURCES_MAX: Final = 1_000
"""Sources of a reply."""

FIELDS_MAX: Final = 200
"""Fields of a reply."""

ValuesWanted = Annotated[
    int, Meta(ge=0, le=100, description="Most frequent values of each field.")
]


class DescribeRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is stored."""

    values: ValuesWanted = 5


class DescribedSource(Struct, frozen=True, kw_only=True):
    """A source; its times are to the minute: no entry is before first or after last."""

    source: str
    count: int
    first: str
    last: str


class DescribedField(Struct, frozen=True, kw_only=True):
    """A field of entries."""

    field: Annotated[str, Meta(description="level, source, tag, trace_id, metadata.*")]
    kinds: Annotated[
        list[str],
        Meta(description="text, integer, number, boolean; mixed: lists and maps."),
    ]
    count: Annotated[int, Meta(description="Entries that have it, null included.")]
    distinct: Annotated[
        int | None,
        Meta(description="Different values in the sample; null: too many, or none."),
    ]
    values: Annotated[
        list[FacetValue],
        Meta(description="The most frequent ones of the sample."),
    ]


class BlocksOfState(Struct, frozen=True, kw_only=True):
    """Blocks that are fresh, or compacted."""

    blocks: int = 0
    entries: int = 0
    bytes: int = 0


class DescribedBlocks(Struct, frozen=True, kw_only=True):
    """Blocks by state."""

    fresh: BlocksOfState
    compacted: BlocksOfState


class DescribeReply(Reply, frozen=True, kw_only=True):
    """Sources, fields, span and volume of all that is stored."""

    entries: int
    bytes: Annotated[int, Meta(description="Of all blocks, compressed as they are.")]
    bytes_per_entry: float | None
    oldest: Annotated[str | None, Meta(description="Timestamp of the oldest entry.")]
    newest: str | None
    newest_commit: Annotated[int, Meta(description="Number of it; 0 without any.")]
    blocks: DescribedBlocks
    levels: dict[str, int]
    sources: Annotated[
        list[DescribedSource], Meta(description="Those with most entries first.")
    ]
    sources_total: int
    fields: Annotated[
        list[DescribedField],
        Meta(description="level, source, tag, then those that most entries have."),
    ]
    fields_total: int
    uncounted: Annotated[
        int,
        Meta(
            description="Entries that may have fields beyond the counts: in fresh "
            "blocks beyond 32 MiB, or with keys too rare for a column. 0: all exact."
        ),
    ]
    sampled: Annotated[
        bool, Meta(description="Whether values are of some of the entries only.")
    ]
    sample_entries: Annotated[
        int, Meta(description="Entries of the newest blocks whose values were counted.")
    ]
    took_ms: TookMs
    unreadable_blocks: Unreadable = UNSET
