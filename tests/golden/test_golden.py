"""Bytes as version 1 wrote them: today's code writes and reads the same.

A file is written once (`regenerate.py`); a change that fails here needs a new version.
"""

from __future__ import annotations

import msgpack
import numpy as np
import pytest

from pipeline.batch.check import check
from pipeline.batch.decode import parse
from pipeline.batch.joined import parse_block
from pipeline.batch.layout import Codec, Kind
from pipeline.compression import decompress
from pipeline.delivery.spool.records import (
    HEAD_BYTES,
    Found,
    maybe_batch,
    maybe_head,
    maybe_row,
    walk,
)
from pipeline.limits import BLOCK_COLUMNS, PAYLOAD_BYTES
from pipeline.store import chain
from pipeline.store.block import parse_counts, parse_runs
from pipeline.store.bloom import may_hold, partition_of
from pipeline.store.columns import STORE_KINDS, inflate, open_columns, parse_directory
from pipeline.store.commits import parse_commits
from pipeline.store.compacted import Compacted
from pipeline.store.patterns import parse_patterns
from pipeline.store.tokens import hash_token
from pipeline.wire.codec import decode_batch, decode_plain
from pipeline.wire.frame import crc_matches, parse_acknowledgement, parse_header
from tests.batch.test_batch import everything, same
from tests.golden.samples import (
    ALIKE,
    ENTRIES,
    HEADER,
    LATER,
    NUMBERS,
    OTHER,
    PRODUCER,
    REPLY,
    SPOOL_BATCH,
    SPOOL_HEAD,
    SPOOL_ROW,
    START,
    compacted,
    files,
    golden,
)

COMPRESSED = {"payload_zstd", "sealed_zstd", "counts", "runs", "compacted"}
"""zstd's bytes differ from release to release: these are only read."""


@pytest.mark.parametrize("name", sorted(files().keys() - COMPRESSED))
def test_todays_code_writes_these_bytes(name: str) -> None:
    """To the last one."""
    assert files()[name].hex() == golden(name).hex()


def test_header_and_payload_are_read() -> None:
    """Every field of the header, every entry of the payload."""
    head, payload = golden("header"), golden("payload")

    header = parse_header(head)

    assert crc_matches(head, payload)
    assert header._replace(crc=0) == HEADER
    decoded = decode_batch(header, payload, 0)
    assert decoded.batch is not None
    assert same(list(ENTRIES), everything(decoded.batch))
    assert decoded.offsets is None


def test_the_payload_has_every_kind() -> None:
    """So that none of them changes unseen."""
    columns = parse(golden("payload")).columns.values()

    assert {column.kind for column in columns} == set(Kind)


def test_numbers_of_rows_are_read() -> None:
    """Offsets from the sequence."""
    header = HEADER._replace(rows=2, span=6)

    decoded = decode_batch(header, golden("payload_numbers"), 0)

    assert decoded.batch is not None
    assert decoded.offsets is not None
    assert tuple(decoded.offsets) == NUMBERS
    assert same(list(LATER), everything(decoded.batch))


def test_a_compressed_payload_is_read() -> None:
    """Whatever release of zstd wrote it."""
    assert decompress(golden("payload_zstd"), PAYLOAD_BYTES) == golden("payload")


def test_an_acknowledgement_is_read() -> None:
    """Every field."""
    assert parse_acknowledgement(golden("acknowledgement")) == REPLY


def test_plain_messages_are_read() -> None:
    """One map, and an array with one that is rejected."""
    (one,) = decode_plain(golden("plain_map"), 9).entries
    assert one == (9, "web", 13, "héllo", {"n": 1}, [], None)

    rows = decode_plain(golden("plain_array"), 9)
    assert rows.entries == [one, one._replace(timestamp=1_500_000_000)]
    assert [found.place for found in rows.rejected] == [1]


def test_a_sealed_block_is_read() -> None:
    """Its columns are narrow, differences, decimals, and joined kinds."""
    block = parse(golden("sealed"), BLOCK_COLUMNS)

    check(block)

    assert same([*ENTRIES, *LATER], everything(block))
    kinds = {name: column.kind for name, column in block.columns.items()}
    assert kinds["metadata.int"] == Kind.PACKED
    assert kinds["trace_id"] == Kind.TEXT
    assert {column.codec for column in block.columns.values()} == {Codec.PLAIN}


def test_a_compressed_block_is_read() -> None:
    """Column by column."""
    block = parse(golden("sealed_zstd"), BLOCK_COLUMNS)

    check(block)

    assert same(list(ENTRIES * 30), everything(block))
    assert Codec.ZSTD in {column.codec for column in block.columns.values()}


def test_a_block_of_parts_is_read() -> None:
    """Two batches as they came, read as one."""
    block = parse_block(golden("parts"), PAYLOAD_BYTES)

    check(block)

    assert same([*ENTRIES, *LATER], everything(block))
    assert block.columns["trace_id"].kind == Kind.TEXT


def test_counts_are_read() -> None:
    """Cells of (minute, source, level)."""
    counts = parse_counts(golden("counts"))

    assert counts.sources == ["web", "api", "a\nb\\"]
    assert counts.minutes is not None
    minute, last = START // 60_000_000_000, ((1 << 63) - 1) // 60_000_000_000
    cells = zip(
        counts.minutes, counts.source_codes, counts.levels, counts.counts, strict=True
    )
    assert sorted(tuple(map(int, cell)) for cell in cells) == [
        (-1, 0, 24, 2),
        (minute, 0, 1, 1),
        (minute, 0, 9, 1),
        (minute, 0, 17, 1),
        (minute, 1, 13, 1),
        (last, 2, 5, 2),
    ]


def test_runs_are_read() -> None:
    """Two batches that go on are one run."""
    runs = parse_runs(golden("runs"))

    assert runs.producers == [PRODUCER, OTHER]
    assert np.stack([runs.codes, runs.firsts, runs.rows]).T.tolist() == [
        [0, 1001, 4],
        [1, 7, 4],
    ]


def columns_of(block: Compacted) -> dict[str, bytes]:
    """Each column as it is before it is compressed, without those of messages.

    Which templates are worth their place may change; their layout must not.
    """
    _, directory = parse_directory(block.directory)
    return {
        field.name: bytes(inflate(data, field.codec, field.raw, field.name))
        for (field, _), data in zip(directory, block.columns, strict=True)
        if field.kind not in STORE_KINDS
    }


def test_a_compacted_block_is_read() -> None:
    """Rows, commits, runs, patterns, and a filter that knows its tokens."""
    block = Compacted.unpack(golden("compacted"))
    rows, directory = parse_directory(block.directory)
    stream = b"".join(block.columns)
    batch = open_columns(rows, directory, lambda at, size: stream[at : at + size])

    assert same([*ENTRIES, *LATER, *LATER, *ALIKE], everything(batch))
    assert (block.first, block.last, block.tier, block.rows) == (1, 2, 1, 48)
    assert block.committed == START + 2
    commits = parse_commits(block.commits, 48)
    assert (commits.numbers.tolist(), commits.rows.tolist()) == ([1, 2], [8, 40])
    runs = parse_runs(block.runs)
    assert runs.producers == [PRODUCER, OTHER]
    assert runs.firsts.tolist() == [1001, 7, 1005]
    patterns = parse_patterns(block.patterns)
    assert patterns.counts[0] == 40
    assert (patterns.first[0], patterns.last[0]) == (START, START + 39)
    assert patterns.ids.tolist() == [each[0] for each in block.templates]
    assert block.templates[0][1] == b"user \xff of \xff at \xff"
    for token, there in ((b"ord_00039", True), (b"ord_00040", False)):
        token_hash = hash_token(token)
        piece = block.filters[partition_of(token_hash)]
        assert may_hold(piece, token_hash) is there


def test_todays_code_makes_the_same_compacted_block() -> None:
    """But for what zstd makes of its columns."""
    then, now = Compacted.unpack(golden("compacted")), compacted()

    assert columns_of(now) == columns_of(then)


def test_a_chain_is_followed() -> None:
    """Each hash, what is there in the end, and what became of the rest."""
    rows = [tuple(row) for row in msgpack.unpackb(golden("chain"))]
    assert chain.linked(rows) == rows

    state = chain.State()
    found = [flaw for row in rows for flaw in state.apply(chain.unpack(row[2]))]

    assert (found, state.balance()) == ([], None)
    assert [(held.id, held.rows) for held in state.live.values()] == [(2**40 + 1, 15)]
    assert state.sums == {"added": 16, "deletion": 1}


def test_a_segment_of_the_spool_is_read() -> None:
    """A row and a batch."""
    data = golden("spool")

    assert maybe_head(data) == SPOOL_HEAD
    row, batch = walk(
        lambda place, size: data[place : place + size],
        SPOOL_HEAD.marker,
        HEAD_BYTES,
        len(data),
    )
    assert isinstance(row, Found)
    assert (row.number, maybe_row(row)) == (7, SPOOL_ROW)
    assert isinstance(batch, Found)
    assert maybe_batch(batch) == SPOOL_BATCH
