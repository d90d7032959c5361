"""Messages that no honest sender makes, an endless row of them from a seed."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from functools import cache
from zlib import crc32

import msgpack
import zstandard

from pipeline.batch.encode import encode_rows
from pipeline.limits import PAYLOAD_BYTES, PLAIN_BYTES
from pipeline.wire.frame import HEADER_BYTES, Codec, Flag, Header, pack_header
from tests.wire.messages import entry

Frames = list[bytes]
Maker = Callable[[random.Random], Frames]

SOURCE = "stranger"
DEEP = 100_000
HUGE = 1 << 40


def noise(chance: random.Random) -> Frames:
    """Random bytes in one to four frames, empty ones too."""
    return [
        chance.randbytes(chance.choice((0, 1, 16, 64, 300, 5000)))
        for _ in range(chance.randint(1, 4))
    ]


def header_of_noise(chance: random.Random) -> Frames:
    """As long as a header, with its magic or that of another version."""
    magic = chance.choice((b"RLP1", b"RLP2", b"RLP\0", b"XXXX"))
    return [magic + chance.randbytes(HEADER_BYTES - 4), chance.randbytes(100)]


def right_crc(chance: random.Random, payload: bytes, **fields: int) -> Frames:
    """A batch of a producer that nobody knows."""
    numbers = {"sequence": 1, "base": 1, "span": 3, "rows": 3, "codec": 0, "flags": 0}
    n = numbers | fields
    header = Header(
        *(n["flags"], n["codec"], chance.randbytes(16)),
        *(n["sequence"], n["base"], n["span"], n["rows"], 0, n.get("dropped", 0)),
    )
    return [pack_header(header, crc32(payload)), payload]


@cache
def columns() -> bytes:
    """A batch of columns of every kind."""
    rows = [
        {"a": 1, "b": "x", "c": [1], "d": 1.5, "e": True, "f": None},
        {"a": -(2**40), "b": "y" * 300, "c": {"k": [0]}, "d": 2.25, "e": False},
        {"a": "mixed"},
    ]
    made = [entry(f"m {n}", source=SOURCE, metadata=row) for n, row in enumerate(rows)]
    return encode_rows(made)


def damaged_columns(chance: random.Random) -> Frames:
    """Changed in a few places before its CRC was taken."""
    payload = bytearray(columns())
    for _ in range(chance.randint(1, 5)):
        place = chance.randrange(len(payload))
        end = place + chance.choice((0, 1, 1, 1, 40))
        payload[place:end] = chance.randbytes(chance.choice((0, 1, 1, 4)))
    return right_crc(chance, bytes(payload))


def wrong_crc(chance: random.Random) -> Frames:
    """Changed on its way."""
    head, payload = right_crc(chance, columns())
    damaged = bytearray(head)
    damaged[chance.randrange(4, HEADER_BYTES)] ^= 1 << chance.randrange(8)
    return [bytes(damaged), payload]


def wild_numbers(chance: random.Random) -> Frames:
    """Ranges at and beyond their ends."""
    ends = (0, 1, 2, 2**31, 2**32 - 1, 2**62 - 1, 2**62, 2**63, 2**64 - 1)
    names = ("sequence", "base", "span", "dropped")
    fields = {name: chance.choice(ends) for name in names}
    fields["rows"] = chance.choice((0, 1, 3, 65_536, 65_537, 2**32 - 1))
    return right_crc(chance, columns(), flags=chance.randrange(256), **fields)


def unknown_bits(chance: random.Random) -> Frames:
    """Codecs and flags that are to be invented yet."""
    codec = chance.randrange(256)
    return right_crc(chance, columns(), codec=codec, flags=chance.randrange(256))


@cache
def bomb(size: int) -> bytes:
    """So many zeros as a zstd frame of a few kilobytes."""
    return zstandard.ZstdCompressor(level=1).compress(bytes(size))


def zstd_bomb(chance: random.Random) -> Frames:
    """Large when inflated, or saying so, or saying nothing."""
    payload = chance.choice(
        (
            bomb(PAYLOAD_BYTES),
            bomb(4 * PAYLOAD_BYTES),
            b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", HUGE) + b"\1\0\0",
            zstandard.ZstdCompressor(write_content_size=False).compress(bytes(9999)),
            bomb(1000)[:-3],
        )
    )
    codec = Codec.ZSTD | chance.choice((0, Codec.ROWS))
    return right_crc(chance, payload, codec=codec)


def msgpack_bomb(chance: random.Random) -> Frames:
    """Sizes that are not there, depth, many small things."""
    payload = chance.choice(
        (
            b"\xdd\xff\xff\xff\xff",
            b"\xdf\xff\xff\xff\xff",
            b"\xc6\xff\xff\xff\xff",
            b"\x91" * DEEP,
            b"\x81\xa1a" * DEEP,
            b"\x91" * DEEP + b"\xc0",
            b"\xdd" + struct.pack(">I", 70_000) + b"\xc0" * 70_000,
            b"\xdd" + struct.pack(">I", 10_000) + b"\x80" * 10_000,
            b"\xc0" * (PLAIN_BYTES + 1),
        )
    )
    if chance.random() < 0.5:
        return [payload]
    return right_crc(chance, payload, codec=Codec.ROWS)


def odd_entries(chance: random.Random) -> Frames:
    """Maps with the fields of an entry and other things in them."""
    values = (None, -1, 2**64 - 1, 1e308, b"\xff", [[]], {"": {}}, "x" * 70_000, True)
    names = ("message", "level", "timestamp", "metadata", "tags", "trace_id", "", "t")
    fields = {name: chance.choice(values) for name in names if chance.random() < 0.5}
    return [msgpack.packb([{**fields, "source": SOURCE}] * chance.randint(1, 3))]


def fake_producer(chance: random.Random) -> Frames:
    """One more id to remember, with numbers that begin anywhere."""
    base = chance.randrange(1, 2**61)
    flags = chance.choice((0, Flag.FIN, Flag.FLUSH, Flag.FILE))
    return right_crc(chance, b"", sequence=base, base=base, rows=0, flags=flags)


MAKERS: tuple[Maker, ...] = (
    noise,
    header_of_noise,
    damaged_columns,
    wrong_crc,
    wild_numbers,
    unknown_bits,
    zstd_bomb,
    msgpack_bomb,
    odd_entries,
    fake_producer,
)


def messages(count: int, seed: int = 1) -> Iterator[Frames]:
    """So many of them, of all kinds in turn."""
    chance = random.Random(seed)
    for number in range(count):
        yield MAKERS[number % len(MAKERS)](chance)
