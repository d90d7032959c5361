"""`get_trace` with a budget: what all sources did for one trace id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.query.budget import Budget
from pipeline.query.lookups import TraceRequest
from pipeline.query.methods.method import Context
from pipeline.query.timerange import resolve_window
from pipeline.tools.budget import Detail, Reply, fit
from pipeline.tools.definitions import MAX_TOKENS
from pipeline.tools.paging import cursor_at, place_of, question, resumed, window_of
from pipeline.tools.rows import Log, line, moment, shared
from pipeline.tools.snapshot import Snapshot, Window, read
from pipeline.tools.text import NOTICE, clean

STEPS: Final = 300

_NEXT: Final = "offsets are ms since the first; get_entry with an id shows all of one"
_NONE: Final = "no entry has this trace_id: take it from another reply as it stands"


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> Reply:
    """The steps, the oldest first."""
    request = read(params, TraceRequest)
    asked = question("get_trace", request)
    cursor = resumed(request.cursor, asked)
    snapshot = Snapshot(context, now, budget, cursor and cursor.mark)
    window = window_of(cursor) if cursor else _window(request, now)
    place = place_of(cursor)
    found = snapshot.ask(
        "get_trace",
        trace_id=request.trace_id,
        limit=min(request.limit, place + STEPS),
        **window,
    )
    logs = found["logs"][place:]

    def page(returned: int) -> Reply:
        end = place + returned
        more = end < found["count"]
        can_go_on = more and returned and end < request.limit
        return {
            "count": found["count"],
            "returned": returned,
            "truncated": more,
            "cursor": cursor_at(asked, snapshot, window, end) if can_go_on else None,
            "hints": [_NEXT if found["count"] else _NONE],
        }

    def build(detail: Detail) -> Reply:
        shown = logs[: detail.rows]
        return trace(found, shown, detail) | page(len(shown))

    return fit(build, request.max_tokens or MAX_TOKENS)


def _window(request: TraceRequest, now: int) -> Window:
    low, high = resolve_window(request.since, request.until, None, now)
    return {"since": low, "until": high}


def trace(found: dict[str, Any], logs: list[Log], detail: Detail) -> Reply:
    """A trace and some of its steps."""
    common = shared(logs, detail.characters) | {"date": "", "trace_id": ""}
    return {
        "notice": NOTICE,
        "trace_id": clean(found["trace_id"], 256),
        "errors": found["errors"],
        "first": moment(found["first"]),
        "span_ms": round(found["span_ms"], 3),
        "sources": [
            f"{clean(each['source'], 60)}: {each['count']} entries,"
            f" {each['errors']} errors, at {each['offset_ms']:g} ms for"
            f" {each['span_ms']:g} ms"
            for each in found["sources"][: min(20, detail.rows)]
        ],
        "shared": {name: text for name, text in common.items() if text},
        "steps": [_step(log, common, detail.characters) for log in logs],
    }


def _step(log: Log, common: dict[str, str], characters: int) -> str:
    """Its offset in place of its time, and the gap before it where that is long."""
    text = line(log, common, characters)
    _, _, rest = text.partition(" ")
    gap = log.get("gap_ms")
    waited = f" (after {gap:g} ms)" if gap and gap >= 100 else ""
    return f"+{log['offset_ms']:g}{waited} {rest}"
