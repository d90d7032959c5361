"""`list_patterns`: which kinds of messages there are, and what is new."""

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
from pipeline.tools.requests import KindsRequest
from pipeline.tools.snapshot import Snapshot, read, window_text
from pipeline.tools.text import NOTICE, clean

KINDS: Final = 60

_HINT: Final = "search_logs with words of a pattern shows its entries"
_NONE: Final = "nothing in this time: ask for a longer timerange, or describe_logs"
_COMPARE: Final = "compare_to, such as 1h, shows what is new and what is gone"


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> Reply:
    """Patterns, the most frequent first."""
    request = read(params, KindsRequest)
    asked = question("list_patterns", request)
    cursor = resumed(request.cursor, asked)
    snapshot = Snapshot(context, now, budget, cursor and cursor.mark)
    window = window_of(cursor) if cursor else snapshot.window(request.timerange)
    place = place_of(cursor)
    found = snapshot.ask(
        "patterns",
        **window,
        q=request.query,
        sources=request.sources,
        compare_to=None if cursor else request.compare_to,
        buckets=0,
        limit=min(place + KINDS, PATTERN_ROWS),
    )
    comparison = found.get("comparison")
    patterns = found["patterns"][place:]
    hints = unlisted(found, "entries", request.query or "*")
    hints += [_HINT] if comparison or cursor else [_HINT, _COMPARE]
    if not found["total"]:
        hints = [*reasons(snapshot, window, request.sources, q=request.query), _NONE]

    def build(detail: Detail) -> Reply:
        shown = patterns[: detail.rows]
        more = found["truncated"] or len(shown) < len(patterns)
        reply: Reply = {
            "notice": NOTICE,
            "total": found["total"],
            "patterns": [group(pattern, detail) for pattern in shown],
            "count": found["total"],
            "returned": sum(pattern["count"] for pattern in shown),
            "truncated": more,
            "cursor": cursor_at(asked, snapshot, window, place + len(shown))
            if more and shown
            else None,
            "window": window_text(window),
            "hints": hints,
        }
        if comparison:
            reply |= _changes(comparison, detail)
        return reply

    return fit(build, request.max_tokens)


def _changes(comparison: dict[str, Any], detail: Detail) -> Reply:
    """What is new, gone or changed, each as one line."""
    return {
        name: {
            "count": comparison[f"{name}_total"],
            "patterns": [
                f"{each['count']} now, {each['before']} before:"
                f" {clean(each['pattern'], min(detail.characters, 200))}"
                for each in comparison[name][: min(detail.rows, 20)]
            ],
        }
        for name in ("new", "vanished", "changed")
    }
