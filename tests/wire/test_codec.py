"""What messages mean: each wrong thing costs only itself."""

import math
from typing import Any

import msgpack
import pytest
import zstandard

from pipeline.batch.encode import encode_rows
from pipeline.batch.layout import HEAD
from pipeline.compression import compress
from pipeline.entry import Level
from pipeline.errors import FrameError
from pipeline.limits import (
    BATCH_ROWS,
    MESSAGE_BYTES,
    METADATA_KEYS,
    NESTING,
    PAYLOAD_BYTES,
    PLAIN_BYTES,
)
from pipeline.wire.codec import decode_batch, decode_plain
from pipeline.wire.frame import Codec
from tests.wire.messages import NOW, entry, header, plain

FIELDS = {"source": "web", "message": "m"}


def one(**changes: Any) -> Any:
    """The entry of a plain message with these fields."""
    (found,) = decode_plain(plain({**FIELDS, **changes}), NOW).entries
    return found


def refused(**changes: Any) -> str:
    """Why a plain message with these fields was rejected; its neighbour is kept."""
    rows = decode_plain(plain([FIELDS, {**FIELDS, **changes}, FIELDS]), NOW)
    assert rows.places == [0, 2]
    (rejected,) = rows.rejected
    assert rejected.place == 1
    return str(rejected.error)


def reason(message: bytes) -> str:
    """Why a plain message was refused whole."""
    with pytest.raises(FrameError) as caught:
        decode_plain(message, NOW)
    return caught.value.reason


def test_a_plain_map_is_one_entry() -> None:
    """Missing fields have their defaults: now, INFO, nothing."""
    assert decode_plain(plain(FIELDS), NOW).entries == [entry()]


def test_a_plain_array_is_one_entry_a_map() -> None:
    """In their order."""
    rows = decode_plain(plain([{**FIELDS, "message": str(n)} for n in range(3)]), NOW)

    assert [row.message for row in rows.entries] == ["0", "1", "2"]


def test_a_topic_names_the_source_of_those_that_do_not() -> None:
    """The entry's own source wins."""
    found = decode_plain(plain([{"message": "m"}, FIELDS]), NOW, "topic").entries

    assert [row.source for row in found] == ["topic", "web"]


@pytest.mark.parametrize(
    ("level", "number"),
    [("WARN", 13), ("err", 17), (3, 17), (50, 17), (Level.INFO.name.lower(), 9)],
)
def test_levels_are_names_or_numbers_of_syslog_and_pino(
    level: Any, number: int
) -> None:
    """One scale inside."""
    assert one(level=level).level == number


def test_an_unknown_level_is_kept_as_text() -> None:
    """INFO, and what it was stands in the metadata."""
    found = one(level="chatty", metadata={"a": 1})

    assert (found.level, found.metadata) == (9, {"level_text": "chatty", "a": 1})


def test_a_msgpack_timestamp_is_a_time() -> None:
    """The extension type keeps its nanoseconds."""
    assert one(timestamp=msgpack.Timestamp(5, 7)).timestamp == 5_000_000_007


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("1677-09-21T00:12:43.145224192Z", -(1 << 63)),
        ("2262-04-11T23:47:16.854775807Z", (1 << 63) - 1),
        ((1 << 63) - 1, (1 << 63) - 1),
        (1, 1_000_000_000),
        (-1, -1_000_000_000),
        (1.5, 1_500_000_000),
    ],
)
def test_times_reach_from_1677_to_2262(time: Any, expected: int) -> None:
    """Every int64 of nanoseconds."""
    assert one(timestamp=time).timestamp == expected


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        2**64 - 1,
        math.nan,
        math.inf,
        msgpack.Timestamp(2**40, 0),
        True,
        [],
    ],
)
def test_a_time_beyond_that_is_rejected(time: Any) -> None:
    """With the field's name."""
    assert refused(timestamp=time).startswith("timestamp: ")


@pytest.mark.parametrize(
    "value",
    [
        *(math.inf, -math.inf, -0.0, 2**63, 2**64 - 1, -(2**63), 1e308),
        *(None, True, [], {}, b"\x00\xff", "", "\x00", "a\nb\r\t\x1b[0m\x7f\u2028"),
        *("\U0010ffff", {"a": [{"b": None}]}, [1, "a", 2.5, None]),
    ],
)
def test_values_are_kept_as_they_came(value: Any) -> None:
    """Infinities, integers up to 2^64 - 1, bytes, control characters."""
    assert one(metadata={"x": value}).metadata == {"x": value}


def test_nan_is_kept() -> None:
    """It is not equal to itself, but it is there."""
    assert math.isnan(one(metadata={"x": math.nan}).metadata["x"])


def test_messages_keep_nul_and_control_characters() -> None:
    """To the character."""
    text = "".join(map(chr, range(160))) + "\u2028\ufeff\U0001f600"

    assert one(message=text).message == text


def test_a_message_may_have_1_mib_and_not_a_byte_more() -> None:
    """Bytes of UTF-8, not characters."""
    assert one(message="é" * (MESSAGE_BYTES // 2))
    assert "mustn't" in refused(message="x" * (MESSAGE_BYTES + 1)) or "at most" in (
        refused(message="é" * (MESSAGE_BYTES // 2) + "x")
    )


def test_1000_metadata_keys_are_kept_and_1025_rejected() -> None:
    """The limit is on keys of one entry."""
    keys = {f"k{place}": place for place in range(METADATA_KEYS + 1)}

    assert len(one(metadata=dict(list(keys.items())[:1000])).metadata) == 1000
    assert refused(metadata=keys).startswith("metadata: 1,025 keys")


def nested(levels: int) -> Any:
    """A list in a list in a list."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_depth_is_limited() -> None:
    """The map of metadata is the first level."""
    assert one(metadata={"x": nested(NESTING - 1)})
    assert "nested too deep" in refused(metadata={"x": nested(NESTING)})
    assert "nested too deep" in refused(metadata={"x": nested(400)})


@pytest.mark.parametrize("levels", [1_100, 100_000, 3_000_000])
def test_hostile_depth_is_refused_without_a_crash(levels: int) -> None:
    """Deeper than msgpack itself follows."""
    assert reason(b"\x91" * levels + b"\x01") == "bad_msgpack"


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"message": b"\xff\xfe"}, "message"),
        ({"message": 7}, "message"),
        ({"message": None}, "message"),
        ({"source": ""}, "source"),
        ({"source": "s" * 257}, "source"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"x": 1}, "x": 1}, "x"),
        ({"metadata": {1: 1}}, "metadata"),
        ({"metadata": {"k" * 257: 1}}, "metadata"),
        ({"metadata": {"x": "v" * (257 << 10)}}, "metadata"),
        ({"metadata": {"x": msgpack.ExtType(5, b"")}}, "metadata.x"),
        ({"metadata": {"x": msgpack.Timestamp(1)}}, "metadata.x"),
        ({"tags": "t"}, "tags"),
        ({"tags": ["t"] * 65}, "tags"),
        ({"tags": [1]}, "tags.0"),
        ({"tags": ["t" * 257]}, "tags.0"),
        ({"trace_id": 5}, "trace_id"),
        ({"trace_id": "t" * 257}, "trace_id"),
        ({"level": []}, "level"),
    ],
)
def test_a_bad_field_costs_only_its_entry(bad: Any, field: str) -> None:
    """The error names the field."""
    assert refused(**bad).startswith(f"{field}: ")


def raw(*pairs: bytes) -> bytes:
    """A map written by hand."""
    return bytes([0x80 + len(pairs)]) + b"".join(pairs)


def text(value: bytes) -> bytes:
    """A str of msgpack, whatever its bytes."""
    return bytes([0xA0 + len(value)]) + value


GOOD = raw(text(b"source") + text(b"a"), text(b"message") + text(b"m"))
TWICE = raw(*[text(b"x") + b"\1"] * 2)


@pytest.mark.parametrize(
    "bad",
    [
        raw(text(b"source") + text(b"a"), text(b"message") + text(b"\xff")),
        raw(text(b"source") + text(b"\xc3"), text(b"message") + text(b"m")),
        raw(text(b"message") + text(b"\xed\xa0\x80"), text(b"source") + text(b"a")),
        raw(text(b"\xff") + text(b"a"), text(b"message") + text(b"m")),
        raw(*[text(b"message") + text(b"m")] * 2, text(b"source") + text(b"a")),
        raw(GOOD[1:10], GOOD[10:], text(b"metadata") + TWICE),
        b"\x01",
        b"\xc0",
        b"\x90",
    ],
)
def test_bad_text_and_keys_that_stand_twice_cost_only_their_entry(bad: bytes) -> None:
    """In any field, at any depth; neighbours are kept."""
    rows = decode_plain(b"\x93" + GOOD + bad + GOOD, NOW)

    assert (rows.places, [found.place for found in rows.rejected]) == ([0, 2], [1])


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", "bad_msgpack"),
        (b"\xc1", "bad_msgpack"),
        (GOOD[:-1], "bad_msgpack"),
        (GOOD + b"\0", "bad_msgpack"),
        (b"\xdd\xff\xff\xff\xff", "bad_msgpack"),
        (b"\xdf\xff\xff\xff\xff", "bad_msgpack"),
        (b"\xc6\xff\xff\xff\xff", "bad_msgpack"),
        (raw(b"\x90\1"), "bad_msgpack"),
        (b"\xc0", "not_an_entry"),
        (text(b"hello"), "not_an_entry"),
        (b'{"message":"json"}', "bad_msgpack"),
        (plain([0] * (BATCH_ROWS + 1)), "too_many_rows"),
        (plain("x" * PLAIN_BYTES), "too_large"),
    ],
)
def test_a_message_that_is_no_entry_is_refused(message: bytes, expected: str) -> None:
    """Lengths are compared with what is there before memory is taken."""
    assert reason(message) == expected


def test_an_empty_array_is_nothing() -> None:
    """Neither an entry nor an error."""
    assert decode_plain(plain([]), NOW).entries == []


def batch_reason(payload: bytes, **changes: Any) -> str:
    """Why a batch was refused."""
    with pytest.raises(FrameError) as caught:
        decode_batch(header(**changes), payload, NOW)
    return caught.value.reason


def zeros(size: int, *, declared: bool = True) -> bytes:
    """A zstd frame of zeros, made without holding them all at once."""
    writer = zstandard.ZstdCompressor().compressobj(size if declared else -1)
    piece = bytes(min(size, 1 << 20))
    parts = [writer.compress(piece) for _ in range(size // len(piece))]
    return b"".join([*parts, writer.flush()])


@pytest.mark.parametrize("codec", [Codec.ZSTD, Codec.ZSTD | Codec.ROWS])
@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "bad_zstd"),
        (b"not zstd", "bad_zstd"),
        (compress(b"x" * 1000)[:-5], "bad_zstd"),
        (zeros(1 << 30), "too_large"),
        (zeros(PAYLOAD_BYTES + (1 << 20)), "too_large"),
        (zeros(1 << 20, declared=False), "size_unknown"),
    ],
)
def test_a_bomb_is_refused_before_it_is_inflated(
    codec: int, payload: bytes, expected: str
) -> None:
    """By the size that it declares, which it must."""
    assert batch_reason(payload, codec=codec) == expected


def test_rows_may_be_as_large_as_a_plain_message_only() -> None:
    """They become objects, at up to 64 bytes of memory for each byte."""
    lists = b"\xdd" + (PLAIN_BYTES).to_bytes(4, "big") + b"\x90" * PLAIN_BYTES

    assert batch_reason(lists, codec=Codec.ROWS) == "too_large"
    assert batch_reason(compress(lists), codec=Codec.ROWS | Codec.ZSTD) == "too_large"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rows": 2, "span": 3}, "bad_count"),
        ({"rows": 3, "span": 4}, "bad_range"),
    ],
)
def test_a_batch_must_hold_what_its_header_says(changes: Any, expected: str) -> None:
    """Rows as counted; a span beyond them needs numbers of the rows."""
    assert batch_reason(encode_rows([entry()] * 3), **changes) == expected


def test_numbers_of_rows_must_be_within_the_span() -> None:
    """They are offsets from the sequence."""
    payload = encode_rows([entry()] * 2, [0, 5])

    assert batch_reason(payload, rows=2, span=5) == "bad_range"
    found = decode_batch(header(rows=2, span=6), payload, NOW).offsets
    assert found is not None
    assert found.tolist() == [0, 5]


def test_a_batch_of_another_version_is_refused() -> None:
    """By its first byte."""
    payload = b"\2" + encode_rows([entry()])[1:]

    assert batch_reason(payload) == "bad_version"
    assert batch_reason(payload[: HEAD.size - 1]) == "bad_batch"


def test_rows_that_are_rejected_keep_their_numbers() -> None:
    """The others' offsets say where they stood."""
    payload = plain([FIELDS, {"message": 1}, FIELDS])

    found = decode_batch(header(rows=3, span=3, codec=Codec.ROWS), payload, NOW)

    assert found.batch is not None
    assert found.offsets is not None
    assert (found.batch.rows, found.offsets.tolist()) == (2, [0, 2])
    assert [rejected.place for rejected in found.rejected] == [1]


def test_rows_that_are_all_rejected_are_a_batch_of_nothing() -> None:
    """Its numbers are used up all the same."""
    found = decode_batch(header(codec=Codec.ROWS), plain([{}]), NOW)

    assert (found.batch, len(found.rejected)) == (None, 1)


@pytest.mark.parametrize(
    ("payload", "changes", "expected"),
    [
        (plain(FIELDS), {}, "bad_rows"),
        (plain([FIELDS] * 2), {}, "bad_rows"),
        (plain([FIELDS]), {"span": 2}, "bad_range"),
        (b"\xc1", {}, "bad_msgpack"),
    ],
)
def test_rows_must_be_as_many_as_the_header_says(
    payload: bytes, changes: Any, expected: str
) -> None:
    """An array, whose length is count and span."""
    assert batch_reason(payload, codec=Codec.ROWS, **changes) == expected
