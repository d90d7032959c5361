"""A damaged database with compacted blocks: what is kept, and what is counted."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pipeline.delivery.stream import Stream
from pipeline.entry import Entry
from pipeline.errors import FrameError
from pipeline.store.block import Block
from pipeline.store.compacted import compact
from pipeline.store.cuts import SEGMENT_BITS
from pipeline.store.reader import Reader
from pipeline.store.schema import COMPACTED, PAGE_BYTES
from pipeline.store.tokens import hash_token
from pipeline.store.writer import Writer
from tests.store.build import PRODUCER, build_store

BLOCKS, ROWS = 12, 200
LEVELS = (9, 17)


def rows_of(number: int) -> list[Entry]:
    """Entries whose text does not compress away."""
    rng = random.Random(number)
    return [
        Entry(
            number * ROWS + place,
            "api",
            LEVELS[place % 2],
            f"took {rng.random()} for {rng.randbytes(40).hex()}",
            {"key": rng.randbytes(80).hex()},
            [],
            None,
        )
        for place in range(ROWS)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Four commits as one block, four as two, four as they came; nothing purged."""
    path = tmp_path / "logs.db"
    build_store(path, [rows_of(number) for number in range(BLOCKS)])
    merge(path, 0, 4)
    merge(path, 1, 3)
    merge(path, 2, 4)
    return path


def opened(path: Path) -> tuple[list[str], Stream]:
    """What an opening says; the producer's marks."""
    said: list[str] = []
    with closing(Writer(path, "disk", said.append)) as writer:
        (stream,) = writer.streams()
    return said, stream


def blocks_of(path: Path) -> list[Block]:
    with closing(Reader(path)) as reader:
        reader.refresh()
        return [reader.load(header) for header in reader.headers]


def rows_by_block(path: Path) -> list[tuple[int, int]]:
    return [(block.id, block.rows) for block in blocks_of(path)]


def merge(path: Path, first: int, end: int) -> int:
    with closing(Reader(path)) as reader:
        reader.refresh()
        chosen = [reader.load(header) for header in reader.headers[first:end]]
        made = compact(chosen, 3)
    with closing(Writer(path)) as writer:
        return writer.swap(made)


def purge(path: Path) -> None:
    with closing(Writer(path)) as writer:
        writer.purge(1 << 60, 1000)
        assert writer.vacuum(10_000) == 0


def root_page(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
        ).fetchone()
    return int(root)


def overwrite(path: Path, number: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek((number - 1) * PAGE_BYTES)
        file.write(data)


def contents(path: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()


def test_a_whole_database_is_opened_without_a_word(path: Path) -> None:
    """Before and after its replaced rows are purged."""
    assert opened(path)[0] == []
    purge(path)
    assert opened(path)[0] == []


@pytest.mark.parametrize("purged", [False, True])
def test_without_page_1_every_block_is_kept(path: Path, *, purged: bool) -> None:
    """With its columns, filters and patterns."""
    if purged:
        purge(path)
    tables = ("blocks", "compacted", "segments", "filters", "patterns")
    before = {table: contents(path, table) for table in tables}
    blocks = rows_by_block(path)
    overwrite(path, 1, bytes(PAGE_BYTES))

    said, stream = opened(path)

    assert "nothing is lost" in said[-1]
    assert {table: contents(path, table) for table in tables} == before
    assert rows_by_block(path) == blocks
    assert (stream.stored, stream.lost) == (BLOCKS * ROWS, 0)
    assert opened(path)[0] == []


def test_without_the_compacted_the_replaced_count_again(path: Path) -> None:
    """While they are there nothing is lost."""
    overwrite(path, root_page(path, "compacted"), bytes(PAGE_BYTES))

    said, stream = opened(path)

    assert "3 blocks can't be read, 0 entries" in said[-1]
    assert rows_by_block(path) == [(at + 1, ROWS) for at in range(BLOCKS)]
    assert stream.lost == 0
    assert opened(path)[0] == []
    assert merge(path, 0, BLOCKS) == COMPACTED + 4


def test_a_purged_block_that_is_damaged_is_counted(path: Path) -> None:
    """Its entries are lost, and nobody else's."""
    purge(path)
    overwrite(path, root_page(path, "compacted"), bytes(PAGE_BYTES))

    said, stream = opened(path)

    assert f"3 blocks can't be read, {8 * ROWS:,} entries are counted" in said[-1]
    assert stream.stored + stream.lost == stream.accepted == BLOCKS * ROWS
    assert stream.lost == 8 * ROWS
    assert opened(path)[0] == []


def test_lost_indexes_are_made_again_or_done_without(path: Path) -> None:
    """No entry is lost with them, and no question answered wrongly."""
    with closing(Reader(path)) as reader:
        reader.refresh()
        table = reader.templates()
    for name in ("filters", "patterns"):
        overwrite(path, root_page(path, name), bytes(PAGE_BYTES))

    said, stream = opened(path)

    assert "nothing is lost" in said[-1]
    assert stream.lost == 0
    with closing(Reader(path)) as reader:
        reader.refresh()
        assert reader.templates().texts == table.texts
        assert reader.blocks_without(hash_token(b"nowhere")) <= {
            header.id for header in reader.headers
        }


@pytest.mark.parametrize("table", ["segments", "filters"])
def test_flipped_bits_of_a_blob_are_noticed_when_asked(path: Path, table: str) -> None:
    """The start does not read it; a column is an error, a filter rules nothing out."""
    token = hash_token(b"nowhere_1")
    with closing(Reader(path)) as reader:
        reader.refresh()
        without = reader.blocks_without(token)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(f"SELECT id, data FROM {table}").fetchall()
        for key, data in rows:
            changed = data[:4] + bytes(byte ^ 1 for byte in data[4:])
            values = (changed, key)
            connection.execute(f"UPDATE {table} SET data = ? WHERE id = ?", values)
        connection.commit()

    assert opened(path)[0] == []

    with closing(Reader(path)) as reader:
        reader.refresh()
        assert without
        if table == "filters":
            assert reader.blocks_without(token) == frozenset()
            return
        batch = reader.load(reader.headers[0]).batch
        for column in batch.columns.values():
            with pytest.raises(FrameError, match="checksum"):
                column.values(np.arange(1))


def test_a_filter_is_of_its_own_block_only(path: Path) -> None:
    """One that stands under another's id rules nothing out."""
    token = hash_token(b"nowhere_1")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE filters SET id = id + 7")
        connection.commit()

    with closing(Reader(path)) as reader:
        reader.refresh()
        assert reader.blocks_without(token) == frozenset()


def test_a_lost_segment_costs_the_columns_in_it(path: Path) -> None:
    """Here one that not every entry has: questions that ask for it get an error."""
    number = merge(path, 0, 7)
    purge(path)
    key = (number - COMPACTED) << SEGMENT_BITS | 1
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM segments WHERE id = ?", (key,))
        connection.commit()
    overwrite(path, 1, bytes(PAGE_BYTES))

    _, stream = opened(path)

    assert stream.lost == 0
    (block,) = blocks_of(path)
    with closing(Reader(path)) as reader:
        reader.refresh()
        batch = reader.load(reader.headers[0]).batch
        assert len(batch.columns["message"].values()) == block.rows == BLOCKS * ROWS
        with pytest.raises(FrameError, match="not there"):
            batch.columns["metadata.key"].values(np.arange(1))


def test_what_was_deleted_is_not_lost(path: Path) -> None:
    """Neither by a filter nor as a whole block; the ledger knows the difference."""
    with closing(Reader(path)) as reader:
        reader.refresh()
        blocks = [reader.load(header) for header in reader.headers[:2]]
        keep = [block.batch.columns["level"].numbers == 9 for block in blocks]
        made = compact(blocks, 3, keep)
    with closing(Writer(path)) as writer:
        writer.swap(made)
        writer.drop(9, 10, now=1)
    purge(path)
    overwrite(path, 1, bytes(PAGE_BYTES))

    said, stream = opened(path)

    assert "nothing is lost" in said[-1]
    assert (stream.stored, stream.lost) == (BLOCKS * ROWS, 0)
    assert stream.producer == PRODUCER


def test_a_lost_row_is_noticed_by_its_number(path: Path) -> None:
    """Though every page is as SQLite wants it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM compacted WHERE id = ?", (COMPACTED + 1,))
        connection.commit()

    said, _ = opened(path)

    assert "1 of 3 compacted blocks have no row" in said[0]
