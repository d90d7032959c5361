"""get_trace: the whole trace's sums, and its entries with gaps."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.entry import Entry
from tests.query.oracle import Stored
from tests.query.stores import Asker, append, blocks, ids

TRACE = "ab" * 16


def step(time_ms: int, source: str, level: int = 9, **metadata: Any) -> Entry:
    """An entry of the trace."""
    return Entry(time_ms * 1_000_000, source, level, "m", metadata, [], TRACE)


def test_a_trace_over_three_sources(tmp_path: Path) -> None:
    """Gaps, durations, and what each source had of it."""
    rows = [
        step(100, "web"),
        step(130, "api", duration_ms=20.5),
        step(150, "db", 17, duration_ms="long"),
        step(150, "api", 21, duration_ms=50),
        step(400, "web", duration_ms=True),
    ]
    other = Entry(1, "web", 9, "m", {}, [], "t-1")
    append(tmp_path / "a.db", [[(0, [rows[4], rows[1]])], [(1, [*rows[2:4], other])]])
    append(tmp_path / "a.db", [[(2, rows[:1])]])
    reply = Asker(tmp_path / "a.db").ask("get_trace", trace_id=TRACE)

    assert (reply["count"], reply["errors"], reply["span_ms"]) == (5, 2, 300.0)
    assert [log["gap_ms"] for log in reply["logs"]] == [None, 30, 20, 0, 250]
    assert [log["offset_ms"] for log in reply["logs"]] == [0, 30, 50, 50, 300]
    assert [log.get("duration_ms") for log in reply["logs"]] == (
        [None, 20.5, None, 50, None]
    )
    assert [
        (one["source"], one["count"], one["errors"], one["offset_ms"], one["span_ms"])
        for one in reply["sources"]
    ] == [("web", 2, 0, 0, 300), ("api", 2, 1, 30, 20), ("db", 1, 1, 50, 0)]
    assert reply["first"] == "1970-01-01T00:00:00.100000000Z"


def test_the_limit_cuts_entries_and_not_sums(tmp_path: Path) -> None:
    """The oldest are returned, and the rest is said to be there."""
    append(tmp_path / "a.db", [[(0, [step(n, "api") for n in (5, 1, 9)])]])
    asker = Asker(tmp_path / "a.db")
    reply = asker.ask("get_trace", trace_id=TRACE, limit=2, fields=["message"])

    assert (reply["returned"], reply["truncated"], reply["count"]) == (2, True, 3)
    assert reply["span_ms"] == 8.0
    assert reply["logs"][1] == {"message": "m", "offset_ms": 4.0, "gap_ms": 4.0}


def test_an_unknown_trace(tmp_path: Path) -> None:
    """It has no entries."""
    append(tmp_path / "a.db", [[(0, [step(1, "api")])]])
    reply = Asker(tmp_path / "a.db").ask("get_trace", trace_id="x")

    assert (reply["count"], reply["logs"], reply["first"]) == (0, [], None)


@settings(deadline=None)
@given(blocks, st.sampled_from([TRACE, "t-1", "T-1", ""]), st.integers(1, 9))
def test_any_trace(rows: Any, trace_id: str, limit: int) -> None:
    """The entries that have it, in order, and sums that are theirs."""
    with TemporaryDirectory() as folder:
        stored = append(Path(folder) / "a.db", rows)
        asker = Asker(Path(folder) / "a.db")
        reply = asker.ask("get_trace", trace_id=trace_id, limit=limit)
    wanted: list[Stored] = sorted(
        (row for row in stored if trace_id and row.entry.trace_id == trace_id),
        key=lambda row: row.key,
    )
    times = [row.entry.timestamp for row in wanted]

    assert ids([reply]) == [row.id for row in wanted[:limit]]
    assert reply["count"] == len(wanted)
    assert reply["truncated"] == (len(wanted) > limit)
    assert [log["gap_ms"] for log in reply["logs"]][1:] == (
        [(b - a) / 1_000_000 for a, b in pairwise(times[:limit])]
    )
    assert {one["source"] for one in reply["sources"]} == (
        {row.entry.source for row in wanted}
    )
