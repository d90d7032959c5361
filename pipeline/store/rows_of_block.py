"""The rows of one block as they stand in the database, for who checks or copies them.

Each statement is for one block: no read transaction lasts, and damage of one block's
pages keeps no other from being read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pipeline.store.bloom import PARTITIONS
from pipeline.store.cuts import every_key
from pipeline.store.database import Connection
from pipeline.store.schema import COMPACTED, FILTER_BITS

Row = tuple[Any, ...]

_AT_ONCE: Final = 500
_FRESH_COLUMNS: Final = 13
_MARKS: Final = ",".join("?" * PARTITIONS)


class BlockRows(NamedTuple):
    """All rows of a block: its header, and for a compacted one what belongs to it."""

    header: Row
    segments: list[tuple[int, bytes]]
    filters: list[tuple[int, bytes]]


def rows_of_block(connection: Connection, block_id: int) -> BlockRows | None:
    """The rows of a block, None when it is not there; raises DatabaseError."""
    table = "compacted" if block_id >= COMPACTED else "blocks"
    found = connection.execute(
        f"SELECT * FROM {table} WHERE id = ?",  # noqa: S608 - one of ours
        (block_id,),
    ).fetchone()
    if found is None:
        return None
    if block_id < COMPACTED:
        return BlockRows(found, [], [])
    number = block_id - COMPACTED
    segments = connection.execute(
        "SELECT id, data FROM segments WHERE id BETWEEN ? AND ? ORDER BY id",
        every_key(number),
    ).fetchall()
    filters = connection.execute(
        f"SELECT id, data FROM filters WHERE id IN ({_MARKS}) ORDER BY id",  # noqa: S608
        filter_keys(number),
    ).fetchall()
    return BlockRows(found, segments, filters)


def filter_keys(number: int) -> Sequence[int]:
    """Ids of the pieces of a block's filter; `number` is its id less COMPACTED."""
    return [partition << FILTER_BITS | number for partition in range(PARTITIONS)]


def insert_block(connection: Connection, rows: BlockRows) -> None:
    """Put a block's rows into another database."""
    if len(rows.header) == _FRESH_COLUMNS:
        connection.execute(_insert("blocks", rows.header), rows.header)
        return
    connection.execute(_insert("compacted", rows.header), rows.header)
    connection.executemany("INSERT INTO segments VALUES (?, ?)", rows.segments)
    connection.executemany("INSERT INTO filters VALUES (?, ?)", rows.filters)


def _insert(table: str, row: Row) -> str:
    return f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})"  # noqa: S608


def copy_table(source: Connection, target: Connection, table: str) -> None:
    """All rows of a table as they are, but where they are there already."""
    found = source.execute(f"SELECT * FROM {table}")  # noqa: S608 - one of ours
    marks = ", ".join("?" * len(found.description))
    while rows := found.fetchmany(_AT_ONCE):
        target.executemany(
            f"INSERT OR REPLACE INTO {table} VALUES ({marks})",  # noqa: S608
            rows,
        )
