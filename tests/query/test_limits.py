"""Limits: what stops a question, and what it then says of how far it came."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pipeline.entry import Entry
from pipeline.query.answer import Engine, Limits
from pipeline.query.budget import CostError
from pipeline.query.codes import CANCELLED, TIME_LIMIT
from pipeline.query.worker import Call, answer
from tests.query.stores import append
from tests.query.test_worker import Worker

MINUTE = 60_000_000_000


def rows(first: int, count: int) -> list[Entry]:
    """Entries a minute apart."""
    return [
        Entry(n * MINUTE, "api", 9, f"m{n} took {n * 7} ms", {}, [], None)
        for n in range(first, first + count)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Four blocks of ten."""
    append(tmp_path / "a.db", [[(0, rows(10 * n, 10))] for n in range(4)])
    return tmp_path / "a.db"


def fail(engine: Engine, is_cancelled: bool = False, **params: object) -> Any:
    """The error that a question ends with."""
    call = Call(id=1, method="query", params=params)
    return answer(engine, call, lambda _: is_cancelled)["error"]


def test_entries_looked_at(path: Path) -> None:
    """The newest first: the error says down to which time."""
    engine = Engine(path, Limits(rows_scanned=25), lambda: 0.0)
    error = fail(engine, q="nothing9 OR took")

    assert error.code == TIME_LIMIT
    assert "more than 25 entries" in error.message
    assert error.data["rows_scanned"] == 20
    assert error.data["blocks_scanned"] == 2
    assert error.data["blocks_planned"] == 4
    assert error.data["oldest_reached"] == "1970-01-01T00:20:00.000000000Z"
    assert error.data["newest_reached"] == "1970-01-01T00:39:00.000000000Z"


def test_bytes_read(path: Path) -> None:
    """They are those of the store, as they are on disk."""
    engine = Engine(path, Limits(bytes_scanned=1), lambda: 0.0)
    error = fail(engine, q="took")

    assert error.code == TIME_LIMIT
    assert "more than 1 bytes" in error.message
    assert error.data["bytes_read"] > 1
    assert error.data["rows_scanned"] < 40


def test_each_question_has_its_own_bytes(path: Path) -> None:
    """What others read before doesn't count."""
    engine = Engine(path, Limits(bytes_scanned=100_000), lambda: 0.0)
    for _ in range(3):
        used = engine.budget()
        engine.answer("query", {"q": "took"}, 0, used)

        assert used.bytes < 100_000
        assert used.bytes == used.progress()["bytes_read"]


def test_seconds(path: Path) -> None:
    """A question whose time is up ends within the block that it is in."""
    read: list[int] = []
    engine = Engine(path, Limits(seconds=5.0), lambda: 9.0 if any(read) else 0.0)
    reader = engine._context.headers.reader
    load = reader.load
    reader.load = lambda header: read.append(header.rows) or load(header)  # type: ignore[method-assign,func-returns-value]
    error = fail(engine, q="took")

    assert error.code == TIME_LIMIT
    assert error.data["rows_scanned"] == sum(read) == 10
    assert "narrow" in error.data["hint"]


def test_seconds_in_blocks_with_many_sources(tmp_path: Path) -> None:
    """Their names are looked at piece by piece, none after the time is up."""
    many = [Entry(n, f"source {n}", 9, "m", {}, [], None) for n in range(60_000)]
    append(tmp_path / "a.db", [[(0, many)]])
    looks = count()
    engine = Engine(tmp_path / "a.db", Limits(), lambda: 0.0)
    used = engine.budget(cancelled=lambda: next(looks) < 0)
    engine.answer("aggregate", {"q": "* | top 3 source"}, 0, used)

    assert next(looks) > 4


def test_cancelled(path: Path) -> None:
    """Nobody waits: nothing is read."""
    error = fail(Engine(path, Limits(), lambda: 0.0), is_cancelled=True)

    assert error.code == CANCELLED
    assert error.data["rows_scanned"] == 0


def test_the_settings_reach_the_worker(path: Path) -> None:
    """Each of them as a limit of its questions."""
    worker = Worker(path, PIPELINE_QUERY__MAX_BYTES_SCANNED="1")
    error = worker.fail("query", q="took")
    assert "1 bytes" in error["message"]
    assert worker.end() == 0


def test_a_budget_without_limits_costs_nothing(path: Path) -> None:
    """No error where nothing is exceeded."""
    used = Engine(path, Limits(), lambda: 0.0).budget()
    used.check()
    with pytest.raises(CostError):
        used.open_block(2_000_000_000)
