"""The header of a batch and the acknowledgement: two structs, written out in FORMAT.md.

Standard library only: every service that sends imports this module.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from hashlib import sha256
from typing import Final, NamedTuple
from zlib import crc32

from pipeline.errors import FrameError
from pipeline.limits import BATCH_ROWS, FRAME_BYTES, NUMBER_MAX

Bytes = bytes | bytearray | memoryview

MAGIC: Final = b"RLP1"
"""Three letters and the version of the header."""

PRODUCER_BYTES: Final = 16

_HEADER: Final = struct.Struct(
    "<"
    "4s"  # magic => "RLP1"
    "B"  # flags => Flag
    "B"  # codec => Codec
    "H"  # reserved => 0
    "16s"  # producer => 128 random bits
    "Q"  # sequence => the batch's first number
    "Q"  # base => lowest number that the sender still holds
    "Q"  # span => how many numbers the batch covers
    "I"  # count => rows in the payload; 0 only when that is empty
    "I"  # crc32 => of the payload, then of this header with zero here
    "Q"  # dropped_total => entries given up before they got a number; FILE: tail
)
HEADER_BYTES: Final = _HEADER.size
_CRC_AT: Final = struct.calcsize("<4sBBH16sQQQI")

_ACKNOWLEDGEMENT: Final = struct.Struct(
    "<"
    "B"  # kind => Reply
    "B"  # status => Status
    "H"  # version => 1
    "I"  # retry_ms => wait this long before sending again
    "16s"  # boot => random, new at each start of the ingester
    "Q"  # durable => highest number on disk
    "Q"  # accepted => highest number taken
    "Q"  # rejected => rows of this producer that could not be stored, so far
    "I"  # largest => bytes of the largest message taken
)
_TAIL: Final = struct.Struct("<Q")
"""Version 2 of the acknowledgement, for files: version 1, and the tail at `durable`."""

TAIL_BYTES: Final = 64
"""Of a file, up to a position: what they are summed up to tells it from another."""

ACKNOWLEDGE_TOPIC: Final = b"a"
"""Topic of a producer's acknowledgements: this letter and its 16 bytes."""

SUMMARY_TOPIC: Final = b"summary"
BATCH_TOPIC: Final = b"batch"
STATUS_TOPIC: Final = b"status"


class Flag(IntFlag):
    """Bits of the header's flags."""

    FLUSH = 1
    FIN = 2
    FILE = 4


class Codec(IntFlag):
    """Bits of the header's codec: how the payload is written."""

    ZSTD = 1
    ROWS = 2


_CODECS: Final = int(Codec.ZSTD | Codec.ROWS)
"""An int, because ~ of an IntFlag has only the bits that it knows."""


class Reply(IntEnum):
    """Kinds of acknowledgement."""

    ACK = 1
    NACK = 2
    HELLO = 3


class Status(IntEnum):
    """What the ingester can do at present."""

    OK = 0
    DISK_FULL = 1
    OVERLOADED = 2


class Header(NamedTuple):
    """What stands before a payload; numbers count entries from 1."""

    flags: int
    codec: int
    producer: bytes
    sequence: int
    base: int
    span: int
    rows: int
    crc: int
    dropped_total: int

    @property
    def last(self) -> int:
        """The highest number that the batch covers."""
        return self.sequence + self.span - 1


class Acknowledgement(NamedTuple):
    """What the ingester tells one producer."""

    kind: int
    status: int
    retry_ms: int
    boot: bytes
    durable: int
    accepted: int
    rejected: int
    largest: int
    tail: int = 0
    """Of a file, at `durable`; 0 for others."""


def file_tail(data: Bytes) -> int:
    """What stands for the last TAIL_BYTES of a file before a position; never 0."""
    (number,) = _TAIL.unpack(sha256(data[-TAIL_BYTES:]).digest()[:8])
    return int(number) % NUMBER_MAX or 1


def pack_header(header: Header, payload_crc: int) -> bytes:
    """The header's bytes; `payload_crc` is crc32 of the payload, computed once."""
    packed = bytearray(_HEADER.pack(MAGIC, *header[:2], 0, *header[2:7], 0, header[8]))
    struct.pack_into("<I", packed, _CRC_AT, crc32(packed, payload_crc))
    return bytes(packed)


def parse_header(data: Bytes) -> Header:
    """The header, range checks done; raises FrameError."""
    if len(data) != HEADER_BYTES:
        raise FrameError("bad_header", f"{len(data)} bytes; must be {HEADER_BYTES}")
    magic, flags, codec, _, *rest = _HEADER.unpack(data)
    if magic[:3] != MAGIC[:3]:
        raise FrameError("bad_magic", f"got {magic!r}; must be {MAGIC!r}")
    if magic != MAGIC:
        raise FrameError("bad_version", f"got {magic!r}; known: {MAGIC!r}")
    header = Header(flags, codec, *rest)
    if codec & ~_CODECS:
        raise FrameError("bad_codec", f"unknown codec {codec}")
    if not 0 < header.base <= header.sequence < NUMBER_MAX:
        detail = f"base {header.base}, sequence {header.sequence}"
        raise FrameError("bad_range", f"{detail}; must be 0 < base <= sequence < 2^62")
    if not 0 < header.span < NUMBER_MAX or header.last >= NUMBER_MAX:
        raise FrameError("bad_range", f"span {header.span}; must be 1 or more")
    if header.dropped_total >= NUMBER_MAX:
        raise FrameError("bad_range", f"dropped_total {header.dropped_total}; >= 2^62")
    if header.rows > min(header.span, BATCH_ROWS):
        limit = f"at most {BATCH_ROWS} and the span, {header.span}"
        raise FrameError("bad_count", f"{header.rows} rows; must be {limit}")
    return header


def crc_matches(data: Bytes, payload: Bytes) -> bool:
    """Whether header and payload arrived as they were sent."""
    zeroed = bytearray(data)
    (claimed,) = struct.unpack_from("<I", zeroed, _CRC_AT)
    struct.pack_into("<I", zeroed, _CRC_AT, 0)
    return bool(crc32(zeroed, crc32(payload)) == claimed)


def pack_acknowledgement(reply: Acknowledgement) -> bytes:
    """The body of an acknowledgement; its topic stands in a frame before it.

    With a tail it is of version 2, which only those get who send files.
    """
    version = 2 if reply.tail else 1
    body = _ACKNOWLEDGEMENT.pack(*reply[:2], version, *reply[2:8])
    return body + _TAIL.pack(reply.tail) if reply.tail else body


def parse_acknowledgement(data: Bytes) -> Acknowledgement:
    """An acknowledgement from its body; raises FrameError."""
    size = _ACKNOWLEDGEMENT.size
    if len(data) < size:
        raise FrameError("bad_acknowledgement", f"{len(data)} bytes; at least {size}")
    kind, status, version, *rest = _ACKNOWLEDGEMENT.unpack(data[:size])
    if version not in (1, 2):
        known = "known: 1 and 2"
        raise FrameError("bad_version", f"acknowledgement version {version}; {known}")
    if len(data) != size + (_TAIL.size if version == 2 else 0):
        detail = f"{len(data)} bytes of version {version}"
        raise FrameError("bad_acknowledgement", detail)
    if version == 2:
        rest += _TAIL.unpack(data[size:])
    return Acknowledgement(kind, status, *rest)


LARGEST_MESSAGE: Final = FRAME_BYTES
"""What an acknowledgement states as the largest message taken."""
