"""Bytes of any kind: refused by FrameError, or kept, sealed and read to the end."""

import contextlib

import msgpack
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch.encode import encode_rows
from pipeline.entry import Entry
from pipeline.errors import FrameError
from pipeline.ingester.batcher import Policy
from pipeline.ingester.intake import Intake
from pipeline.store.block import Block, parse_counts, seal_block
from pipeline.wire.codec import decode_plain
from pipeline.wire.frame import Codec
from tests.batch.test_batch import ENTRY, TEXT
from tests.wire.messages import NOW, entry, message

KEY = TEXT | st.integers(0, 9) | st.binary(max_size=3)
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | TEXT
    | st.binary(max_size=5)
    | st.builds(msgpack.Timestamp, st.integers(0, 2**60))
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=3)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEY, inner, max_size=4),
    max_leaves=10,
)
FIELD = st.sampled_from(["message", "source", "level", "timestamp", "tags", "metadata"])


def changed(data: st.DataObject, content: bytes) -> bytes:
    """The content with a few bytes changed, taken out or put in."""
    mutable = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(0, len(mutable) - 1)))
        end = place + data.draw(st.integers(0, 2))
        mutable[place:end] = data.draw(st.binary(max_size=2))
    return bytes(mutable)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=100) | ANY.map(msgpack.packb))
def test_any_bytes_are_a_plain_message_or_a_frame_error(noise: bytes) -> None:
    """And what is rejected is counted with what is kept."""
    with contextlib.suppress(FrameError):
        rows = decode_plain(noise, NOW)
        assert len(rows.entries) == len(rows.places)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.dictionaries(FIELD | TEXT, ANY, max_size=6), max_size=4), st.data())
def test_any_entries_leave_their_neighbours_alone(
    found: list[object], data: st.DataObject
) -> None:
    """Whatever their fields hold, the good ones around them are stored."""
    good = {"source": "good", "message": "good"}
    intake = Intake(b"b" * 16, [], Policy())

    intake.receive([msgpack.packb([good, *found, good])], NOW)
    with contextlib.suppress(FrameError):
        intake.receive([changed(data, msgpack.packb(found))], NOW)

    assert read(intake).count("good") >= 2


@settings(max_examples=250, deadline=None)
@given(st.lists(ENTRY, min_size=1, max_size=4), st.data())
def test_what_is_taken_can_be_sealed_and_read(
    rows: list[Entry], data: st.DataObject
) -> None:
    """A damaged batch with a right CRC never costs the block of its neighbours."""
    intake = Intake(b"b" * 16, [], Policy())
    good = encode_rows([entry("good", metadata={"a": 1, "b": "x", "c": [1]})] * 3)
    count = {"span": len(rows), "rows": len(rows)}
    for number, payload in enumerate((encode_rows(rows),) * 3, 1):
        frames = message(changed(data, payload), **count, producer=bytes([number]) * 16)
        intake.receive(frames, NOW)
    intake.receive(message(good, span=3, rows=3, producer=b"g" * 16), NOW)
    maps = changed(data, msgpack.packb([{"source": "a", "message": "m"}]))
    intake.receive(message(maps, codec=Codec.ROWS, producer=b"r" * 16), NOW)

    assert read(intake).count("good") >= 3


def read(intake: Intake) -> list[str]:
    """Messages of all that a commit would hold."""
    found = []
    for parts in intake.cut(NOW).blocks:
        sealed = seal_block(parts)
        block = Block(1, sealed.data, sealed.runs)
        places = np.arange(block.rows)
        assert sum(parse_counts(sealed.counts).counts) == len(block.identities(places))
        found += [row.message for row in block.batch.entries(places)]
    return found


def test_a_rejected_row_holds_nothing_but_its_reason() -> None:
    """Of 65,536 in 64 KiB, tracebacks would keep all frames alive, and 2 s of time."""
    rows = decode_plain(msgpack.packb([{}] * 3), NOW)

    assert [row.error.__traceback__ for row in rows.rejected] == [None] * 3
