"""What `query` and `search` answer, as types; the gateway documents them. No numpy."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from pipeline.query.explanations import ExplainReply
from pipeline.query.replies import Logs, Reply, TookMs, Unreadable, Window
from pipeline.query.tables import Table

Total = Annotated[
    int | None,
    Meta(description="All matches, on this and the other pages; null if not asked."),
]
Returned = Annotated[int, Meta(description="Hits on this page.")]
Truncated = Annotated[bool, Meta(description="Whether more pages follow.")]
NextCursor = Annotated[
    str | None, Meta(description="Parameter `cursor` of the next page, if any.")
]


class LogsReply(Reply, frozen=True, kw_only=True):
    """A page of entries, for `query` and `search`."""

    logs: Logs
    count: Total
    returned: Returned
    truncated: Truncated
    next_cursor: NextCursor
    window: Window
    took_ms: TookMs
    table: (
        Annotated[Table, Meta(description="What pipes made instead of entries.")]
        | UnsetType
    ) = UNSET
    explain: (
        Annotated[
            ExplainReply,
            Meta(description="As `explain` answers, of this very run; if asked."),
        ]
        | UnsetType
    ) = UNSET
    unreadable_blocks: Unreadable = UNSET
