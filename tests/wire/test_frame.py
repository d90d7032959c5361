"""The header and the acknowledgement: what is refused, and with which reason."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import FrameError
from pipeline.limits import BATCH_ROWS, NUMBER_MAX
from pipeline.wire.frame import (
    HEADER_BYTES,
    Acknowledgement,
    Codec,
    Flag,
    Header,
    Reply,
    Status,
    crc_matches,
    file_tail,
    pack_acknowledgement,
    pack_header,
    parse_acknowledgement,
    parse_header,
)
from tests.wire.messages import PRODUCER, batch, entry, header

REPLY = Acknowledgement(Reply.NACK, Status.DISK_FULL, 250, b"b" * 16, 7, 9, 1, 16 << 20)


def test_a_header_comes_back_as_it_was() -> None:
    """Every field, at the largest number that it may have."""
    flags = Flag.FLUSH | Flag.FIN
    codec = Codec.ZSTD | Codec.ROWS
    last = NUMBER_MAX - 1
    sent = Header(flags, codec, PRODUCER, last, last, 1, 1, 0, last)

    packed = pack_header(sent, 0)

    assert len(packed) == HEADER_BYTES == 64
    assert parse_header(packed)._replace(crc=0) == sent


def test_the_last_number_follows_from_sequence_and_span() -> None:
    """5, 6 and 7 are three numbers from 5."""
    assert header(sequence=5, span=3).last == 7


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"base": 0}, "bad_range"),
        ({"base": 2}, "bad_range"),
        ({"sequence": 0, "base": 0}, "bad_range"),
        ({"sequence": NUMBER_MAX}, "bad_range"),
        ({"sequence": 2**64 - 1, "base": 2**64 - 1}, "bad_range"),
        ({"span": 0, "rows": 0}, "bad_range"),
        ({"span": NUMBER_MAX}, "bad_range"),
        ({"sequence": NUMBER_MAX - 1, "span": 2}, "bad_range"),
        ({"dropped_total": NUMBER_MAX}, "bad_range"),
        ({"rows": 2}, "bad_count"),
        ({"rows": BATCH_ROWS + 1, "span": BATCH_ROWS + 1}, "bad_count"),
        ({"codec": 4}, "bad_codec"),
        ({"codec": 255}, "bad_codec"),
    ],
)
def test_a_header_out_of_range_is_refused(changes: Any, reason: str) -> None:
    """0 < base <= sequence, sequence + span <= 2^62, 0 < count <= span."""
    with pytest.raises(FrameError) as caught:
        parse_header(pack_header(header(**changes), 0))

    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "bad_header"),
        (b"RLP1", "bad_header"),
        (b"RLP1" + bytes(61), "bad_header"),
        (b"HTTP" + bytes(60), "bad_magic"),
        (bytes(64), "bad_magic"),
        (b"RLP2" + bytes(60), "bad_version"),
    ],
)
def test_bytes_that_are_no_header_are_refused(data: bytes, reason: str) -> None:
    """Size first, then magic, then version."""
    with pytest.raises(FrameError) as caught:
        parse_header(data)

    assert caught.value.reason == reason


def test_unknown_flags_and_reserved_bits_are_ignored() -> None:
    """A later sender may set them."""
    packed = bytearray(pack_header(header(flags=0xF0), 0))
    packed[6:8] = b"\xff\xff"

    assert parse_header(packed).flags == 0xF0


def test_the_crc_covers_every_byte_of_both_frames() -> None:
    """One flipped bit anywhere is noticed."""
    head, payload = batch([entry()])

    assert crc_matches(head, payload)
    for place in range(len(head)):
        flipped = bytes([*head[:place], head[place] ^ 1, *head[place + 1 :]])
        assert not crc_matches(flipped, payload)
    for place in range(len(payload)):
        flipped = bytes([*payload[:place], payload[place] ^ 1, *payload[place + 1 :]])
        assert not crc_matches(head, flipped)


def test_an_acknowledgement_comes_back_as_it_was() -> None:
    """Every field."""
    assert parse_acknowledgement(pack_acknowledgement(REPLY)) == REPLY


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "bad_acknowledgement"),
        (pack_acknowledgement(REPLY) + b"\0", "bad_acknowledgement"),
        (b"\1\0\2" + pack_acknowledgement(REPLY)[3:], "bad_acknowledgement"),
        (b"\1\0\3" + pack_acknowledgement(REPLY)[3:], "bad_version"),
    ],
)
def test_an_acknowledgement_of_another_form_is_refused(
    data: bytes, reason: str
) -> None:
    """A sender then goes on as if it had not come."""
    with pytest.raises(FrameError) as caught:
        parse_acknowledgement(data)

    assert caught.value.reason == reason


@given(st.binary(max_size=100) | st.binary(min_size=64, max_size=64))
def test_noise_is_refused_or_in_range(noise: bytes) -> None:
    """Nothing but FrameError; what passes obeys the ranges."""
    for data in (noise, (b"RLP1" + noise)[:HEADER_BYTES]):
        try:
            found = parse_header(data)
        except FrameError:
            continue
        assert 0 < found.base <= found.sequence <= found.last < NUMBER_MAX
    try:
        parse_acknowledgement(noise)
    except FrameError:
        return


def test_an_acknowledgement_with_a_tail_is_of_version_2() -> None:
    """Only those who send files get one; all others get what they know."""
    with_tail = REPLY._replace(tail=NUMBER_MAX - 1)

    assert parse_acknowledgement(pack_acknowledgement(with_tail)) == with_tail
    assert [pack_acknowledgement(each)[2] for each in (REPLY, with_tail)] == [1, 2]


def test_the_tail_of_a_file_is_of_its_last_64_bytes() -> None:
    """As FORMAT.md has it: sha256, first 8 bytes, modulo 2^62."""
    digest = hashlib.sha256(b"x" * 64).digest()

    assert file_tail(b"y" + b"x" * 64) == file_tail(b"x" * 64)
    assert file_tail(b"x" * 64) == int.from_bytes(digest[:8], "little") % 2**62
    assert file_tail(b"x" * 63) != file_tail(b"x" * 64)
