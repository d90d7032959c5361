"""What a header and a block's data may look like when somebody has written to them.

A reader checks CRCs before it comes here; these are the decoders behind them.
"""

from __future__ import annotations

from contextlib import suppress
from zlib import crc32

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch.encode import encode_rows
from pipeline.batch.joined import pack_parts, parse_block
from pipeline.batch.layout import Codec
from pipeline.compression import compress
from pipeline.entry import Entry
from pipeline.errors import FrameError, StoreError
from pipeline.limits import BLOCK_BYTES
from pipeline.store.block import Block, Part, parse_counts, parse_runs, seal_block
from pipeline.store.columns import Stored, open_columns, parse_directory
from pipeline.store.commits import parse_commits
from pipeline.store.compacted import compact
from pipeline.store.patterns import parse_patterns
from pipeline.wire.codec import batch_of
from tests.batch.test_batch import ENTRY
from tests.wire.test_fuzz import changed

ROWS = st.lists(ENTRY, min_size=1, max_size=4)


def part(rows: list[Entry]) -> Part:
    """A batch of somebody's."""
    batch = batch_of(rows).batch
    assert batch is not None
    return Part(batch, b"p" * 16, 1, None)


@settings(max_examples=300, deadline=None)
@given(ROWS, st.binary(max_size=60), st.data())
def test_damaged_counts_and_runs_are_refused(
    rows: list[Entry], noise: bytes, data: st.DataObject
) -> None:
    """By FrameError, or they are numbers."""
    sealed = seal_block([part(rows), part(rows)])
    for parse, whole in ((parse_counts, sealed.counts), (parse_runs, sealed.runs)):
        for damaged in (noise, changed(data, whole)):
            with suppress(FrameError):
                parse(damaged)


@settings(max_examples=300, deadline=None)
@given(ROWS, st.booleans(), st.data())
def test_damaged_data_of_a_block_is_refused_or_read(
    rows: list[Entry], kept: bool, data: st.DataObject
) -> None:
    """Version 1, sealed, and version 2, with batches as they came."""
    sealed = seal_block([part(rows)])
    whole = sealed.data
    if kept:
        batch = parse_block(encode_rows(rows * 3, compress=compress), BLOCK_BYTES)
        whole = pack_parts([batch, batch])
    damaged = changed(data, whole)
    with suppress(FrameError, StoreError):
        block = Block(1, damaged, sealed.runs)
        assert len(block.batch.entries(np.arange(block.rows))) == block.rows


@settings(max_examples=300, deadline=None)
@given(ROWS, st.binary(max_size=60), st.data())
def test_damaged_blobs_of_a_compacted_block_are_refused(
    rows: list[Entry], noise: bytes, data: st.DataObject
) -> None:
    """By FrameError; a directory that is read names no more than there may be."""
    sealed = seal_block([part(rows)])
    made = compact([Block(n, sealed.data, sealed.runs) for n in (1, 2)], 3)
    for damaged in (noise, changed(data, made.commits)):
        with suppress(FrameError):
            assert parse_commits(damaged, made.rows).rows.sum() == made.rows
    for damaged in (noise, changed(data, made.patterns)):
        with suppress(FrameError):
            parse_patterns(damaged)
    for damaged in (noise, changed(data, made.directory)):
        with suppress(FrameError):
            count, columns = parse_directory(damaged)
            assert sum(each.field.raw for each in columns) <= BLOCK_BYTES
            assert open_columns(count, columns, lambda *_: b"").rows == count


@settings(max_examples=300, deadline=None)
@given(ROWS, st.data())
def test_damaged_columns_of_a_compacted_block_are_refused_or_read(
    rows: list[Entry], data: st.DataObject
) -> None:
    """One by one, as if their checksums were right."""
    sealed = seal_block([part(rows)])
    made = compact([Block(n, sealed.data, sealed.runs) for n in (1, 2, 3, 4)], 3)
    count, columns = parse_directory(made.directory)
    chosen = data.draw(st.integers(0, len(columns) - 1))
    blob = changed(data, made.columns[chosen])
    field = columns[chosen].field._replace(stored=len(blob))
    if field.codec == Codec.PLAIN:
        field = field._replace(raw=len(blob))
    columns[chosen] = Stored(field, crc32(blob))
    stream = b"".join([*made.columns[:chosen], blob, *made.columns[chosen + 1 :]])
    batch = open_columns(count, columns, lambda at, size: stream[at : at + size])
    with suppress(FrameError):
        assert len(batch.entries(np.arange(count))) == count
