"""The numbers of the tools are those that a loop over plain entries counts.

In stores that are fresh, compacted, merged, and after deletions.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.entry import Entry
from pipeline.level import LEVEL_NAMES, Level
from pipeline.timestamp import format_timestamp
from tests.query.oracle import Stored
from tests.query.stores import states
from tests.tools.stores import HOUR, NOW, ToolAsker, asking

MOST = 50_000
SLOW = 1_000

durations = st.one_of(
    st.integers(0, 3_000),
    st.sampled_from([SLOW, 0.5, 1e9]),
    st.sampled_from(["9", True]),
)
metadata = st.fixed_dictionaries(
    {},
    optional={
        "duration_ms": durations,
        "path": st.sampled_from(["/a", "/b/1", "/b/2"]),
        "route": st.sampled_from(["/b/:id"]),
    },
)
entries = st.builds(
    Entry,
    st.integers(NOW - HOUR - 50, NOW - HOUR + 50)
    | st.integers(NOW - 2 * HOUR, NOW + 50)
    | st.sampled_from([NOW, NOW + 1]),
    st.sampled_from(["http_traffic", "database", "recursive_mcp", "api"]),
    st.sampled_from([1, 5, 9, 13, 17, 18, 21]),
    st.builds(
        "job {} {}".format, st.integers(0, 99), st.sampled_from(["failed", "ok"])
    ),
    metadata,
    st.lists(st.sampled_from(["http", "mcp", "ai"]), max_size=1),
    st.none(),
)
blocks = st.lists(
    st.lists(
        st.tuples(st.integers(0, 2), st.lists(entries, min_size=1, max_size=12)),
        min_size=1,
        max_size=2,
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=15, deadline=None)
@given(blocks)
def test_numbers_are_those_of_the_entries(made) -> None:
    """Counts, rates, percentiles and matches of every tool."""
    with TemporaryDirectory() as folder:
        for _, path, stored in states(Path(folder), made):
            asker = asking(path)
            rows = [s for s in stored if NOW - HOUR <= s.entry.timestamp <= NOW]
            found = [row.entry for row in rows]
            check_stats(asker, found)
            check_hours(asker, found)
            check_errors(asker, found)
            check_kinds(asker, found)
            check_search(asker, rows)
            check_performance(asker, found)
            check_session(asker, found)


def check_stats(asker: ToolAsker, found: Sequence[Entry]) -> None:
    """Totals by source and level."""
    reply = asker.ask("get_log_stats", NOW, max_tokens=MOST)

    assert reply["total_logs"] == len(found)
    assert reply["by_source"] == Counter(entry.source for entry in found)
    assert reply["by_level"] == Counter(LEVEL_NAMES[entry.level] for entry in found)
    assert reply["error_rate"] == rate(found)
    assert {e["source"]: e.get("errors", 0) for e in reply["top_sources"]} == {
        source: len(severe(entry for entry in found if entry.source == source))
        for source in reply["by_source"]
    }


def check_hours(asker: ToolAsker, found: Sequence[Entry]) -> None:
    """Totals by hour."""
    reply = asker.ask("get_log_stats", NOW, group_by="hour", max_tokens=MOST)

    assert reply["by_hour"] == Counter(hour(entry) for entry in found)
    assert reply["errors_by_hour"] == Counter(hour(entry) for entry in severe(found))


def check_errors(asker: ToolAsker, found: Sequence[Entry]) -> None:
    """Groups, and the sources and ends of each."""
    reply = asker.ask("get_recent_errors", NOW, minutes=60, max_tokens=MOST)
    errors = severe(found)

    assert reply["total_errors"] == reply["returned"] == len(errors)
    assert kinds(reply["errors"]) == Counter(kind(entry) for entry in errors)
    for each in reply["errors"]:
        own = [entry for entry in errors if kind(entry) == each["pattern"]]
        assert each["first"] == second(min(entry.timestamp for entry in own))
        assert each["last"] == second(max(entry.timestamp for entry in own))
        assert all(entry.source in each["sources"] for entry in own)


def check_kinds(asker: ToolAsker, found: Sequence[Entry]) -> None:
    """All kinds, and those that the hour before had not."""
    reply = asker.ask("list_patterns", NOW, query="failed", max_tokens=MOST)
    failed = [entry for entry in found if "failed" in entry.message]

    assert reply["total"] == reply["count"] == len(failed)
    assert kinds(reply["patterns"]) == Counter(kind(entry) for entry in failed)


def check_search(asker: ToolAsker, rows: Sequence[Stored]) -> None:
    """Matches, page by page, in their order."""
    asked: dict[str, Any] = {
        "query": "failed",
        "sources": ["api", "database"],
        "context": 0,
    }
    page = asker.ask("search_logs", NOW, **asked)
    listed = [line.rpartition("id=")[2] for line in page["matches"]]
    while page["cursor"]:
        page = asker.ask("search_logs", NOW, cursor=page["cursor"], **asked)
        listed += [line.rpartition("id=")[2] for line in page["matches"]]

    wanted = [
        row
        for row in rows
        if row.entry.source in asked["sources"] and "failed" in row.entry.message
    ]
    assert page["total_matches"] == len(wanted)
    assert page["sources_found"] == Counter(row.entry.source for row in wanted)
    newest_first = sorted(wanted, key=lambda row: row.key, reverse=True)
    assert listed == [row.id for row in newest_first]


def check_performance(asker: ToolAsker, found: Sequence[Entry]) -> None:
    """Slow ones, and percentiles of each path."""
    reply = asker.ask("analyze_performance", NOW, max_tokens=MOST)
    requests = [entry for entry in found if entry.source == "http_traffic"]
    queries = [entry for entry in found if entry.source == "database"]

    assert reply["summary"] == {
        "total_requests": len(requests),
        "slow_requests": len(slow(requests)),
        "total_queries": len(queries),
        "slow_queries": len(slow(queries)),
        "timerange": "1h",
    }
    assert sorted(reply["paths"]) == sorted(path_lines(requests))
    longest = [
        float(ms)
        for ms in re.findall(r"duration_ms=([^\s']+)", str(reply["slow_queries"]))
    ]
    assert longest == sorted(longest, reverse=True)


def check_session(asker: ToolAsker, found: Sequence[Entry]) -> None:
    """Parts by source or tag."""
    reply = asker.ask("debug_session", NOW, since="1h", max_tokens=MOST)

    assert reply["errors"]["total_errors"] == len(severe(found))
    assert reply["system_stats"]["total_logs"] == len(found)
    assert reply["system_stats"]["error_rate"] == rate(found)
    for part, source, tag in (
        ("http_traffic", "http_traffic", "http"),
        ("mcp_calls", "recursive_mcp", "mcp"),
        ("ai_analysis", "recursive_ai", "ai"),
    ):
        own = [entry for entry in found if entry.source == source or tag in entry.tags]
        assert reply[part]["total"] == len(own)


def severe(found) -> list[Entry]:
    return [entry for entry in found if entry.level >= Level.ERROR]


def slow(found: Sequence[Entry]) -> list[Entry]:
    return [
        entry for entry in found if (ms := number(entry)) is not None and ms >= SLOW
    ]


def rate(found: Sequence[Entry]) -> float:
    return round(len(severe(found)) / len(found), 6) if found else 0.0


def number(entry: Entry) -> float | None:
    """How long it took, if that is a number."""
    ms = (entry.metadata or {}).get("duration_ms")
    return ms if isinstance(ms, int | float) and not isinstance(ms, bool) else None


def kind(entry: Entry) -> str:
    return re.sub(r"\d+", "<*>", entry.message)


def kinds(listed: Sequence[Any]) -> dict[str, int]:
    return {each["pattern"]: each["count"] for each in listed}


def hour(entry: Entry) -> str:
    return format_timestamp(entry.timestamp)[:13]


def second(time: int) -> str:
    return format_timestamp(time)[:19] + "Z"


def path_lines(requests: Sequence[Entry]) -> list[str]:
    """What the tool writes of each route or path."""
    paths: dict[str, list[Entry]] = {}
    for entry in requests:
        fields = entry.metadata or {}
        path = fields.get("route") or fields.get("path")
        if path and "duration_ms" in fields:
            paths.setdefault(path, []).append(entry)
    return [path_line(path, own) for path, own in paths.items()]


def path_line(path: str, own: Sequence[Entry]) -> str:
    times = sorted(ms for entry in own if (ms := number(entry)) is not None)
    line = f"{path} n={len(own)} "
    if not times:
        return line
    ranks = [times[math.ceil(len(times) * share) - 1] for share in (0.5, 0.95, 0.99)]
    return line + " ".join(
        f"{name}={ms:g}ms"
        for name, ms in zip(
            ("p50", "p95", "p99", "max"), (*ranks, times[-1]), strict=True
        )
    )
