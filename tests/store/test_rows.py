"""Rows of producers: what steps have added, and what their checksums cover."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.delivery.stream import Stream
from pipeline.store import schema
from pipeline.store.rows import row_checksum
from pipeline.store.writer import Writer

PRODUCER = bytes(range(16))
OLD = (PRODUCER, "session", 9, 7, 2, 0, 0, 0, 5, 0, 0, b"\x80", 0)
"""A row of version 3, but for its checksum."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of version 3 with one producer."""
    path = tmp_path / "logs.db"
    Writer(path).close()
    path.unlink()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in (text for step in schema.STEPS[:3] for text in step):
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 3")
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION + 3}")
        row = (*OLD, row_checksum(OLD))
        connection.execute(f"INSERT INTO producers VALUES ({'?,' * 13}?)", row)
    return path


def marks(path: Path) -> list[tuple[int, int, str, int]]:
    """What a start believes; a row that it does not believe would be salvaged."""
    said: list[str] = []
    writer = Writer(path, say=said.append)
    found = [(s.durable, s.lost, s.source, s.began) for s in writer.streams()]
    writer.close()
    assert said == []
    return found


def test_a_row_older_than_its_newest_columns_is_believed(path: Path) -> None:
    """Before the step to their version, and after it."""
    assert marks(path) == [(9, 2, "", 0)]
    assert marks(path) == [(9, 2, "", 0)]


def test_a_row_with_its_newest_columns_is_believed(path: Path) -> None:
    """The same producer, written again."""
    writer = Writer(path)
    stream = Stream(PRODUCER, 9, 9, 7, lost=2, source="web", began=4)
    writer.commit([], [stream], [], [], now=1)
    writer.close()

    assert marks(path) == [(9, 2, "web", 4)]


@pytest.mark.parametrize("change", ["source = 'wEb'", "began = 5", "lost = 1"])
def test_a_changed_column_is_noticed(path: Path, change: str) -> None:
    """The newest ones, too."""
    writer = Writer(path)
    stream = Stream(PRODUCER, 9, 9, 7, lost=2, source="web", began=4)
    writer.commit([], [stream], [], [], now=1)
    writer.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE producers SET {change}")

    said: list[str] = []
    Writer(path, say=said.append).close()
    assert "a producer's row does not match its checksum" in said[0]
