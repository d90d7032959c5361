"""`get_log_stats`: how many entries, of what, and how many of them are errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.query.budget import Budget
from pipeline.query.methods.method import Context
from pipeline.tools.budget import Detail, Reply, fit
from pipeline.tools.paging import cursor_at, place_of, question, resumed, window_of
from pipeline.tools.requests import CountsRequest
from pipeline.tools.snapshot import Answer, Snapshot, read, window_text
from pipeline.tools.text import NOTICE, apart, clean

SOURCES: Final = 10
"""Of a reply that is about hours."""

_CHARACTERS: Final = 80
_HOUR: Final = len("2026-11-22T10")
_NEXT: Final = "get_recent_errors shows what failed, list_patterns what is said"
_NONE: Final = "nothing in this time: describe_logs shows what there is"


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> Reply:
    """The counts: sources by their entries, or hours, the newest of them first."""
    request = read(params, CountsRequest)
    asked = question("get_log_stats", request)
    cursor = resumed(request.cursor, asked)
    snapshot = Snapshot(context, now, budget, cursor and cursor.mark)
    window = window_of(cursor) if cursor else snapshot.window(request.timerange)
    place = place_of(cursor)
    by_hour = request.group_by == "hour"
    found = snapshot.ask("get_stats", **window, group_by=request.group_by, buckets=1)
    sources = list(found["by_source"].items())
    listed = found["groups"][::-1] if by_hour else sources

    def build(detail: Detail) -> Reply:
        shown = listed[place:][: detail.rows]
        end = place + len(shown)
        more = end < len(listed)
        reply = {
            "notice": NOTICE,
            "total_logs": found["total_logs"],
            "error_rate": round(found["error_rate"], 6),
            "by_level": {n: each for n, each in found["by_level"].items() if each},
            "by_source": apart(sources[:SOURCES] if by_hour else shown, _CHARACTERS),
            "top_sources": _top(found, detail),
            "count": len(listed),
            "returned": len(shown),
            "truncated": more,
            "cursor": cursor_at(asked, snapshot, window, end)
            if more and shown
            else None,
            "window": window_text(window),
            "hints": _hints(found, more=more),
        }
        return reply | (_hours(shown) if by_hour else {})

    return fit(build, request.max_tokens)


def _top(found: Answer, detail: Detail) -> list[dict[str, Any]]:
    """The sources with most entries, and how many of them are errors."""
    return [
        {"source": clean(each["source"], _CHARACTERS), "count": each["count"]}
        | ({"errors": each["errors"]} if each["errors"] else {})
        for each in found["top_sources"][: detail.rows]
    ]


def _hours(shown: list[Answer]) -> Reply:
    """In the order of time."""
    hours = shown[::-1]
    return {
        "by_hour": {each["key"][:_HOUR]: each["count"] for each in hours},
        "errors_by_hour": {
            each["key"][:_HOUR]: each["errors"] for each in hours if each["errors"]
        },
    }


def _hints(found: Answer, *, more: bool) -> list[str]:
    if not found["total_logs"]:
        return [_NONE]
    return [*(["cursor has the rest"] if more else []), _NEXT]
