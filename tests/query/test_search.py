"""What a search opens, how it ends, and its replies' details."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.entry import Entry
from pipeline.errors import QueryError
from pipeline.query.answer import Limits
from pipeline.query.budget import Budget, CancelledError, CostError
from pipeline.query.methods import query
from pipeline.query.requests import FieldError
from pipeline.query.stats import choose_buckets
from tests.query.stores import MINUTE, Asker, append, ids

SECOND = 1_000_000_000


def entry(number: int, **changes: Any) -> Entry:
    """An entry at that many seconds."""
    made = Entry(number * SECOND, "api", 9, f"message {number}", {}, [], None)
    return made._replace(**changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs.db"


@pytest.fixture
def hours(path: Path) -> Asker:
    """Ten blocks of ten minutes each, an entry a second."""
    append(path, [[(0, list(map(entry, range(n, n + 600))))] for n in steps()])
    return Asker(path)


def steps() -> Iterator[int]:
    return iter(range(0, 6000, 600))


def opened(asker: Asker, method: str, **params: Any) -> int:
    """How many blocks the question opens."""
    budget = asker.engine.budget()
    asker.engine.answer(method, params, 0, budget)
    return budget.blocks


@pytest.mark.parametrize(
    ("blocks", "method", "params"),
    [
        (1, "query", {}),
        (1, "query", {"order": "asc"}),
        (2, "query", {"limit": 601}),
        (1, "query", {"q": "message", "count": "none"}),
        (10, "query", {"q": "message"}),
        (1, "query", {"sources": ["api"]}),
        (1, "query", {"q": "-level:error source:api"}),
        (0, "query", {"q": "level:error"}),
        (0, "query", {"q": "level:error missing", "min_level": "debug"}),
        (0, "query", {"since": 7000}),
        (2, "query", {"since": 300, "until": 900}),
        (2, "query", {"q": "message", "since": 300, "until": 900}),
        (1, "query", {"q": "5999", "since": 5990}),
        (1, "search", {"context": 5, "limit": 10}),
        (0, "get_stats", {}),
        (0, "get_stats", {"sources": ["api"], "group_by": "hour"}),
        (2, "get_stats", {"since": 300, "until": 4500}),
        (10, "get_stats", {"buckets": 1000}),
        (10, "get_stats", {"q": "message"}),
    ],
)
def test_blocks_opened(
    hours: Asker, blocks: int, method: str, params: dict[str, Any]
) -> None:
    """Only blocks are opened whose headers don't tell, and none after a full page."""
    assert blocks == opened(hours, method, **params)


def test_newer_page_is_not_opened(hours: Asker) -> None:
    """A later page opens only its own blocks, and doesn't count again."""
    first = hours.ask("query", q="message", limit=600)
    assert first["count"] == 6000

    assert (
        opened(hours, "query", q="message", limit=1, cursor=first["next_cursor"]) == 2
    )


def test_window(path: Path) -> None:
    """The reply says what was searched: from since on, before until."""
    append(path, [[(0, list(map(entry, range(10))))]])
    reply = Asker(path).ask("query", since="1970-01-01T00:00:03", until=5, order="asc")

    assert [log["message"] for log in reply["logs"]] == ["message 3", "message 4"]
    assert reply["window"] == {
        "since": "1970-01-01T00:00:03.000000000Z",
        "until": "1970-01-01T00:00:05.000000000Z",
    }
    assert Asker(path).ask("query")["window"] == {"since": None, "until": None}


def test_relative_window_stays(path: Path) -> None:
    """A page's window is the first one's, however much later it is asked for."""
    append(path, [[(0, list(map(entry, range(10))))]])
    asker = Asker(path)
    first = asker.ask("query", now=10 * SECOND, since="5s", limit=2)
    cursor = first["next_cursor"]
    second = asker.ask("query", now=99 * SECOND, since="5s", cursor=cursor)

    assert (first["count"], len(second["logs"])) == (5, 3)
    assert first["window"] == second["window"]


def test_fields(path: Path) -> None:
    """Only the wanted fields come, in the usual order; keys that are absent don't."""
    metadata = {"a": {"b": 1}, "c.d": [2], "e": float("nan")}
    append(path, [[(0, [entry(1, metadata=metadata, tags=["x"]), entry(2)])]])
    asker = Asker(path)

    def fields(*names: str) -> Any:
        return asker.ask("query", fields=names)["logs"]

    assert fields("message") == [{"message": "message 2"}, {"message": "message 1"}]
    assert fields("tags", "level")[1] == {"level": "INFO", "tags": ["x"]}
    assert fields("metadata.e")[1] == {"metadata": {"e": "NaN"}}
    assert fields("metadata.a.b", "metadata.c.d", "metadata.x")[1] == {
        "metadata": {"a.b": 1, "c.d": [2]}
    }
    assert fields("metadata.e")[0] == {"metadata": {}}
    assert {"metadata": metadata | {"e": "NaN"}} == fields("metadata")[1]


def test_many_keys(path: Path) -> None:
    """Keys that share a column, because there are too many, are found as others."""
    wide = {f"key{number}": f"value {number}" for number in range(300)}
    append(path, [[(0, [entry(1), entry(2, metadata=wide | {"n": {"m": 7}})])]])
    asker = Asker(path)

    def count(q: str) -> int:
        return int(asker.ask("query", q=q)["count"])

    assert 1 == count("metadata.key299:299") == count("key0:value") == count("299")
    assert 1 == count("metadata.n.m:7.0") == count("n.m:7")
    assert 0 == count("metadata.key299:298") == count("metadata.n.x:7")
    assert (
        asker.ask("query", fields=["metadata.key299", "metadata.n.m"])["logs"][0]
    ) == {"metadata": {"key299": "value 299", "n.m": 7}}


def test_page_of_many_bytes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page ends early when it is too long, and the next goes on there."""
    monkeypatch.setattr(query, "REPLY_BYTES", 20_000)
    rows = [entry(n, message="x" * (n % 7 * 1_000 + 1)) for n in range(60)]
    stored = append(path, [[(0, rows[:30])], [(0, rows[30:])]])
    pages = Asker(path).pages("query", limit=50)

    assert [row.id for row in reversed(stored)] == ids(pages)
    assert all(sum(map(len, map(str, p["logs"]))) < 22_000 for p in pages)
    assert all(page["returned"] > 1 for page in pages[:-1])


def test_context_of_many_bytes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Context that makes a reply too long is refused."""
    monkeypatch.setattr(query, "REPLY_BYTES", 10_000)
    append(path, [[(0, [entry(n, message="x" * 1_000) for n in range(60)])]])

    with pytest.raises(FieldError, match="longer than"):
        Asker(path).ask("search", limit=1, context=50)


def test_rows_of_a_reply(path: Path) -> None:
    """The settings' limit of rows is a page's, whatever is asked for."""
    append(path, [[(0, list(map(entry, range(10))))]])
    pages = Asker(path, Limits(rows=4)).pages("query", limit=100)

    assert [page["returned"] for page in pages] == [4, 4, 2]


def test_cursor_of_another_question(path: Path) -> None:
    """A cursor goes with its question; only limit and fields may change."""
    append(path, [[(0, list(map(entry, range(10))))]])
    asker = Asker(path)
    cursor = asker.ask("query", q="message", limit=1)["next_cursor"]

    again = asker.ask("query", q="message", limit=5, fields=["id"], cursor=cursor)
    assert again["returned"] == 5
    with pytest.raises(FieldError, match="another question"):
        asker.ask("query", q="other", cursor=cursor)
    with pytest.raises(FieldError, match="another question"):
        asker.ask("search", query="message", cursor=cursor)


@pytest.mark.parametrize("place", [0, 5, 40, 73])
def test_damaged_cursor(path: Path, place: int) -> None:
    """A cursor that isn't as it came is refused."""
    append(path, [[(0, list(map(entry, range(3))))]])
    asker = Asker(path)
    raw = bytearray(
        base64.urlsafe_b64decode(asker.ask("query", limit=1)["next_cursor"])
    )
    raw[place] ^= 1

    with pytest.raises(FieldError, match="not a cursor"):
        asker.ask("query", cursor=base64.urlsafe_b64encode(raw).decode())


def test_damaged_block(path: Path) -> None:
    """A block that can't be read hides only its own entries, and is reported."""
    stored = append(path, [[(0, [entry(n)])] for n in range(3)])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE blocks SET data = zeroblob(9) WHERE id = 2")
    connection.close()
    reply = Asker(path).ask("query", q="message")

    assert [stored[2].id, stored[0].id] == ids([reply])
    assert (reply["count"], reply["unreadable_blocks"]) == (2, 1)


def test_stats_by_time(hours: Asker) -> None:
    """Buckets are of a round width, empty ones are there; groups leave them out."""
    stats = hours.ask("get_stats", since=-60, until=120, buckets=3, group_by="minute")

    assert stats["bucket_seconds"] == 60.0
    assert [bucket["count"] for bucket in stats["buckets"]] == [0, 60, 60]
    assert [group["count"] for group in stats["groups"]] == [60, 60]
    assert {"since": "1969-12-31T23:59:00.000000000Z"}.items() <= stats[
        "window"
    ].items()


def test_stats_of_errors(path: Path) -> None:
    """ERROR and FATAL are errors, in every count of them."""
    levels = [1, 9, 13, 17, 21, 21]
    rows = [entry(n, level=level, source="ab"[n % 2]) for n, level in enumerate(levels)]
    append(path, [[(0, rows)]])
    stats = Asker(path).ask("get_stats", group_by="level")

    assert stats["error_rate"] == 0.5
    assert stats["by_level"] == {
        "TRACE": 1,
        "DEBUG": 0,
        "INFO": 1,
        "WARN": 1,
        "ERROR": 1,
        "FATAL": 2,
    }
    assert stats["top_sources"] == [
        {"source": "a", "count": 3, "errors": 1},
        {"source": "b", "count": 3, "errors": 2},
    ]
    assert stats["groups"][0] == {"key": "FATAL", "count": 2, "errors": 2}


def test_too_many_buckets() -> None:
    """A unit of time that is too short for the window is refused."""
    with pytest.raises(FieldError, match="buckets"):
        choose_buckets((0, 20_000 * MINUTE), 60, "minute")


def test_buckets_of_all_time() -> None:
    """Buckets reach over all times there are."""
    buckets = choose_buckets((-(1 << 63), (1 << 63) - 1), 60, None)

    assert buckets.start(0) <= -(1 << 63)
    assert buckets.start(buckets.size) >= 1 << 63
    assert buckets.size <= 60


def test_budget() -> None:
    """A budget ends with its time, its rows, or when it is cancelled."""
    now = [0.0]
    gone = [False]
    budget = Budget(lambda: now[0], 1.0, 100, lambda: gone[0])
    budget.open_block(100)
    with pytest.raises(CostError, match="more than 100 entries"):
        budget.open_block(1)
    now[0] = 1.0
    with pytest.raises(CostError, match="too long"):
        budget.check()
    gone[0] = True
    with pytest.raises(CancelledError):
        budget.check()
    assert isinstance(CostError(""), QueryError)


def test_a_cursor_of_another_search_is_refused(hours: Asker) -> None:
    """Its text counts, as that of a query does."""
    page = hours.ask("search", query="message", limit=1)

    with pytest.raises(FieldError) as refused:
        hours.ask("search", query="other", limit=1, cursor=page["next_cursor"])

    assert refused.value.field == "cursor"
