"""What `explain` asks and answers, as types. No numpy."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct

from pipeline.query.replies import Reply, TookMs, Unreadable, Window
from pipeline.query.requests import (
    Levels,
    Limit,
    MinLevel,
    Order,
    Query,
    Since,
    Sources,
    Tags,
    TimeRange,
    TraceId,
    Until,
)


class ExplainRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A question, not for its entries but for how it is answered."""

    q: Query | None = None
    sources: Sources | None = None
    levels: Levels | None = None
    min_level: MinLevel | None = None
    tags: Tags | None = None
    trace_id: TraceId | None = None
    since: Since | None = None
    until: Until | None = None
    timerange: TimeRange | None = None
    limit: Limit = 100
    order: Order = "desc"


class BlocksExplained(Struct, frozen=True):
    """Which blocks there are, and how many needed no look."""

    total: int
    pruned: Annotated[
        dict[str, int],
        Meta(
            description="Blocks without a match, by what tells so without opening them:"
            " time, level, source, level and source, patterns, filter."
        ),
    ]
    opened: int
    counted: Annotated[
        int,
        Meta(description="Not opened, because their headers tell how many match."),
    ]


class RowsExplained(Struct, frozen=True):
    """Entries."""

    total: Annotated[int, Meta(description="In the store.")]
    scanned: Annotated[int, Meta(description="In the blocks that were opened.")]
    matched: Annotated[
        int | None,
        Meta(description="Null when a limit stopped the question, or not counted."),
    ]


class StepExplained(Struct, frozen=True):
    """A step of the answer, in their order."""

    name: str
    ms: float


class NearValue(Struct, frozen=True):
    """A value that may have been meant, and entries of the window that have it."""

    value: str
    count: int | None


class ConditionExplained(Struct, frozen=True, kw_only=True):
    """One condition alone, within the same window."""

    condition: Annotated[
        str, Meta(description="As it is written, or the parameter's name and value.")
    ]
    count: Annotated[
        int | None,
        Meta(description="Entries that it alone has; null: a limit stopped counting."),
    ]
    nearest: list[NearValue]
    hint: str | None


class ExplainReply(Reply, frozen=True, kw_only=True):
    """How a question is understood, and what answering it takes."""

    query: Annotated[
        str | None,
        Meta(description="The search text as it was understood, written plainly."),
    ]
    meaning: Annotated[str, Meta(description="All that is asked, in words.")]
    window: Window
    blocks: BlocksExplained
    rows: RowsExplained
    bytes_read: int
    steps: list[StepExplained]
    stopped: Annotated[
        str | None, Meta(description="The limit that the question met, if any.")
    ]
    conditions: Annotated[
        list[ConditionExplained],
        Meta(description="Each condition alone, when nothing matches; else empty."),
    ]
    took_ms: TookMs
    unreadable_blocks: Unreadable = UNSET
