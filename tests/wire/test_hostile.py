"""Headers, acknowledgements and payloads that were damaged, in every way by chance."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from zlib import crc32

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch.encode import encode_rows
from pipeline.compression import compress
from pipeline.entry import Entry
from pipeline.errors import FrameError
from pipeline.limits import NUMBER_MAX
from pipeline.wire.codec import decode_batch
from pipeline.wire.frame import (
    HEADER_BYTES,
    Acknowledgement,
    Codec,
    Flag,
    Header,
    crc_matches,
    pack_acknowledgement,
    pack_header,
    parse_acknowledgement,
    parse_header,
)
from tests.batch.test_batch import ENTRY
from tests.wire.messages import NOW, entry, header
from tests.wire.test_fuzz import changed

U64 = st.integers(0, 2**64 - 1)
NUMBER = U64 | st.sampled_from([0, 1, 2, NUMBER_MAX - 1, NUMBER_MAX, 2**64 - 1])
HEADER = st.builds(
    Header,
    *(st.integers(0, 255), st.integers(0, 3), st.binary(min_size=16, max_size=16)),
    *(NUMBER, NUMBER, NUMBER, st.integers(0, 2**32 - 1), st.just(0), NUMBER),
)
MARK = st.integers(0, 2**64 - 1)
ACKNOWLEDGEMENT = st.builds(
    Acknowledgement,
    *(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32 - 1)),
    *(st.binary(min_size=16, max_size=16), MARK, MARK, MARK),
    *(st.integers(0, 2**32 - 1), MARK),
)


@settings(max_examples=500, deadline=None)
@given(HEADER)
def test_any_numbers_are_refused_or_in_range(made: Header) -> None:
    """What passes can be added up and fits SQLite's integers."""
    try:
        found = parse_header(pack_header(made, 0))
    except FrameError:
        return
    assert 0 < found.base <= found.sequence <= found.last < NUMBER_MAX
    assert found.rows <= found.span
    assert found.flags & Flag.FILE or found.dropped_total <= NUMBER_MAX


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=50), st.integers(0, 63), st.integers(0, 7))
def test_no_flipped_bit_of_a_header_passes(body: bytes, place: int, bit: int) -> None:
    """One bit anywhere: refused, or the CRC differs."""
    head = bytearray(pack_header(header(), crc32(body)))
    assert crc_matches(head, body)

    head[place] ^= 1 << bit

    assert not crc_matches(head, body)


@settings(max_examples=300, deadline=None)
@given(ACKNOWLEDGEMENT, st.data())
def test_an_acknowledgement_is_read_as_it_was_or_refused(
    made: Acknowledgement, data: st.DataObject
) -> None:
    """Both versions; damaged ones raise nothing but FrameError."""
    packed = pack_acknowledgement(made)
    assert parse_acknowledgement(packed) == made

    with suppress(FrameError):
        parse_acknowledgement(changed(data, packed))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(ENTRY, min_size=1, max_size=4),
    st.integers(0, 3),
    st.integers(0, 8),
    st.integers(0, 8),
    st.data(),
)
def test_a_damaged_payload_is_refused_or_read_to_the_end(
    rows: list[Entry], codec: int, count: int, more: int, data: st.DataObject
) -> None:
    """With any codec and any numbers in its header."""
    payload = encode_rows(rows)
    if codec & Codec.ROWS:
        payload = msgpack.packb([{"source": "s", "message": "m"}] * count)
    if codec & Codec.ZSTD:
        payload = compress(payload)
    head = header(codec=codec, rows=count, span=max(1, count + more))
    for body in (payload, changed(data, payload)):
        try:
            decoded = decode_batch(head, body, NOW)
        except FrameError:
            continue
        kept = decoded.batch.rows if decoded.batch else 0
        assert kept + len(decoded.rejected) == count
        if decoded.batch is not None:
            assert len(decoded.batch.entries(np.arange(kept))) == kept
        if decoded.offsets is not None:
            assert int(decoded.offsets[-1]) < head.span


@pytest.mark.parametrize(
    "payload",
    [
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x91" * 100_000,
        b"\x81\xa1a" * 100_000,
        b"\xdd\x00\x10\x00\x00" + b"\x91" * 100_000,
    ],
)
def test_what_msgpack_declares_takes_no_memory(payload: bytes) -> None:
    """Sizes that are not there, and depth: refused within a few times its bytes."""
    head = header(codec=Codec.ROWS, rows=1, span=1)
    tracemalloc.start()

    with pytest.raises(FrameError):
        decode_batch(head, payload, NOW)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20


def test_counts_of_a_directory_take_no_memory() -> None:
    """Each count of a payload's columns set to the largest that fits."""
    payload = encode_rows([entry(metadata={"a": 1, "b": "x", "c": [1], "d": 0.5})])
    tracemalloc.start()

    for place in range(4, len(payload) - 4):
        damaged = payload[:place] + b"\xff\xff\xff\x7f" + payload[place + 4 :]
        try:
            decode_batch(header(), damaged, NOW)
        except FrameError:
            continue

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20
    assert len(pack_header(header(), 0)) == HEADER_BYTES
