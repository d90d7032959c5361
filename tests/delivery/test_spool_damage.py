"""Bytes of any kind in a segment: never a wrong record, never the end of the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.delivery.spool.records import (
    BATCH,
    BODY_BYTES,
    HEAD_BYTES,
    RECORD_BYTES,
    ROW,
    Batch,
    Damage,
    Found,
    Head,
    RowPacker,
    maybe_batch,
    maybe_head,
    maybe_row,
    pack_batch,
    pack_head,
    pack_record,
    walk,
)
from tests.delivery.spooling import everything, filled, row, segments, spool_in

HEAD = Head(b"\x81\x92\xa3\xb4", bytes(range(16)), 1)


def segment(bodies: list[bytes]) -> bytes:
    """A segment with a ROW record for each body."""
    data = pack_head(HEAD)
    for number, body in enumerate(bodies, 1):
        data += pack_record(HEAD.marker, ROW, number, body, len(data))
    return data


def walked(data: bytes) -> Iterator[Found | Damage]:
    """What is found behind the head."""
    return walk(
        lambda place, size: data[place : place + size].ljust(size, b"\0"),
        HEAD.marker,
        HEAD_BYTES,
        len(data),
    )


def bodies_of(data: bytes) -> dict[int, bytes]:
    """Bodies by number."""
    return {item.number: item.body for item in walked(data) if isinstance(item, Found)}


def flipped(data: bytes, bit: int) -> bytes:
    """The data with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_flipped_bit_costs_its_record():
    """Each bit of three records: it is noticed, and the others are read."""
    bodies = [RowPacker().pack(row(number)) for number in range(1, 4)]
    data = segment(bodies)
    expected = bodies_of(data)
    size = RECORD_BYTES + len(bodies[0])
    for bit in range(8 * HEAD_BYTES, 8 * len(data)):
        number = (bit // 8 - HEAD_BYTES) // size + 1
        changed = flipped(data, bit)

        assert bodies_of(changed) == {n: expected[n] for n in expected if n != number}
        assert [item.place for item in walked(changed) if isinstance(item, Damage)] == [
            HEAD_BYTES + (number - 1) * size
        ]


def test_a_flipped_bit_of_the_head_costs_nothing():
    """It stands there twice."""
    data = pack_head(HEAD)

    assert {maybe_head(flipped(data, bit)) for bit in range(8 * len(data))} == {HEAD}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_bytes_of_any_kind_are_no_record(noise, places):
    """Not even with the marker in them; every byte is accounted for."""
    for place in places:
        noise = noise[:place] + HEAD.marker + noise[place:]
    data = pack_head(HEAD) + noise

    items = list(walked(data))

    assert all(isinstance(item, Damage) for item in items)
    assert sum(item.end - item.place for item in items) == len(noise)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_hardly_a_head(noise):
    """A checksum guards it."""
    assert maybe_head(noise) is None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_makes_a_record(data):
    """Overwritten, cut, torn out: what is read was written, at its number."""
    bodies = data.draw(st.lists(st.binary(max_size=60), min_size=1, max_size=8))
    content = bytearray(segment(bodies))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(HEAD_BYTES, len(content)))
        end = data.draw(st.integers(start, min(start + 80, len(content))))
        content[start:end] = data.draw(
            st.sampled_from([bytes(end - start), HEAD.marker, b""])
            | st.binary(max_size=20)
        )

    found = bodies_of(bytes(content))

    assert all(bodies[number - 1] == body for number, body in found.items())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_bodies_of_any_kind_are_refused_or_read(body):
    """A right checksum does not make a row."""
    for kind in (ROW, BATCH):
        found = Found(0, 0, kind, 1, body)
        one, other = maybe_row(found), maybe_batch(found)

        assert one is None or len(one) == 7
        assert other is None or other.count <= other.span
        assert found.last >= 0
        assert found.rows >= 0


def test_a_record_within_a_message_is_none():
    """Nobody who writes messages knows the marker; the place would be wrong, too."""
    inner = pack_record(HEAD.marker, ROW, 9, b"forged", HEAD_BYTES)
    data = segment([b"a" + inner, b"b"])

    assert bodies_of(flipped(data, 8 * HEAD_BYTES + 40)) == {2: b"b"}


def test_a_record_at_another_place_is_none():
    """As when the disk writes a sector elsewhere."""
    data = segment([b"a", b"b", b"c"])
    size = RECORD_BYTES + 1
    second = data[HEAD_BYTES + size : HEAD_BYTES + 2 * size]
    swapped = data[:HEAD_BYTES] + second + data[HEAD_BYTES + size :]

    assert bodies_of(swapped) == {2: b"b", 3: b"c"}


def test_a_length_beyond_the_limit_is_not_read():
    """Whatever its checksum says."""
    body = bytes(BODY_BYTES + 1)
    record = pack_record(HEAD.marker, BATCH, 1, body, HEAD_BYTES)

    assert bodies_of(pack_head(HEAD) + record) == {}


def test_the_largest_batch_is_read():
    """Of several windows."""
    batch = Batch(
        1, 1, 1, 0, bytes(BODY_BYTES - len(pack_batch(Batch(1, 1, 1, 0, b""))))
    )
    record = pack_record(HEAD.marker, BATCH, 1, pack_batch(batch), HEAD_BYTES)

    (found,) = walked(pack_head(HEAD) + record)

    assert isinstance(found, Found)
    assert maybe_batch(found) == batch


def test_records_beyond_a_long_gap_are_found():
    """More than is read at once, with a marker across the border of two readings."""
    for gap in (256 << 10, (256 << 10) - 2, 700_001):
        data = segment([b"a"]) + bytes(gap)
        data += pack_record(HEAD.marker, ROW, 2, b"b", len(data))

        assert bodies_of(data) == {1: b"a", 2: b"b"}


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=30,
    deadline=None,
)
@given(st.lists(st.integers(0, 1 << 20), min_size=1, max_size=6))
def test_a_damaged_spool_gives_the_rest(tmp_path, places):
    """Damage is counted once a place, however often it is read again."""
    spool = filled(tmp_path, 200, limit_bytes=64 << 10)
    for place in places:
        path = segments(tmp_path)[place % len(segments(tmp_path))]
        content = bytearray(path.read_bytes())
        content[HEAD_BYTES + place % (len(content) - HEAD_BYTES)] ^= 0x55
        path.write_bytes(content)

    found = everything(spool)

    assert all(row(number) == value for number, value in found.items())
    assert 200 - len(found) <= len(places)
    assert (spool.damaged > 0) == (len(found) < 200)
    counted = spool.damaged
    assert everything(spool, rows=3) == found
    assert spool.damaged == counted
    spool.close(remove=True)


def test_a_file_that_was_cut_from_outside_gives_what_it_has(tmp_path):
    """And goes on behind the hole."""
    spool = filled(tmp_path, 10)
    (path,) = segments(tmp_path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    spool.append_row(11, row(11))

    found = everything(spool)

    assert 3 < len(found) < 10
    assert found[11] == row(11)
    assert spool.damaged == 1
    spool.close(remove=True)


def test_a_file_that_was_deleted_from_outside_stops_nothing(tmp_path):
    """The other segments are read."""
    spool = filled(tmp_path, 300, limit_bytes=64 << 10)
    segments(tmp_path)[1].unlink()

    found = everything(spool)

    assert 100 < len(found) < 300
    assert max(found) == 300
    spool.close(remove=True)


@pytest.mark.parametrize("kind", [3, 255])
def test_a_kind_that_is_unknown_is_damage(tmp_path, kind):
    """It belongs to a version that this is not."""
    spool = spool_in(tmp_path)
    spool.append_row(1, row(1))
    (path,) = segments(tmp_path)
    head = maybe_head(path.read_bytes())
    assert head is not None
    body = RowPacker().pack(row(1))
    path.write_bytes(
        pack_head(head) + pack_record(head.marker, kind, 1, body, HEAD_BYTES)
    )

    assert everything(spool) == {}
    assert spool.damaged == 1
    spool.close(remove=True)
