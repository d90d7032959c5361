"""Batches that are kept as they came read as one batch."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch.check import check
from pipeline.batch.decode import Batch, parse
from pipeline.batch.encode import encode_rows
from pipeline.batch.joined import PARTS_VERSION, pack_parts, parse_block
from pipeline.batch.layout import NUMBER
from pipeline.compression import compress
from pipeline.entry import Entry
from pipeline.errors import FrameError
from pipeline.limits import BLOCK_BYTES
from pipeline.store.block import KEPT_ROWS, Part, seal_block
from tests.batch.test_batch import ENTRY, everything, one, same


def batch_of(rows: list[Entry], *, compressed: bool = True) -> Batch:
    """As it comes from a collector."""
    return parse(encode_rows(rows, compress=compress if compressed else None))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(ENTRY, min_size=1, max_size=10), min_size=1, max_size=6))
def test_parts_read_as_one_batch(parts: list[list[Entry]]) -> None:
    """All rows in order, whatever kinds the columns of the parts have."""
    block = parse_block(pack_parts(list(map(batch_of, parts))), BLOCK_BYTES)

    check(block)

    assert same([row for rows in parts for row in rows], everything(block))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(ENTRY, min_size=1, max_size=4), min_size=1, max_size=3), st.data()
)
def test_damaged_parts_are_refused_or_readable(
    parts: list[list[Entry]], data: st.DataObject
) -> None:
    """Nothing but a FrameError comes of a bad byte."""
    packed = bytearray(pack_parts(list(map(batch_of, parts))))
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] = data.draw(st.integers(0, 255))
    try:
        block = parse_block(bytes(packed), BLOCK_BYTES)
        check(block)
    except FrameError:
        return

    assert len(everything(block)) == block.rows


def test_a_text_that_is_joined_before_it_is_checked_may_be_damaged() -> None:
    """Kinds that differ are joined by their values, which then are no UTF-8."""
    traces = ("0af7651916cd43dd8448eb211c80319c", "no hex \u00e9")
    parts = [batch_of([one()._replace(trace_id=trace)]) for trace in traces]
    packed = pack_parts(parts).replace("\u00e9".encode(), b"\xc3\xff")

    with pytest.raises(FrameError, match="UTF-8"):
        check(parse_block(packed, BLOCK_BYTES))


def test_row_numbers_are_not_a_column_of_the_block() -> None:
    """They stand in the block's runs."""
    batch = parse(encode_rows([one(), one()], [0, 5]))

    block = parse_block(pack_parts([batch]), BLOCK_BYTES)

    assert NUMBER in batch.columns
    assert NUMBER not in block.columns


@pytest.mark.parametrize(
    ("rows", "compressed", "kept"),
    [(KEPT_ROWS, True, True), (KEPT_ROWS - 1, True, False), (KEPT_ROWS, False, False)],
)
def test_large_compressed_batches_are_kept_as_they_came(
    rows: int, compressed: bool, kept: bool
) -> None:
    """Small ones and plain ones are joined into one payload."""
    batch = batch_of([one(n=place) for place in range(rows)], compressed=compressed)

    sealed = seal_block([Part(batch, bytes(16), 1, None)])

    assert (sealed.data[0] == PARTS_VERSION) == kept
    block = parse_block(sealed.data, BLOCK_BYTES)
    assert same(everything(batch), everything(block))


def test_a_version_of_tomorrow_is_refused() -> None:
    """With its number."""
    packed = pack_parts([batch_of([one()])])

    with pytest.raises(FrameError, match="version 3"):
        parse_block(b"\3" + packed[1:], BLOCK_BYTES)
