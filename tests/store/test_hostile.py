"""What a header and a block's data may look like when somebody has written to them.

A reader checks CRCs before it comes here; these are the decoders behind them.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch.encode import encode_rows
from pipeline.batch.joined import pack_parts, parse_block
from pipeline.compression import compress
from pipeline.entry import Entry
from pipeline.errors import FrameError, StoreError
from pipeline.limits import BLOCK_BYTES
from pipeline.store.block import Block, Part, parse_counts, parse_runs, seal_block
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
