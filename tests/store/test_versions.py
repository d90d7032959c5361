"""A database of any version of the tables that ever was is read, and taken further."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.batch.encode import encode_rows
from pipeline.batch.joined import pack_parts, parse_block
from pipeline.compression import compress
from pipeline.entry import Entry
from pipeline.limits import BLOCK_BYTES
from pipeline.store import compacted
from pipeline.store.block import Part, Sealed, place_checksum, seal_block
from pipeline.store.reader import Reader
from pipeline.store.rows import row_checksum
from pipeline.store.schema import APPLICATION, PAGE_BYTES, STEPS, VERSION
from pipeline.store.verify import verify_store
from pipeline.store.writer import Writer
from tests.store.build import PRODUCER

ROWS = [
    Entry(at, "web", 9, f"user {at} logged in", {"n": at}, [], None)
    for at in range(1, 21)
]


def sealed(rows: list[Entry], first: int) -> Sealed:
    batch = parse_block(encode_rows(rows, compress=compress), BLOCK_BYTES)
    return seal_block([Part(batch, PRODUCER, first, None)])


def old(path: Path, version: int) -> None:
    """Two blocks and their producer, as a program of that version wrote them."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        for step in STEPS[:version]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")
        if version >= 3:
            connection.execute(f"PRAGMA application_id = {APPLICATION + version}")
        for number, at in ((1, 0), (2, 10)):
            block = sealed(ROWS[at : at + 10], at + 1)
            crc = block.header_crc
            if version >= 3:
                crc = place_checksum(number, 5, 0, len(block.data), crc)
            connection.execute(
                "INSERT INTO blocks VALUES (?, 5, 0, ?, ?, ?, ?, NULL, ?, ?, ?, ?, ?)",
                (
                    *(number, block.rows, len(block.data)),
                    *(block.minimum, block.maximum, crc, block.data_crc),
                    *(block.counts, block.runs, block.data),
                ),
            )
        connection.execute(_producers(version), _marks(version))


def _marks(version: int) -> list[Any]:
    values: list[Any] = [PRODUCER, "session", 20, 20, 0, 0, 0, 0, 5, 0]
    values += [0, b"\x80"][: 2 * (version > 1)]
    if version >= 3:
        values += [2]
        last = ["web", 1] if version >= 4 else []
        values += [row_checksum([*values, *last]), *last]
    return values


def _producers(version: int) -> str:
    return f"INSERT INTO producers VALUES ({', '.join('?' * len(_marks(version)))})"


def entries(path: Path) -> list[Entry]:
    with closing(Reader(path)) as reader:
        reader.refresh()
        assert reader.blocks_without(1) <= {header.id for header in reader.headers}
        ids = [header.id for header in reader.headers]
        assert sum(int(each.counts.sum()) for each in reader.counts(ids)) == len(ROWS)
        found = []
        for block in map(reader.load, reader.headers):
            found += block.batch.entries(np.arange(block.rows))
        return found


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_an_old_database_is_read_and_migrated(tmp_path: Path, version: int) -> None:
    """First as it is, then by an ingester, then compacted."""
    path = tmp_path / "logs.db"
    old(path, version)
    assert entries(path) == ROWS
    assert (verify_store(path).damaged, verify_store(path).flaws) == ({}, [])

    said: list[str] = []
    with closing(Writer(path, "disk", said.append)) as writer:
        (stream,) = writer.streams()
        assert (said, stream.accepted, writer.last_block) == ([], 20, 2)
        assert entries(path) == ROWS
        with closing(Reader(path)) as reader:
            reader.refresh()
            blocks = list(map(reader.load, reader.headers))
            writer.purge(writer.swap(compacted.compact(blocks, 3)), 10)

    assert entries(path) == ROWS
    assert verify_store(path).is_sound
    with closing(Writer(path, "disk", said.append)) as writer:
        assert (said, writer.last_block) == ([], 2)


def test_blocks_of_every_version_become_one(tmp_path: Path) -> None:
    """Version 1 sealed, version 2 with parts, version 3 with columns."""
    path = tmp_path / "logs.db"
    many = [
        Entry(at, "web", 9, f"message {at}", {"n": at}, [], None)
        for at in range(1, 1201)
    ]
    kept = sealed(many, 21)
    batch = parse_block(encode_rows(many, compress=compress), BLOCK_BYTES)
    assert kept.data == pack_parts([batch])
    with closing(Writer(path)) as writer, closing(Reader(path)) as reader:
        writer.commit([sealed(ROWS, 1), sealed(ROWS, 1201)], [], [], [], now=1)
        reader.refresh()
        first = list(map(reader.load, reader.headers))
        writer.swap(compacted.compact(first, 3))
        writer.commit([kept, sealed(ROWS, 2000)], [], [], [], now=2)
        reader.refresh()
        blocks = list(map(reader.load, reader.headers))
        writer.swap(compacted.compact(blocks, 3))
        reader.refresh()
        (block,) = map(reader.load, reader.headers)

        found = block.batch.entries(np.arange(block.rows))

        assert block.commits.rows.tolist() == [20, 20, 1200, 20]

    assert found == [*ROWS, *ROWS, *many, *ROWS]
