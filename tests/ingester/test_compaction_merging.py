"""Blocks made of neighbours, one after another, while the last is swapped in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.entry import Entry
from pipeline.ingester.compaction.merging import Merged, Merging, Templates
from pipeline.store.compacted import compact
from pipeline.store.cuts import SEGMENT_BITS
from pipeline.store.reader import Reader
from pipeline.store.writer import Writer
from tests.store.build import build_store


class Swapping:
    """A writer that swaps a block in when it is waited for."""

    def __init__(self, path: Path) -> None:
        self.reader = Reader(path)
        self.reader.refresh()
        self.waits = 0
        self.merging = Merging(self.reader, Templates(self.reader), self._settle)
        self._path = path
        self._last: Merged | None = None

    def _settle(self) -> None:
        self.waits += 1
        self.swap()

    def swap(self) -> None:
        """Swap in what waits."""
        if self._last is not None:
            with closing(Writer(self._path)) as writer:
                writer.swap(self._last.block)
            self._last = None

    def all(self) -> Iterator[Merged]:
        """Each block, asked for before the one before it is in the store."""
        for merged in self.merging.next(1, everything=True):
            self.swap()
            self._last = merged
            yield merged
        self.swap()
        self.reader.refresh()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store will be."""
    return tmp_path / "logs.db"


def rows(count: int, first: int = 0) -> list[Entry]:
    """Entries that each have a message of their own."""
    return [
        Entry(at, "api", 9, f"request {at} took {at % 7} ms", {}, [], None)
        for at in range(first, first + count)
    ]


def test_the_next_block_does_not_wait_for_the_swap(path: Path) -> None:
    """Blocks that nothing merges with are made one after another."""
    build_store(path, [rows(40_000), rows(40_000), rows(40_000)])
    swapping = Swapping(path)

    made = list(swapping.all())

    assert [merged.block.replaces for merged in made] == [[1], [2], [3]]
    assert swapping.waits == 0


def test_a_block_that_is_merged_on_is_waited_for(path: Path) -> None:
    """More blocks than one merge takes: the second one takes what the first made."""
    build_store(path, [rows(2, at) for at in range(300)])
    swapping = Swapping(path)

    made = list(swapping.all())

    assert swapping.waits == 1
    assert [merged.blocks for merged in made] == [256, 44, 2]
    assert [header.rows for header in swapping.reader.headers] == [600]


def test_a_damaged_block_is_passed_over(path: Path) -> None:
    """Its neighbours are merged without it, and it stays as it is."""
    build_store(path, [rows(50, at) for at in range(0, 250, 50)])
    break_middle(path, "blocks", 3)
    swapping = Swapping(path)

    made = list(swapping.all())

    assert [merged.block.replaces for merged in made] == [[1, 2], [4, 5]]
    assert swapping.merging.damaged == {3}
    assert [header.rows for header in swapping.reader.headers] == [100, 50, 100]


def test_a_damaged_column_spoils_no_neighbour(path: Path) -> None:
    """What is found only while blocks are merged costs one of them."""
    build_store(path, [rows(50, at) for at in range(0, 150, 50)])
    swapping = Swapping(path)
    first = compact([swapping.reader.load(swapping.reader.headers[0])], 1)
    with closing(Writer(path)) as writer:
        number = writer.swap(first)
    break_middle(path, "segments", 1 << SEGMENT_BITS)
    swapping.reader.refresh()

    made = list(swapping.all())

    assert [merged.block.replaces for merged in made] == [[2, 3]]
    assert swapping.merging.damaged == {number}


def break_middle(path: Path, table: str, key: int) -> None:
    """Change a byte in the middle of a row's data."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        query = f"SELECT data FROM {table} WHERE id = ?"
        ((data,),) = database.execute(query, (key,))
        at = len(data) // 2
        broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        change = f"UPDATE {table} SET data = ? WHERE id = ?"
        database.execute(change, (broken, key))
