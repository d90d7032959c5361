"""What get_alerts asks and answers, as types. No numpy."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct

from pipeline.alerts.model import Alert, Silence
from pipeline.query.replies import Reply, TookMs, Unreadable

ALERTS_MAX: Final = 1_000
"""Of one reply: 5 KB each."""

AlertState = Annotated[
    Literal["open", "resolved", "all"], Meta(description="How the alert stands now.")
]
AlertSource = Annotated[
    str, Meta(description="Alerts that name this source; empty: all sources together.")
]
AlertSince = Annotated[
    str | int | float,
    Meta(
        description="Alerts that were open at or after this time, written as in "
        "`query`.",
        examples=["1d"],
    ),
]
AlertLimit = Annotated[
    int, Meta(ge=1, le=ALERTS_MAX, description="Alerts of the reply, the newest.")
]


class AlertsRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Alerts, newest first."""

    state: AlertState = "open"
    source: AlertSource | None = None
    since: AlertSince | None = None
    limit: AlertLimit = 100


class AlertsReply(Reply, frozen=True, kw_only=True):
    """Alerts as the entries of source `alerts` tell of them."""

    alerts: Annotated[list[Alert], Meta(description="The one that opened last first.")]
    count: Annotated[int, Meta(description="All that match.")]
    returned: int
    truncated: Annotated[bool, Meta(description="Whether the limit left some out.")]
    silences: Annotated[
        list[Silence], Meta(description="Those that have not ended, newest first.")
    ]
    undelivered: Annotated[
        int, Meta(description="Notices that a channel could not deliver.")
    ]
    malformed: Annotated[
        int, Meta(description="Entries of source `alerts` that are no events.")
    ]
    newest_commit: Annotated[
        int, Meta(description="Number of the last commit that this has seen.")
    ]
    took_ms: TookMs
    unreadable_blocks: Unreadable = UNSET
