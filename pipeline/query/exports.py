"""What `export` asks and what a worker answers page by page, as types. No numpy."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct

from pipeline.query.replies import Reply, Unreadable
from pipeline.query.requests import (
    Cursor,
    Fields,
    Levels,
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

PAGE_ROWS: Final = 10_000
PAGE_BYTES: Final = 4 << 20
"""A page of an export: what worker and gateway hold of it, however much follows."""

CSV_FIELDS: Final = (
    *("id", "timestamp", "source", "level", "message"),
    *("trace_id", "tags", "metadata"),
)
"""Columns of a CSV when no fields are asked for."""

Format = Annotated[
    Literal["ndjson", "csv"],
    Meta(
        description="`ndjson`: one entry a line, as `query` has them. `csv`: RFC 4180 "
        "with a header line; tags, metadata and what else is no text as JSON."
    ),
]
ExportLimit = Annotated[
    int, Meta(ge=1, description="Entries at most; without it all that match.")
]
Spreadsheet = Annotated[
    bool,
    Meta(
        description="Of CSV: put ' before values that a spreadsheet would take for a "
        "formula. It changes values, so a program that reads them should not ask."
    ),
]


class ExportRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All entries that match, as a file."""

    format: Format = "ndjson"
    q: Query | None = None
    sources: Sources | None = None
    levels: Levels | None = None
    min_level: MinLevel | None = None
    tags: Tags | None = None
    trace_id: TraceId | None = None
    since: Since | None = None
    until: Until | None = None
    timerange: TimeRange | None = None
    order: Order = "asc"
    fields: Fields | None = None
    limit: ExportLimit | None = None
    spreadsheet: Spreadsheet = False


class ExportPage(ExportRequest, frozen=True, forbid_unknown_fields=True):
    """A page of it: what the gateway asks a worker for, one after another."""

    cursor: Cursor | None = None
    check: bool = False
    """Only whether it can be asked: no lines."""


class ExportPart(Reply, frozen=True, kw_only=True):
    """Whole lines of the file; without a cursor the last ones."""

    text: str
    rows: int
    next_cursor: str | None
    unreadable_blocks: Unreadable = UNSET
