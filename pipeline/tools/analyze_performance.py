"""`analyze_performance`: slow requests and queries, and percentiles of each path.

Requests are entries of source http_traffic, queries those of source database; both have
`duration_ms`. Counts and percentiles are over all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pipeline.query.budget import Budget
from pipeline.query.methods.method import Context
from pipeline.tools.budget import Detail, Reply, fit
from pipeline.tools.paths import PATHS, PathRow, slowest_paths
from pipeline.tools.requests import PerformanceRequest
from pipeline.tools.rows import Log, lines, shared
from pipeline.tools.snapshot import Snapshot, Window, read, window_text
from pipeline.tools.text import NOTICE, clean

HTTP: Final = "http_traffic"
DATABASE: Final = "database"

SLOWEST: Final = 20

_NEXT: Final = "get_trace with a trace of a slow request shows where its time went"
_NONE: Final = (
    "no requests or queries with duration_ms in this time: ask for a longer timerange;"
    " describe_logs shows which sources there are"
)
_QUICK: Final = "nothing took threshold_ms: a lower one shows the slowest there were"
_CUT: Final = "a higher threshold_ms or a shorter timerange shows what was left out"
_TIMED: Final = f'source:="{HTTP}" duration_ms:*'


class Timed(NamedTuple):
    """Entries of a source: all, the slow ones, and the slowest of these."""

    total: int
    slow: int
    slowest: list[Log]


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> Reply:
    """Counts, the slowest of each, and paths by the time that they took."""
    request = read(params, PerformanceRequest)
    snapshot = Snapshot(context, now, budget)
    window = snapshot.window(request.timerange)
    least = request.threshold_ms
    requests = _read(snapshot, window, HTTP, least)
    queries = _read(snapshot, window, DATABASE, least)
    paths, hints = slowest_paths(snapshot, window, _TIMED, f"duration_ms:>={least}")
    stats = snapshot.ask("get_stats", **window, buckets=1)

    count = requests.slow + queries.slow

    def build(detail: Detail) -> Reply:
        slow = requests.slowest[: detail.rows]
        heavy = queries.slowest[: detail.rows]
        listed = paths[: min(detail.rows, PATHS)]
        returned = len(slow) + len(heavy)
        is_cut = returned < count or len(listed) < len(paths)
        return {
            "notice": NOTICE,
            "summary": {
                "total_requests": requests.total,
                "slow_requests": requests.slow,
                "total_queries": queries.total,
                "slow_queries": queries.slow,
                "timerange": request.timerange,
            },
            "slow_requests": _listed(slow, detail),
            "slow_queries": _listed(heavy, detail),
            "paths": [_path(row, detail) for row in listed],
            "stats": {
                "total_logs": stats["total_logs"],
                "error_rate": round(stats["error_rate"], 6),
            },
            "count": count,
            "returned": returned,
            "truncated": is_cut,
            "window": window_text(window),
            "hints": [
                *hints,
                *([_CUT] if is_cut else []),
                _next(count, requests.total + queries.total),
            ],
        }

    return fit(build, request.max_tokens)


def _next(slow: int, seen: int) -> str:
    """What to ask after so many slow ones of so many."""
    if slow:
        return _NEXT
    return _QUICK if seen else _NONE


def _read(snapshot: Snapshot, window: Window, source: str, least: int) -> Timed:
    """Entries of a source by how long they took, the longest first."""
    entries = f'source:="{source}"'
    counted = snapshot.ask("get_stats", q=entries, buckets=1, **window)
    found = snapshot.ask(
        "query",
        q=f"{entries} duration_ms:>={least} | sort duration_ms desc | limit {SLOWEST}",
        limit=SLOWEST,
        **window,
    )
    return Timed(counted["total_logs"], found["count"], found["logs"])


def _listed(logs: list[Log], detail: Detail) -> Reply | list[str]:
    """Slow ones as lines, with what they share before them."""
    if not logs:
        return []
    common = shared(logs, detail.characters)
    characters = min(detail.characters, 300)
    return [
        *([f"all: {_pairs(common)}"] if common else []),
        *lines(logs, common, characters),
    ]


def _pairs(common: Mapping[str, str]) -> str:
    return " ".join(f"{name}={text}" for name, text in common.items())


def _path(row: PathRow, detail: Detail) -> str:
    path, number, *times = row
    names = ("p50", "p95", "p99", "max")
    said = " ".join(
        f"{name}={time:g}ms"
        for name, time in zip(names, times, strict=True)
        if isinstance(time, int | float)
    )
    return f"{clean(str(path), min(detail.characters, 120))} n={number} {said}"
