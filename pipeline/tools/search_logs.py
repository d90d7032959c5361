"""`search_logs`: entries that match, each among its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.entry import decode_id
from pipeline.query.budget import Budget
from pipeline.query.cursor import Cursor, encode_cursor
from pipeline.query.methods.method import Context
from pipeline.query.piped import split_pipes
from pipeline.query.plan import digest
from pipeline.query.reading import read_entries
from pipeline.query.requests import SearchRequest
from pipeline.tools.budget import Detail, Reply, fit
from pipeline.tools.nothing import reasons
from pipeline.tools.paging import cursor_after, question, resumed, window_of
from pipeline.tools.requests import FindRequest
from pipeline.tools.rows import Log, lines, shared
from pipeline.tools.snapshot import Answer, Snapshot, Window, read, window_text
from pipeline.tools.text import NOTICE, apart, clean

MATCHES: Final = 20
"""Of one reply at most."""

SOURCES: Final = 20
FEW_SOURCES: Final = 3

_NEXT: Final = "get_context with an id shows more around it, get_entry all of it"
_NONE: Final = (
    "nothing matches: ask for a longer timerange or fewer words; describe_logs has the"
    " names of sources and fields"
)


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> Reply:
    """Matches, the newest first; lines with · only stand near one."""
    request = read(params, FindRequest)
    read_entries("query", request.query)  # a table is no list of entries
    asked = question("search_logs", request)
    cursor = resumed(request.cursor, asked)
    snapshot = Snapshot(context, now, budget, cursor and cursor.mark)
    window = window_of(cursor) if cursor else snapshot.window(request.timerange)
    found = _page(snapshot, request, window, cursor)
    logs, total = found["logs"], found["count"]
    counted = snapshot.ask(
        "get_stats", q=request.query, sources=request.sources, buckets=1, **window
    )
    sources = list(counted["by_source"].items())
    hints = [_NEXT]
    if not total:
        hints = [
            *reasons(snapshot, window, request.sources, q=request.query),
            _NONE,
        ]

    def build(detail: Detail) -> Reply:
        shown = _first(logs, detail.rows)
        if not detail.samples:
            shown = [log for log in shown if not log["context"]]
        common = shared(shown, detail.characters)
        matches = [log for log in shown if not log["context"]]
        more = found["truncated"] or len(matches) < found["returned"]
        named = sources[: SOURCES if detail.samples else FEW_SOURCES]
        last = decode_id(matches[-1]["id"]) if more and matches else None
        return {
            "notice": NOTICE,
            "query": clean(request.query, min(200, detail.characters)),
            "timerange": request.timerange,
            "total_matches": total,
            "sources_found": apart(named, min(80, detail.characters)),
            "shared": common,
            "matches": lines(shown, common, detail.characters),
            "count": total,
            "returned": len(matches),
            "truncated": more,
            "cursor": last and cursor_after(asked, snapshot, window, last, total),
            "window": window_text(window),
            "hints": [
                *([f"{len(sources)} sources have matches"] if named != sources else []),
                *hints,
            ],
        }

    return fit(build, request.max_tokens)


def _page(
    snapshot: Snapshot, request: FindRequest, window: Window, cursor: Cursor | None
) -> Answer:
    """The matches that a reply can have; those after the cursor's entry."""
    asked: dict[str, Any] = {
        "query": request.query,
        "sources": request.sources,
        **window,
    }
    if cursor is not None:
        entries, _ = split_pipes(SearchRequest(**asked))
        asked["cursor"] = encode_cursor(cursor._replace(digest=digest(entries)))
    return snapshot.ask("search", context=request.context, limit=MATCHES, **asked)


def _first(logs: list[Log], matches: int) -> list[Log]:
    """So many matches, and what stands near them."""
    left = matches
    for at, log in enumerate(logs):
        if not log["context"]:
            left -= 1
            if left < 0:
                return logs[:at]
    return logs
