"""`debug_session`: what happens right now, in one look at one moment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pipeline.query.budget import Budget
from pipeline.query.methods.method import Context
from pipeline.tools.budget import Detail, Reply, fit
from pipeline.tools.kinds import group
from pipeline.tools.requests import SessionRequest
from pipeline.tools.rows import Log, lines, shared
from pipeline.tools.snapshot import Answer, Snapshot, Window, read, window_text
from pipeline.tools.text import NOTICE, apart, clean

PARTS: Final = {
    "http_traffic": 'source:="http_traffic" OR tag:http',
    "mcp_calls": 'source:="recursive_mcp" OR tag:mcp',
    "ai_analysis": 'source:="recursive_ai" OR tag:ai',
}
"""What a reply has of which entries: a collector's source may have another name, its
tags stay."""

ERRORS: Final = 12
WARNINGS: Final = 8
NEWEST: Final = 8
ALIKE: Final = 2
"""Lines of a part that differ in digits alone: their kind is among the groups."""

LOOKED_AT: Final = 50
TRACES: Final = 3
STEPS: Final = 25

_DIGITS: Final = re.compile(r"[0-9a-fA-F]*[0-9][0-9a-fA-F]*")
_HINTS: Final = (
    "get_recent_errors looks further back; analyze_performance shows what is slow"
)
_TRACES: Final = "include_trace shows the logs of traces that failed"
_NONE: Final = "nothing in this time: ask for a longer one; describe_logs has the span"


def _hints(request: SessionRequest, errors: Answer, stats: Answer) -> list[str]:
    if not stats["total_logs"]:
        return [_NONE]
    has_traces = any(
        (pattern.get("example") or {}).get("trace_id") for pattern in errors["patterns"]
    )
    return [*([_TRACES] if has_traces and not request.include_trace else []), _HINTS]


class Part(NamedTuple):
    """Entries of one kind: how many, and those that are shown."""

    total: int
    logs: list[Log]


def answer(
    project: Mapping[str, str],
    context: Context,
    params: Mapping[str, Any],
    now: int,
    budget: Budget,
) -> Reply:
    """Errors and warnings by kind, then the newest of each part."""
    request = read(params, SessionRequest)
    snapshot = Snapshot(context, now, budget)
    window = snapshot.window(request.since, "since")
    stats = snapshot.ask("get_stats", **window, buckets=1)
    errors = snapshot.ask(
        "patterns", **window, min_level="ERROR", buckets=0, limit=ERRORS
    )
    warnings = snapshot.ask(
        "patterns", **window, levels=["WARN"], buckets=0, limit=WARNINGS
    )
    parts = {name: _part(snapshot, window, entries) for name, entries in PARTS.items()}
    traces = _traces(snapshot, errors["patterns"]) if request.include_trace else {}

    def build(detail: Detail) -> Reply:
        groups = errors["patterns"][: detail.rows]
        warned = warnings["patterns"][: detail.rows]
        listed = {name: _listed(part, detail) for name, part in parts.items()}
        is_cut = any(
            found["truncated"] or len(shown) < len(found["patterns"])
            for found, shown in ((errors, groups), (warnings, warned))
        )
        return {
            "notice": NOTICE,
            "session_info": {
                "project_name": project["name"],
                "project_type": project["type"],
                "since": request.since,
                "window": window_text(window),
                "sources": len(stats["by_source"]),
            },
            "errors": {
                "total_errors": errors["total"],
                "groups": [group(pattern, detail) for pattern in groups],
            },
            "warnings": {
                "total_warnings": warnings["total"],
                "groups": [group(pattern, detail) for pattern in warned],
            },
            **listed,
            "trace_logs": {
                clean(trace_id, 80): _steps(trace, detail)
                for trace_id, trace in traces.items()
            },
            "system_stats": _stats(stats, detail),
            "count": errors["total"] + warnings["total"],
            "returned": sum(pattern["count"] for pattern in (*groups, *warned)),
            "truncated": is_cut or any(part["truncated"] for part in listed.values()),
            "hints": _hints(request, errors, stats),
        }

    return fit(build, request.max_tokens)


def _part(snapshot: Snapshot, window: Window, entries: str) -> Part:
    """How many entries, and the newest of them: first those that warn."""
    counted = snapshot.ask("get_stats", q=entries, buckets=1, **window)
    total = counted["total_logs"]
    logs: list[Log] = []
    if total:
        asked = {"q": entries, "limit": LOOKED_AT, "count": "none", **window}
        logs = _varied(snapshot.ask("query", min_level="WARN", **asked)["logs"])
        if len(logs) < NEWEST:
            calm = ["TRACE", "DEBUG", "INFO"]
            logs += _varied(snapshot.ask("query", levels=calm, **asked)["logs"])
    return Part(total, logs[:NEWEST])


def _varied(logs: list[Log]) -> list[Log]:
    """A few of each kind, in their order."""
    seen = Counter[tuple[str, str]]()
    found = []
    for log in logs:
        kind = log["level"], _DIGITS.sub("", log["message"][:200])
        seen[kind] += 1
        if seen[kind] <= ALIKE:
            found.append(log)
    return found


def _listed(part: Part, detail: Detail) -> dict[str, Any]:
    shown = part.logs[: detail.rows]
    return {
        "total": part.total,
        "newest": _lines(shown, detail),
        "truncated": len(shown) < part.total,
    }


def _lines(logs: list[Log], detail: Detail) -> list[str]:
    shown = logs[: detail.rows]
    common = shared(shown, detail.characters)
    head = " ".join(f"{name}={text}" for name, text in common.items())
    characters = min(detail.characters, 300)
    return [*([f"all: {head}"] if head else []), *lines(shown, common, characters)]


def _steps(trace: Part, detail: Detail) -> list[str]:
    """The first steps, and how many more there are."""
    found = _lines(trace.logs, detail)
    more = trace.total - min(len(trace.logs), detail.rows)
    return [*found, f"{more} more: get_trace has them"] if more else found


def _stats(stats: dict[str, Any], detail: Detail) -> dict[str, Any]:
    return {
        "total_logs": stats["total_logs"],
        "error_rate": round(stats["error_rate"], 6),
        "by_level": {name: each for name, each in stats["by_level"].items() if each},
        "top_sources": apart(
            ((e["source"], e["count"]) for e in stats["top_sources"][: detail.rows]), 80
        ),
    }


def _traces(snapshot: Snapshot, patterns: list[dict[str, Any]]) -> dict[str, Part]:
    """The steps of the traces that the examples of errors belong to."""
    examples = (pattern.get("example") or {} for pattern in patterns)
    wanted = list(dict.fromkeys(e["trace_id"] for e in examples if e.get("trace_id")))
    found = {}
    for trace_id in wanted[:TRACES]:
        trace = snapshot.ask("get_trace", trace_id=trace_id, limit=STEPS)
        found[trace_id] = Part(trace["count"], trace["logs"])
    return found
