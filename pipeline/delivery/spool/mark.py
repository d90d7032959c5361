"""What a spool's lock file says: how far its producer was, for who adopts the spool.

An ingester forgets who was away for a month: it alone can't tell then what it has.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple
from zlib import crc32

from pipeline.limits import NUMBER_MAX

MARK_MAGIC: Final = b"RLM1"
"""Three letters and the version of the format."""

_MARK: Final = struct.Struct(
    "<"
    "4s"  # magic => "RLM1"
    "Q"  # durable => numbers up to here were acknowledged
    "Q"  # dropped => entries dropped before they had a number
)
_CRC: Final = struct.Struct("<I")
MARK_BYTES: Final = _MARK.size + _CRC.size


class Mark(NamedTuple):
    """How far a producer was when it was last heard of."""

    durable: int = 0
    dropped: int = 0


def pack_mark(mark: Mark) -> bytes:
    """The content of the lock file."""
    fields = _MARK.pack(MARK_MAGIC, *mark)
    return fields + _CRC.pack(crc32(fields))


def maybe_mark(data: bytes) -> Mark | None:
    """None for what is damaged, or of another version."""
    if len(data) != MARK_BYTES:
        return None
    fields, (crc,) = data[: _MARK.size], _CRC.unpack_from(data, _MARK.size)
    magic, durable, dropped = _MARK.unpack(fields)
    if magic != MARK_MAGIC or crc != crc32(fields):
        return None
    if durable > NUMBER_MAX or dropped > NUMBER_MAX:
        return None
    return Mark(durable, dropped)
