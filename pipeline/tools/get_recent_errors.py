"""`get_recent_errors`: what failed, by kind of message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.query.budget import Budget
from pipeline.query.methods.method import Context
from pipeline.query.overviews import PATTERN_ROWS
from pipeline.tools.budget import Detail, Reply, fit
from pipeline.tools.kinds import group, unlisted
from pipeline.tools.nothing import reasons
from pipeline.tools.paging import cursor_at, place_of, question, resumed, window_of
from pipeline.tools.requests import ErrorsRequest
from pipeline.tools.snapshot import Snapshot, read, window_text
from pipeline.tools.text import NOTICE

GROUPS: Final = 40
"""Of one reply at most: further ones by cursor."""

_HINTS: Final = (
    "get_context with an id shows what came before; get_trace with a trace the request"
)
_NONE: Final = (
    "no errors in this time: ask for more minutes, or get_log_stats for what there is"
)


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> Reply:
    """Groups, the most frequent first."""
    request = read(params, ErrorsRequest)
    asked = question("get_recent_errors", request)
    cursor = resumed(request.cursor, asked)
    snapshot = Snapshot(context, now, budget, cursor and cursor.mark)
    window = window_of(cursor) if cursor else snapshot.window(f"{request.minutes}m")
    place = place_of(cursor)
    found = snapshot.ask(
        "patterns",
        **window,
        min_level="ERROR",
        sources=request.sources,
        buckets=0,
        limit=min(place + GROUPS, PATTERN_ROWS),
    )
    groups = found["patterns"][place:]
    hints = [*unlisted(found, "errors", "level:>=ERROR"), _HINTS]
    if not found["total"]:
        hints = [
            *reasons(snapshot, window, request.sources, min_level="ERROR"),
            _NONE,
        ]

    def build(detail: Detail) -> Reply:
        shown = groups[: detail.rows]
        more = found["truncated"] or len(shown) < len(groups)
        return {
            "notice": NOTICE,
            "total_errors": found["total"],
            "count": found["total"],
            "errors": [group(pattern, detail) for pattern in shown],
            "returned": sum(pattern["count"] for pattern in shown),
            "truncated": more,
            "cursor": cursor_at(asked, snapshot, window, place + len(shown))
            if more and shown
            else None,
            "window": window_text(window),
            "hints": hints,
        }

    return fit(build, request.max_tokens)
