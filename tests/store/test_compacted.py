"""Compacted blocks: the same rows, in the place of others."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
import pytest

from pipeline.batch.layout import Kind
from pipeline.compression import compress
from pipeline.entry import Entry
from pipeline.errors import StoreError
from pipeline.store.block import Block
from pipeline.store.columns import pack_columns
from pipeline.store.compacted import Compacted, compact
from pipeline.store.reader import Reader
from pipeline.store.schema import COMPACTED
from pipeline.store.template_table import room
from pipeline.store.tokens import hash_token
from pipeline.store.writer import Writer
from tests.store.build import PRODUCER, build_store

ROWS = 10
BLOCKS = 8


def entry(number: int) -> Entry:
    """Entries of several shapes, so that columns are not all full."""
    return Entry(
        number * 1_000_000_000,
        "api" if number % 2 else "web",
        9 if number % 3 else 17,
        f"user {number} logged in",
        {"a": number, "b": str(number)} if number % 3 else {},
        ["x"] if number % 5 == 0 else [],
        f"{number:032x}" if number % 4 else None,
    )


ENTRIES = [entry(number) for number in range(ROWS * BLOCKS)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of eight fresh blocks."""
    path = tmp_path / "logs.db"
    rows = [ENTRIES[at : at + ROWS] for at in range(0, len(ENTRIES), ROWS)]
    build_store(path, rows)
    return path


def opened(path: Path) -> Reader:
    reader = Reader(path)
    reader.refresh()
    return reader


def blocks_of(reader: Reader) -> list[Block]:
    return [reader.load(header) for header in reader.headers]


def entries_of(reader: Reader) -> list[Entry]:
    return [
        found
        for block in blocks_of(reader)
        for found in block.batch.entries(np.arange(block.rows))
    ]


def swap(path: Path, blocks: list[Block]) -> int:
    made = Compacted.unpack(compact(blocks, 3).pack())
    with closing(Writer(path)) as writer:
        return writer.swap(made)


def test_rows_stay_in_their_order(path: Path) -> None:
    """A reader that refreshes sees the same entries, each once."""
    reader = opened(path)
    number = swap(path, blocks_of(reader)[2:5])
    assert number == COMPACTED + 1

    for each in (reader, opened(path)):
        each.refresh()

        assert entries_of(each) == ENTRIES
        assert [header.first for header in each.headers] == [1, 2, 3, 6, 7, 8]
        assert each.newest == BLOCKS


def test_numbers_and_counts_stay(path: Path) -> None:
    """Every row keeps who sent it, and the header tells as much as those before."""
    reader = opened(path)
    before = reader.counts([header.id for header in reader.headers])
    number = swap(path, blocks_of(reader))
    reader.refresh()
    (block,) = blocks_of(reader)
    (counts,) = reader.counts([number])

    numbers = block.identities(np.arange(block.rows))

    assert numbers == [(PRODUCER, at + 1) for at in range(block.rows)]
    assert counts.counts.sum() == sum(each.counts.sum() for each in before)


def test_it_knows_which_commit_brought_a_row(path: Path) -> None:
    """So that a page's mark still cuts where it did."""
    reader = opened(path)
    swap(path, blocks_of(reader)[:4])
    reader.refresh()
    swap(path, blocks_of(reader))
    reader.refresh()
    (block,) = blocks_of(reader)

    for after in range(BLOCKS + 2):
        for mark in range(after, BLOCKS + 2):
            expected = (min(after, BLOCKS) * ROWS, min(mark, BLOCKS) * ROWS)
            assert block.rows_between(after, mark) == expected


def test_rows_can_be_left_out(path: Path) -> None:
    """What a deletion leaves has the columns of its own rows, and no others."""
    reader = opened(path)
    blocks = blocks_of(reader)
    keep = [block.batch.columns["level"].numbers == 17 for block in blocks]
    with closing(Writer(path)) as writer:
        writer.swap(compact(blocks, 3, keep))
    reader.refresh()
    (block,) = blocks_of(reader)

    assert entries_of(reader) == [each for each in ENTRIES if each.level == 17]
    assert "metadata.a" not in block.batch.columns
    numbers = [number for _, number in block.identities(np.arange(block.rows))]
    assert numbers == [at + 1 for at, each in enumerate(ENTRIES) if each.level == 17]


def test_what_is_not_live_any_more_is_not_replaced(path: Path) -> None:
    """Else an entry would be there twice, or a deleted one come back."""
    reader = opened(path)
    blocks = blocks_of(reader)
    swap(path, blocks[2:5])

    for choice in (blocks[2:5], blocks[4:6], [blocks[0], *blocks[5:7]]):
        with pytest.raises(StoreError, match="are in blocks"):
            swap(path, choice)


def test_dropped_blocks_are_gone(path: Path) -> None:
    """At once; their rows go when nobody reads them any more."""
    reader = opened(path)
    with closing(Writer(path)) as writer:
        number = writer.drop(1, 3, now=9)
        reader.refresh()

        assert entries_of(reader) == ENTRIES[3 * ROWS :]
        assert writer.purge(number - 1, 100) == 0
        assert writer.purge(number, 2) == 2
        assert writer.purge(number, 100) == 2  # the third, and what stood for them
        assert writer.vacuum(100) == 0
    reader.refresh()

    assert entries_of(reader) == ENTRIES[3 * ROWS :]
    assert entries_of(opened(path)) == ENTRIES[3 * ROWS :]


def test_a_reader_that_slept_sees_what_went(path: Path) -> None:
    """Though nothing in the file tells any more what has replaced its blocks."""
    reader = opened(path)
    with closing(Writer(path)) as writer:
        writer.drop(1, BLOCKS, now=9)
        writer.purge(1 << 60, 100)
    reader.refresh()

    assert reader.headers == []


def test_a_number_is_never_given_twice(path: Path) -> None:
    """Even if nothing is left of what had it."""
    with closing(Writer(path)) as writer:
        number = writer.drop(1, BLOCKS, now=9)
        writer.purge(number, 100)

    with closing(Writer(path)) as writer:
        assert writer.last_block == BLOCKS
        assert writer.drop(1, BLOCKS, now=9) == number + 1


def test_the_header_tells_the_patterns(path: Path) -> None:
    """How often, and when first and last; without opening the block."""
    reader = opened(path)
    number = swap(path, blocks_of(reader))
    reader.refresh()
    (patterns,) = reader.patterns([number])
    table = reader.templates()

    assert table.texts == [b"user \xff logged in"]
    assert patterns.ids.tolist() == table.ids.tolist()
    assert patterns.counts.tolist() == [len(ENTRIES)]
    assert patterns.first.tolist() == table.first.tolist() == [ENTRIES[0].timestamp]
    assert patterns.last.tolist() == table.last.tolist() == [ENTRIES[-1].timestamp]
    assert patterns.rest == 0


def test_a_fresh_block_has_no_patterns(path: Path) -> None:
    """All of its rows are to be counted by opening it."""
    reader = opened(path)

    (patterns,) = reader.patterns([1])

    assert patterns.rest == ROWS


def test_filters_tell_where_a_token_is_not(path: Path) -> None:
    """Of two blocks, the trace id of one is not in the other."""
    reader = opened(path)
    blocks = blocks_of(reader)
    first = swap(path, blocks[:4])
    second = swap(path, blocks[4:])
    reader.refresh()

    assert reader.blocks_without(hash_token(b"%032x" % 1)) == {second}
    assert reader.blocks_without(hash_token(b"%032x" % 79)) == {first}
    assert reader.blocks_without(hash_token(b"nowhere_1")) == {first, second}


def test_a_store_has_room_for_so_many_templates() -> None:
    """Known ones may be used, and new ones while there is room."""
    allowed = room(np.array([2**64 - 7], np.uint64), 2)
    assert allowed is not None

    ids = np.array([1, 2**64 - 7, 2], np.uint64)

    assert allowed(ids).tolist() == [True, True, False]


def test_random_ids_are_compressed_by_the_first_level() -> None:
    """A higher one makes more of them than less; of words it makes less."""
    chance = Random(1)
    ids = b"".join(b"%024x\n" % chance.getrandbits(96) for _ in range(9_000))
    words = b"".join(b"%x is here\n" % chance.getrandbits(12) for _ in range(9_000))

    def size(data: bytes, level: int) -> int:
        columns = [("column", Kind.TEXT, 9_000, data)]
        return len(pack_columns(9_000, columns, level).blobs[0])

    assert size(ids, 9) == size(ids, 1) < len(compress(ids, 9))
    assert size(words, 9) == len(compress(words, 9)) < size(words, 1)
