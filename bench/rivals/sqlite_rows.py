"""SQLite with one row an entry and the indexes that its queries want."""

from __future__ import annotations

import json
import marshal
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from bench.measure import Load, Stopwatch, file_bytes, memory_of
from bench.rivals import LIMIT, Counts, Row, both_ways
from pipeline.entry import Entry

_TABLE: Final = """
CREATE TABLE logs (
    id INTEGER PRIMARY KEY, timestamp INTEGER, source TEXT, level INTEGER,
    message TEXT, metadata TEXT, tags TEXT, trace_id TEXT
);
CREATE INDEX by_time ON logs (timestamp);
CREATE INDEX by_source ON logs (source, level, timestamp);
CREATE INDEX by_trace ON logs (trace_id) WHERE trace_id IS NOT NULL;
"""
_INSERT: Final = """
INSERT INTO logs (timestamp, source, level, message, metadata, tags, trace_id)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_NEWEST: Final = f" ORDER BY timestamp DESC LIMIT {LIMIT}"


class SqliteRows:
    """Rows in WAL mode with the pipeline's own durability, synchronous=FULL."""

    table = _TABLE

    def __init__(self, folder: Path) -> None:
        self._rows = folder / "rows.marshal"
        self._path = folder / "rows.db"
        self._connection: sqlite3.Connection | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """Opened when first used, so that preparing needs none."""
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, isolation_level=None)
            self._connection.executescript(
                "PRAGMA page_size=16384; PRAGMA journal_mode=WAL;"
                "PRAGMA synchronous=FULL; PRAGMA cache_size=-65536"
            )
        return self._connection

    def prepare(self, pieces: Iterable[list[Entry]]) -> None:
        """Tuples with metadata and tags as JSON, one list a transaction."""
        with self._rows.open("wb") as file:
            for piece in pieces:
                marshal.dump([_flat(entry) for entry in piece], file)

    def ingest(self) -> Load:
        """Insert list by list; reading the prepared lists is not timed."""
        for old in self._path.parent.glob(f"{self._path.name}*"):
            old.unlink()
        connection = self.connection
        connection.executescript(self.table)
        watch, settle, rows = Stopwatch(), Stopwatch(), 0
        for piece in self._prepared():
            with watch.running():
                connection.execute("BEGIN")
                connection.executemany(_INSERT, piece)
                self.index(rows)
                connection.execute("COMMIT")
            rows += len(piece)
        with settle.running():
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Load(
            rows,
            watch.seconds,
            watch.cpu_seconds,
            memory_of(os.getpid()),
            file_bytes(self._path),
            settle.seconds,
            settle.cpu_seconds,
        )

    def index(self, after: int) -> None:
        """What is to be done for rows above this id, within their transaction."""

    def trace(self, trace_id: str) -> list[Row]:
        """All entries of a trace."""
        return self.select("trace_id = ?", trace_id)

    def word(self, word: str) -> list[Row]:
        """A scan from the newest: rows have no index of words."""
        return self.select("message LIKE ?", f"%{word}%")

    def phrase(self, phrase: str) -> list[Row]:
        """A scan from the newest."""
        return self.select("message LIKE ?", f"%{phrase}%")

    def newest(self, level: int, source: str) -> list[Row]:
        """The newest entries of one level and source."""
        return self.select("source = ? AND level = ?", source, level)

    def counts(self) -> Counts:
        """Grouped by the index over source and level."""
        query = "SELECT level, source, count(*) FROM logs GROUP BY source, level"
        return both_ways(self.run(query))

    def substring(self, text: str) -> int:
        """A scan of all messages; instr() is faster than LIKE here."""
        query = "SELECT count(*) FROM logs WHERE instr(message, ?)"
        return int(self.run(query, text)[0][0])

    def select(self, condition: str, *values: object) -> list[Row]:
        """The newest rows that meet the condition, all their fields fetched."""
        query = f"SELECT * FROM logs WHERE {condition}{_NEWEST}"
        return [(row[1], row[2], row[3], row[4]) for row in self.run(query, *values)]

    def run(self, query: str, *values: object) -> list[Any]:
        """All rows of one statement."""
        return self.connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the database."""
        if self._connection is not None:
            self._connection.close()

    def _prepared(self) -> Iterator[list[tuple[Any, ...]]]:
        with self._rows.open("rb") as file:
            while True:
                try:
                    yield marshal.load(file)
                except EOFError:
                    return


def _flat(entry: Entry) -> tuple[Any, ...]:
    metadata = json.dumps(entry.metadata, ensure_ascii=False, separators=(",", ":"))
    tags = json.dumps(entry.tags) if entry.tags else None
    return (*entry[:4], metadata, tags, entry.trace_id)


def open_store(folder: Path, _address: str) -> SqliteRows:
    """The store in this folder."""
    return SqliteRows(folder)
