"""What `delete` asks and answers, as types. No numpy."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct

from pipeline.query.replies import TookMs, Unreadable, Window
from pipeline.query.requests import (
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

DryRun = Annotated[
    bool, Meta(description="Only count what would go: true unless it is set to false.")
]
Confirm = Annotated[
    str,
    Meta(
        max_length=1_000,
        description="`confirm` of the dry run. The filter must be as it was there; "
        "what came since stays.",
    ),
]


class DeleteRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Which entries are to go; at least one condition."""

    q: Query | None = None
    sources: Sources | None = None
    levels: Levels | None = None
    min_level: MinLevel | None = None
    tags: Tags | None = None
    trace_id: TraceId | None = None
    since: Since | None = None
    until: Until | None = None
    timerange: TimeRange | None = None
    dry_run: DryRun = True
    confirm: Confirm | None = None


class DeletePlan(Struct, frozen=True, kw_only=True):
    """What would be deleted, from a worker."""

    count: int
    confirm: str
    mark: int
    """The newest commit that is meant."""
    now: int
    """What ages are counted from, ns."""
    window: Window
    took_ms: TookMs
    unreadable_blocks: Unreadable = UNSET
