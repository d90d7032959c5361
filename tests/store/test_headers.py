"""Rows of the database whose header is damaged: the others are read all the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import StoreError
from pipeline.ingester.compaction.merging import Merging, Templates
from pipeline.store.fresh import CHECKED, fresh_headers, new_headers
from pipeline.store.reader import Reader
from tests.query.stores import Asker, append, merge
from tests.query.test_remembered import entry

ROWS = 40
BEFORE, BEHIND = 30, 24
"""Bytes around the time by which a row is found: its types and its numbers."""


@pytest.fixture(params=["blocks", "compacted"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Three blocks, in a file of which each byte can be changed."""
    path = tmp_path / "logs.db"
    append(path, [[(0, list(map(entry, range(n, n + ROWS))))] for n in (0, 40, 80)])
    for at in range(3 if request.param == "compacted" else 0):
        merge(path, at, at + 1, purged=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode=DELETE")
    return path


def test_a_flipped_bit_hides_no_other_block(path: Path) -> None:
    """Whatever the number becomes: another one, a text, or nothing at all."""
    data = path.read_bytes()
    minimum = (ROWS * 1_000_000_000).to_bytes(5, "big")
    places = [at for at in range(len(data)) if data.startswith(minimum, at)]
    damaged = path.with_name("damaged.db")
    unread = 0
    for at in range(places[0] - BEFORE, places[0] + BEHIND):
        for bit in (0, 3, 7):
            flipped = data[at] ^ (1 << bit)
            damaged.write_bytes(b"%b%c%b" % (data[:at], flipped, data[at + 1 :]))
            if _places(damaged) != _places(path):
                continue  # what stands where is damaged: that is the salvage's
            try:
                reply = Asker(damaged).ask("query", q="usual", limit=1, count="exact")
            except StoreError:
                continue  # not even where it stands is known
            unread += "unreadable_blocks" in reply
            assert reply["count"] in (72, 108)
            _merge_what_can_be(damaged)
    assert unread > 100


def _places(path: Path) -> object:
    sql = (
        "SELECT id, id, id FROM blocks UNION ALL SELECT id, first, last FROM compacted"
    )
    with closing(sqlite3.connect(path)) as database:
        try:
            return database.execute(sql).fetchall()
        except sqlite3.DatabaseError as error:
            return str(error)


def _merge_what_can_be(path: Path) -> None:
    with closing(Reader(path)) as reader:
        reader.refresh()
        merging = Merging(reader, Templates(reader), lambda: None)
        next(merging.next(3, everything=True), None)


@pytest.fixture
def rows(tmp_path: Path) -> list[tuple[Any, ...]]:
    """Headers of three fresh blocks, as they stand in the table."""
    path = tmp_path / "rows.db"
    append(path, [[(0, list(map(entry, range(n, n + ROWS))))] for n in (0, 40, 80)])
    with closing(sqlite3.connect(path)) as database:
        return database.execute(f"{CHECKED} FROM blocks ORDER BY id").fetchall()


Rows = list[tuple[Any, ...]]


@pytest.mark.parametrize("place", range(1, 11))
@pytest.mark.parametrize("wrong", [None, 0.5, b"x", -1, 9, 1 << 40])
def test_a_header_that_cannot_be_is_looked_at_by_all(
    rows: Rows, place: int, wrong: object
) -> None:
    """It is in any window, where it was; the others are what they were."""
    sound = fresh_headers(rows, set())
    rows[1] = (*rows[1][:place], wrong, *rows[1][place + 1 :])

    before, found, after = fresh_headers(rows, damaged := set())

    assert damaged == {2}
    assert found.is_damaged
    assert (found.id, found.first, found.last, found.rows) == (2, 2, 2, 1)
    assert (before, after) == (sound[0], sound[2])


@pytest.mark.parametrize("key", [1, 3, 4, 1 << 40])
def test_a_key_that_is_anothers_takes_no_other_blocks_place(
    rows: Rows, key: int
) -> None:
    """It is told of, once: its row may be read again with those that are new."""
    sound = fresh_headers(rows, set())
    rows[1] = (key, *rows[1][1:])

    found = fresh_headers(rows, damaged := set())

    assert [each for each in found if not each.is_damaged] == [sound[0], sound[2]]
    assert [each.first for each in found if each.is_damaged] == [-key]
    assert fresh_headers(rows[1:2], damaged) == []


def test_a_row_that_sqlite_refuses_hides_no_other(rows: Rows) -> None:
    """It reads nothing behind a text that is none, where a number stood."""

    def read(statement: str, values: tuple[object, ...]) -> Iterator[Any]:
        if "ORDER BY" in statement and "committed" in statement:
            yield rows[0]
            raise StoreError("Could not decode to UTF-8 column 'data_crc'")
        if "committed" not in statement:
            yield from ([row[0]] for row in rows)
        elif values == (2,):
            raise StoreError("Could not decode to UTF-8 column 'data_crc'")
        else:
            yield next(row for row in rows if values == (row[0],))

    found = new_headers(read, 0, damaged := set())

    assert damaged == {2}
    assert [header.id for header in found if header.is_damaged] == [2]
    assert len(found) == 3


def test_a_flipped_key_hides_no_block(tmp_path: Path) -> None:
    """Neither the one whose key it was nor the one that has it."""
    path = tmp_path / "logs.db"
    append(path, [[(0, list(map(entry, range(n, n + ROWS))))] for n in (0, 40, 80)])
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=DELETE")
        database.execute("UPDATE blocks SET id = 7 WHERE id = 2")
    reply = Asker(path).ask("query", limit=1000, count="exact")

    assert reply["count"] == 2 * ROWS
    assert reply["unreadable_blocks"] == 1


def test_a_block_without_a_place_can_not_be_told_from_others(rows: Rows) -> None:
    """What it replaces is unknown."""
    with pytest.raises(StoreError, match="has no place"):
        fresh_headers([(None, *rows[0][1:])], set())


@pytest.mark.parametrize(
    "change",
    ["first = 1", "last = 3", "first = 1, last = 3", "minimum = 0, maximum = 1"],
)
def test_a_damaged_header_takes_no_other_blocks_place(
    tmp_path: Path, change: str
) -> None:
    """Whatever commits and times it says: the others are found, and it is told of."""
    path = tmp_path / "logs.db"
    append(path, [[(0, list(map(entry, range(n, n + ROWS))))] for n in (0, 40, 80)])
    for at in range(3):
        merge(path, at, at + 1, purged=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        (block,) = database.execute("SELECT id FROM compacted WHERE first = 2")
        database.execute(f"UPDATE compacted SET {change} WHERE id = ?", block)
    window = {"since": "1970-01-01T00:00:10Z", "until": "1970-01-01T01:00:00Z"}
    reply = Asker(path).ask("query", limit=1000, count="exact", **window)

    assert reply["count"] == 70
    assert reply["unreadable_blocks"] == 1
