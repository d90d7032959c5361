"""Every question has the answer that one gets by looking at each entry in turn."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.entry import (
    LEVEL_NAMES,
    Level,
    entry_to_json,
    format_timestamp,
)
from pipeline.query.syntax import And, Node
from tests.query.oracle import Stored, around, find
from tests.query.stores import (
    STATES,
    Asker,
    Parts,
    append,
    blocks,
    ids,
    merge,
    settle,
    times,
    trees,
)

slow = settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
bounds = st.none() | times

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A file system in memory: making a database on a disk takes ten times as long."""


@contextmanager
def store(made: Sequence[Parts]) -> Iterator[tuple[Asker, list[Stored], Path]]:
    """A store of its own for each example, in one state or another."""
    state = STATES[sum(len(rows) for parts in made for _, rows in parts) % len(STATES)]
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "logs.db"
        stored = settle(path, append(path, made), state)
        yield Asker(path), stored, path


def window(low: int | None, high: int | None) -> dict[str, Any]:
    """The parameters for a window; times are given in full."""
    if low is not None and high is not None and low > high:
        low, high = high, low
    pairs = {"since": low, "until": high}
    return {k: format_timestamp(v) for k, v in pairs.items() if v is not None}


def expected(
    stored: list[Stored], tree: Node, low: int | None, high: int | None, order: str
) -> list[Stored]:
    if low is not None and high is not None and low > high:
        low, high = high, low
    return find(stored, tree, low, high, descending=order == "desc")


@slow
@given(
    blocks, trees, bounds, bounds, st.sampled_from(["asc", "desc"]), st.integers(1, 9)
)
def test_query(
    made: list[Parts],
    tree: Node,
    low: int | None,
    high: int | None,
    order: str,
    limit: int,
) -> None:
    """Pages have the matches in order, each once, and their exact number."""
    with store(made) as (asker, stored, _):
        pages = asker.pages(
            "query", q=str(tree), order=order, limit=limit, **window(low, high)
        )

    right = expected(stored, tree, low, high, order)
    assert [row.id for row in right] == ids(pages)
    assert {len(right)} == {page["count"] for page in pages}
    assert [page["returned"] for page in pages] == [len(p["logs"]) for p in pages]
    assert all(page["truncated"] for page in pages[:-1])
    assert not pages[-1]["truncated"]


@slow
@given(blocks, blocks, st.sampled_from(["asc", "desc"]), st.integers(1, 5))
def test_pages_while_entries_arrive(
    made: list[Parts], late: list[Parts], order: str, limit: int
) -> None:
    """What was there at the first page comes exactly once, and nothing newer."""
    with store(made) as (asker, stored, path):
        first = asker.ask("query", order=order, limit=limit)
        append(path, late, first=1000)
        pages = [first]
        while pages[-1]["next_cursor"]:
            merge(path, 0, 1 + len(pages))
            cursor = pages[-1]["next_cursor"]
            pages.append(asker.ask("query", order=order, limit=limit, cursor=cursor))

    assert [row.id for row in expected(stored, And(), None, None, order)] == ids(pages)
    assert {len(stored)} == {page["count"] for page in pages}


@slow
@given(blocks, trees, st.integers(0, 3), st.integers(1, 4), st.sampled_from("ad"))
def test_search_with_context(
    made: list[Parts], tree: Node, context: int, limit: int, first: str
) -> None:
    """Each hit comes with its neighbours of the same source, each entry once."""
    order = "asc" if first == "a" else "desc"
    with store(made) as (asker, stored, _):
        reply = asker.ask(
            "search", query=str(tree), context=context, limit=limit, order=order
        )

    hits = expected(stored, tree, None, None, order)[:limit]
    near = around(stored, hits, context)
    found = [log["id"] for log in reply["logs"]]
    flagged = [log["id"] for log in reply["logs"] if not log["context"]]
    assert [row.id for row in hits] == flagged
    assert sorted(near, reverse=order == "desc") == found
    assert len(hits) == reply["returned"]


@slow
@given(
    blocks,
    trees,
    bounds,
    bounds,
    st.sampled_from([1, 7, 60, 500]),
    st.sampled_from([None, "source", "level"]),
)
def test_stats(
    made: list[Parts],
    tree: Node,
    low: int | None,
    high: int | None,
    buckets: int,
    group_by: str | None,
) -> None:
    """Counts by source, level and bucket are those of the matches."""
    with store(made) as (asker, stored, _):
        reply = asker.ask(
            "get_stats",
            q=str(tree),
            buckets=buckets,
            group_by=group_by,
            **window(low, high),
        )

    right = [row.entry for row in expected(stored, tree, low, high, "desc")]
    errors = Counter(e.source for e in right if e.level >= Level.ERROR)
    by_source = Counter(e.source for e in right)
    levels = Counter(LEVEL_NAMES[e.level] for e in right)
    assert len(right) == reply["total_logs"]
    assert by_source == reply["by_source"]
    assert levels == {k: n for k, n in reply["by_level"].items() if n}
    assert reply["error_rate"] == (errors.total() / len(right) if right else 0)
    assert all(errors[top["source"]] == top["errors"] for top in reply["top_sources"])
    assert len(right) == sum(bucket["count"] for bucket in reply["buckets"])
    assert errors.total() == sum(bucket["errors"] for bucket in reply["buckets"])
    starts = [bucket["start"] for bucket in reply["buckets"]]
    assert len(starts) <= max(buckets, 7)
    within = Counter(
        max((s for s in starts if s <= format_timestamp(e.timestamp)), default="")
        for e in right
    )
    assert within == {b["start"]: b["count"] for b in reply["buckets"] if b["count"]}
    groups = {"source": by_source, "level": levels}.get(group_by or "")
    if groups is not None:
        assert groups == {g["key"]: g["count"] for g in reply["groups"]}


@slow
@given(blocks, blocks, trees, st.integers(1, 6))
def test_tail(made: list[Parts], more: list[Parts], tree: Node, limit: int) -> None:
    """The newest matches of the new blocks, oldest first; the others are counted."""
    with store(made) as (asker, _, path):
        start = asker.ask("tail", q=str(tree))
        fresh = append(path, more, first=1000)
        merge(path, len(made) // 2, len(made) + len(more) // 2)
        after = start["last_block"]
        reply = asker.ask("tail", q=str(tree), after_block=after, limit=limit)

    right = expected(fresh, tree, None, None, "asc")
    assert {"logs": [], "last_block": len(made), "missed": 0} == start
    assert [row.id for row in right[-limit:]] == ids([reply])
    assert max(0, len(right) - limit) == reply["missed"]
    assert len(made) + len(more) == reply["last_block"]


@slow
@given(blocks)
def test_entries_come_back_whole(made: list[Parts]) -> None:
    """Every entry is in the reply as it was stored."""
    with store(made) as (asker, stored, _):
        reply = asker.ask("query", order="asc")

    right = [
        json.loads(json.dumps(entry_to_json(row.entry, row.id)))
        for row in expected(stored, And(), None, None, "asc")
    ]
    assert right == reply["logs"]


@slow
@given(blocks, st.data())
def test_parameters(made: list[Parts], data: st.DataObject) -> None:
    """Each parameter beside the text is a condition, and all must hold."""
    sources = data.draw(st.lists(st.sampled_from(["api", "web\n1"]), max_size=2))
    levels = data.draw(st.lists(st.sampled_from(["info", "ERROR", 60]), max_size=2))
    lowest = data.draw(st.none() | st.sampled_from(["WARN", "error"]))
    tags = data.draw(st.lists(st.sampled_from(["err", "x"]), max_size=2))
    trace = data.draw(st.none() | st.sampled_from(["t-1", "ab" * 16]))
    with store(made) as (asker, stored, _):
        reply = asker.ask(
            "query",
            sources=sources,
            levels=levels,
            min_level=lowest,
            tags=tags,
            trace_id=trace,
        )

    names = {"info": "INFO", "ERROR": "ERROR", 60: "FATAL"}
    wanted = {names[level] for level in levels}
    floor = {None: 0, "WARN": Level.WARN, "error": Level.ERROR}[lowest]
    right = [
        row.id
        for row in expected(stored, And(), None, None, "desc")
        if (not sources or row.entry.source in sources)
        and (not wanted or LEVEL_NAMES[row.entry.level] in wanted)
        and row.entry.level >= floor
        and set(tags) <= set(row.entry.tags or [])
        and (trace is None or row.entry.trace_id == trace)
    ]
    assert right == ids([reply])
